"""Draws data centres to be emptied: VMs with disks, the WAN, and what happens meanwhile."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.trace import Trace
from gymbal_envs.scenarios.draws import Floats, in_slots, log_uniform
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.scenarios.sites_config import SitesConfig
from gymbal_envs.scenarios.sites_scenario import SitesScenario, Wan
from gymbal_envs.scenarios.split import SplitName, split_trace
from gymbal_envs.simulator.cluster.migration_layout import (
    NUM_DIRTY,
    NUM_GROUPS,
    RANDOM,
    SWEEP,
)
from gymbal_envs.simulator.excursions import fill_window
from gymbal_envs.simulator.params import GIB, MIB

_HOT, _WARM, _SWEPT = range(NUM_GROUPS)


class SitesScenarios:
    """Scenario number ``index`` of a seed: the same whenever and wherever it is drawn.

    Args:
        trace: demand of a fleet.
        config: what to draw from.
        split: which VMs and which part of the time may be used.
        seed: of the draw.

    Raises:
        ScenarioError: the split has no VM that is large enough.
    """

    def __init__(
        self, trace: Trace, config: SitesConfig, split: SplitName = "train", seed: int = 0
    ) -> None:
        self.config, self.trace, self.split, self.seed = config, trace, split, seed
        self._window = int(np.ceil(config.episode_s / trace.step_s)) + 1
        part = split_trace(trace, split, self._window)
        big = trace.memory_bytes[part.vms] >= config.smallest_vm_mib * MIB
        self._vms = part.vms[big]
        self._first, self._last = part.first, part.last
        if self._vms.size < 1:
            raise ScenarioError(
                f"{trace.name}: no VM of the {split} split has {config.smallest_vm_mib} MiB; "
                "lower smallest_vm_mib"
            )

    def __call__(self, index: int) -> SitesScenario:
        """Draw scenario ``index``."""
        key = [(self.seed << 2) + _SPLIT_KEY[self.split], index]
        rng = np.random.Generator(np.random.Philox(key=np.array(key, dtype=np.uint64)))
        cfg = self.config
        n = int(rng.integers(cfg.num_vms[0], cfg.num_vms[1] + 1))
        rows = rng.choice(self._vms, size=n, replace=n > self._vms.size)
        start = int(rng.integers(self._first, self._last - self._window + 1))
        provisioned = np.minimum(self.trace.memory_bytes[rows], cfg.largest_vm_gib * GIB)
        memory = rng.uniform(*cfg.used_frac, n) * provisioned
        disk = log_uniform(rng, cfg.disk_of_memory, n) * memory
        background = self._background(rng, start)
        seconds = cfg.episode_s * rng.uniform(*cfg.load)
        capacity = float((memory + disk).sum() / seconds / (1.0 - background.mean()))
        wan = Wan(
            capacity,
            float(log_uniform(rng, cfg.rtt_s, 1)[0]),
            float(log_uniform(rng, cfg.loss, 1)[0]),
            cfg.connections,
        )
        in_memory = rng.uniform(*cfg.memory_redundancy, n)
        on_disk = rng.uniform(*cfg.disk_redundancy, n)
        columns: dict[str, Any] = {
            "shares": rng.choice(cfg.shares, size=n),
            "away_cost": log_uniform(rng, cfg.away_cost, n),
            "vcpus": self.trace.cores[rows],
            "memory_bytes": memory,
            "dirty": self._dirty(rng, memory),
            "disk_bytes": disk,
            "write_bytes_s": log_uniform(rng, cfg.write_of_share, n) * capacity / n,
            "write_set_bytes": log_uniform(rng, cfg.write_set_frac, n) * disk,
            "commit_rate": log_uniform(rng, cfg.commit_rate, n),
            "memory_redundancy": in_memory,
            "disk_redundancy": on_disk,
            "memory_hint": self._hint(rng, in_memory),
            "disk_hint": self._hint(rng, on_disk),
        }
        deadline = cfg.episode_s * rng.uniform(*cfg.deadline_frac)
        activity = self._activity(rng, rows, start)
        slots = np.sort(rng.permutation(cfg.max_vms)[:n])
        present = np.zeros(cfg.max_vms, dtype=np.bool_)
        present[slots] = True
        spread = {name: in_slots(value, slots, cfg.max_vms) for name, value in columns.items()}
        everywhere = np.zeros((cfg.num_knots, cfg.max_vms), dtype=np.float32)
        everywhere[:, slots] = activity
        return SitesScenario(
            name=f"{self.trace.name}/{self.split}/{self.seed}/{index}",
            wan=wan,
            background=background,
            deadline_s=deadline,
            present=present,
            activity=everywhere,
            seed=int(rng.integers(0, 2**63)),
            knot_s=cfg.knot_s,
            **spread,
        )

    def _dirty(self, rng: np.random.Generator, memory: Floats) -> Floats:
        """(n, 3, 3) groups: hot and warm random writes, and in some VMs a sweep."""
        cfg, n = self.config, memory.size
        groups = np.zeros((n, NUM_GROUPS, NUM_DIRTY))
        groups[:, _HOT, 0] = log_uniform(rng, cfg.hot_frac, n) * memory
        groups[:, _HOT, 1] = log_uniform(rng, cfg.hot_tau_s, n)
        groups[:, _WARM, 0] = rng.uniform(*cfg.warm_frac, n) * memory
        groups[:, _WARM, 1] = log_uniform(rng, cfg.warm_tau_s, n)
        groups[:, [_HOT, _WARM], 2] = RANDOM
        sweeps = rng.random(n) < cfg.sweep_chance
        groups[:, _SWEPT, 0] = np.where(sweeps, rng.uniform(*cfg.sweep_frac, n), 0.0) * memory
        groups[:, _SWEPT, 1] = rng.uniform(*cfg.sweep_s, n)
        groups[:, _SWEPT, 2] = SWEEP
        return groups

    def _hint(self, rng: np.random.Generator, truth: Floats) -> Floats:
        error = self.config.hint_error * rng.standard_normal(truth.size)
        return cast(Floats, np.clip(truth + error, 0.0, 0.95))

    def _activity(
        self, rng: np.random.Generator, rows: NDArray[np.int64], start: int
    ) -> NDArray[np.float32]:
        """(K, n): CPU of the window over the VM's own peak in the split's time."""
        cpu = self.trace.cpu_frac[rows]
        peak = np.quantile(cpu[:, self._first : self._last], 0.98, axis=1)
        level = cpu[:, start : start + self._window].T / np.maximum(peak, 0.01)
        activity = self._filled(rng, np.clip(level, 0.01, 1.0), 1.0)
        gaps = log_uniform(rng, self.config.lull_gap_s, rows.size)
        holds = log_uniform(rng, self.config.lull_hold_s, rows.size)
        for v in range(rows.size):
            self._add_lulls(rng, gaps[v], holds[v], activity[:, v])
        return activity

    def _add_lulls(
        self, rng: np.random.Generator, gap_s: float, hold_s: float, activity: NDArray[np.float32]
    ) -> None:
        """Alternate exponential times of work and of rest in a VM's activity (K,), in place."""
        cfg = self.config
        begin = rng.exponential(gap_s)
        while begin < cfg.episode_s:
            end = begin + rng.exponential(hold_s)
            first, last = int(np.ceil(begin / cfg.knot_s)), int(np.ceil(end / cfg.knot_s))
            activity[first:last] *= np.float32(cfg.lull_activity)
            begin = end + rng.exponential(gap_s)

    def _background(self, rng: np.random.Generator, start: int) -> NDArray[np.float32]:
        """(K,): follows the CPU of other VMs, as those who talk to the world work."""
        cfg = self.config
        others = self.trace.cpu_frac[rng.choice(self._vms, size=min(8, self._vms.size))]
        level = others[:, start : start + self._window].mean(axis=0)
        level = level / max(float(level.mean()), 1e-3)
        level = np.clip(level * rng.uniform(*cfg.background), 0.0, cfg.busiest)
        return self._filled(rng, level[:, None], cfg.busiest)[:, 0]

    def _filled(
        self, rng: np.random.Generator, levels: NDArray[Any], ceiling: float
    ) -> NDArray[np.float32]:
        """(S, n) at trace samples to (K, n) at knots, with what a trace does not tell."""
        cfg = self.config
        n: int = levels.shape[1]
        filled = np.zeros((cfg.num_knots, n), dtype=np.float32)
        streams = rng.integers(0, 2**63, size=n, dtype=np.uint64)
        gaps = log_uniform(rng, cfg.excursion_gap_s, n)
        fill_window(
            np.ascontiguousarray(levels, dtype=np.float64), self.trace.step_s, cfg.knot_s, gaps,
            cfg.excursion_hold_s, cfg.excursion_height, np.full(n, ceiling), streams, filled,
        )  # fmt: skip
        return np.clip(filled, 0.0, np.float32(ceiling))


__all__ = ["SitesConfig", "SitesScenarios"]

_SPLIT_KEY = {"train": 0, "validation": 1, "test": 2}
