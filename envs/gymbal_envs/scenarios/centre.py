"""Draws data centres: hosts, VMs and the windows of a trace that say how busy they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.llc_profiles import LlcProfile
from gymbal_envs.demand.trace import Trace
from gymbal_envs.scenarios.centre_config import CentreConfig
from gymbal_envs.scenarios.centre_programs import CentrePrograms, ProgramsDraw
from gymbal_envs.scenarios.centre_scenario import CentreScenario
from gymbal_envs.scenarios.centre_start import Rooms, start_vms
from gymbal_envs.scenarios.cluster_packing import deal
from gymbal_envs.scenarios.cluster_scenario import GIGABIT
from gymbal_envs.scenarios.cluster_writes import draw_writes
from gymbal_envs.scenarios.draws import Floats, in_slots, log_uniform, random_stream
from gymbal_envs.scenarios.split import SplitName, split_trace
from gymbal_envs.simulator.cluster.migration_rules import RULES
from gymbal_runtime.centre.rules.power import watts_table
from gymbal_runtime.centre.telemetry import NOWHERE

BISECTIONS = 40
IDLE = 1e-4
"""CPU use below which a VM need not be brought to 1 by any factor."""

Ints = NDArray[np.int64]
Columns = dict[str, Any]


class CentreScenarios:
    """Scenario number ``index`` of a seed: the same whenever and wherever it is drawn.

    Args:
        trace: how busy the VMs of a fleet are.
        config: what to draw from.
        split: which VMs and which part of the time may be used.
        seed: of the draw.
        programs: that VMs may run, where the configuration says that they run any.

    Raises:
        TraceError: the trace is too small to be split.
    """

    def __init__(
        self,
        trace: Trace,
        config: CentreConfig | None = None,
        split: SplitName = "train",
        seed: int = 0,
        programs: tuple[LlcProfile, ...] = (),
    ) -> None:
        self.config, self.trace, self.seed = config or CentreConfig(), trace, seed
        self.split: SplitName = split
        self._window = int(np.ceil(self.config.episode_s / trace.step_s)) + 1
        part = split_trace(trace, split, self._window)
        self.vms, self.first, self.last = part.vms, part.first, part.last
        self._programs: ProgramsDraw | None = None
        if self.config.programs is not None:
            self._programs = ProgramsDraw(self.config.programs, programs, varied=split == "train")

    def __call__(self, index: int) -> CentreScenario:
        """Draw scenario ``index``."""
        cfg, rng = self.config, random_stream(self.seed, self.split, index)
        hosts = self._hosts(rng)
        vms = self._vms(rng, hosts)
        demand = self._demand(rng, vms["vm_mips"].size)
        start = cfg.starts[int(rng.integers(len(cfg.starts)))]
        self._place(rng, start, hosts, vms, demand[0])
        demand[:, ~vms["present"]] = 0.0
        rule = cfg.rules[int(rng.integers(len(cfg.rules)))]
        places = rng.permutation(cfg.max_hosts)[: hosts["cpu_mips"].size]
        slots = rng.permutation(cfg.max_vms)[: vms["vm_mips"].size]
        placed = vms["host_of"] != NOWHERE
        vms["host_of"] = np.where(placed, places[vms["host_of"]], NOWHERE)
        everywhere = np.zeros((cfg.num_knots, cfg.max_vms), dtype=np.float32)
        everywhere[:, slots] = demand
        return CentreScenario(
            name=f"{self.trace.name}/{self.split}/{self.seed}/{index}",
            demand=everywhere,
            migration=RULES[rule],
            knot_s=cfg.knot_s,
            programs=self._running(index, hosts, places, slots),
            **_spread(hosts, places, cfg.max_hosts),
            **_spread(vms, slots, cfg.max_vms),
        )

    def _running(
        self, index: int, hosts: Columns, places: Ints, slots: Ints
    ) -> CentrePrograms | None:
        """Programs have a stream of their own: a centre with them is otherwise the same."""
        if self._programs is None:
            return None
        rng = random_stream(self.seed, self.split, index, part=1)
        kinds = np.unique(hosts["power_w"], axis=0, return_inverse=True)[1].reshape(-1)
        return self._programs(rng, kinds, places, self.config.max_hosts, slots, self.config.max_vms)

    def _hosts(self, rng: np.random.Generator) -> Columns:
        """Kinds of hosts, and one kind of sleep for all of them, (h,) each."""
        cfg = self.config
        h = int(np.rint(log_uniform(rng, cfg.num_hosts, 1)[0]))
        kinds = [cfg.hosts[k] for k in rng.integers(len(cfg.hosts), size=h)]
        sleep = cfg.sleeps[int(rng.integers(len(cfg.sleeps)))]
        watts = watts_table([kind.curve for kind in kinds])
        memory = np.array([kind.memory_bytes for kind in kinds])
        return {
            "exists": np.ones(h, dtype=np.bool_),
            "asleep": np.zeros(h, dtype=np.bool_),
            "cpu_mips": np.array([kind.cores * kind.core_mips for kind in kinds]),
            "core_mips": np.array([kind.core_mips for kind in kinds]),
            "memory_bytes": np.rint(memory * rng.uniform(*cfg.memory_scale)),
            "nic_bytes_s": np.array([kind.nic_gbit_s * GIGABIT for kind in kinds]),
            "power_w": watts,
            "sleep_w": np.full(h, rng.uniform(*sleep.sleep_w)),
            "suspend_s": np.full(h, rng.uniform(*sleep.suspend_s)),
            "wake_s": np.full(h, rng.uniform(*sleep.wake_s)),
            "wake_w": watts.max(axis=1) * rng.uniform(*sleep.wake_frac),
        }

    def _vms(self, rng: np.random.Generator, hosts: Columns) -> Columns:
        """Kinds of VMs, what they write, when they are there, (n,) each."""
        cfg = self.config
        h = hosts["cpu_mips"].size
        wanted = max(round(h * rng.uniform(*cfg.vms_per_host)), 1)
        kinds = [cfg.vms[k] for k in rng.integers(len(cfg.vms), size=min(wanted, cfg.max_vms))]
        memory = np.cumsum([kind.memory_bytes for kind in kinds])
        most = int((memory <= cfg.memory_load * hosts["memory_bytes"].sum()).sum())
        kinds = kinds[: max(most, 1)]
        memory, n = np.array([kind.memory_bytes for kind in kinds]), len(kinds)
        size, tau, kind = draw_writes(rng, cfg.writes, memory)
        arrives, leaves = self._stays(rng, n)
        return {
            "present": np.ones(n, dtype=np.bool_),
            "vm_mips": np.array([kind.mips for kind in kinds]),
            "vcpus": np.array([float(kind.vcpus) for kind in kinds]),
            "vm_memory_bytes": memory,
            "shares": rng.choice(cfg.shares, size=n),
            "dirty": np.stack([size * memory[:, None], tau, kind.astype(np.float64)], axis=-1),
            "arrive_s": arrives,
            "leave_s": leaves,
        }

    def _stays(self, rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        """When VMs arrive and leave, (n,) s each."""
        coming = self.config.arrivals
        if coming is None:
            return np.zeros(n), np.full(n, np.inf)
        late = rng.random(n) < coming.frac
        arrives = np.where(late, rng.uniform(0.0, self.config.episode_s, n), 0.0)
        stays = arrives + log_uniform(rng, coming.stay_s, n)
        return arrives, np.where(rng.random(n) < coming.forever_frac, np.inf, stays)

    def _demand(self, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        """(K, n) wanted part of the VMs' MIPS: rows of the trace from one instant on.

        A small trace has to give the same VM several times: then it is played at other times, so
        that no two VMs do the same at once.
        """
        cfg, length = self.config, self.last - self.first
        rows, copy = deal(rng, self.vms, n)
        start = rng.integers(length - self._window + 1)
        shift = np.where(copy > 0, rng.integers(0, length, n), 0)
        samples = self.first + (start + shift[:, None] + np.arange(self._window)) % length
        use = self.trace.cpu_frac[rows[:, None], samples].T.astype(np.float64)
        if cfg.mean_use is not None:
            use = scale_to_mean(use, rng.uniform(*cfg.mean_use))
        position = np.arange(cfg.num_knots) * cfg.knot_s / self.trace.step_s
        below = np.minimum(position.astype(np.int64), self._window - 2)
        blend = (position - below)[:, None]
        knots = use[below] * (1.0 - blend) + use[below + 1] * blend
        return np.asarray(np.clip(knots, 0.0, 1.0), dtype=np.float32)

    def _place(
        self, rng: np.random.Generator, start: str, hosts: Columns, vms: Columns, demand: Any
    ) -> None:
        """Give VMs of the beginning their hosts; one that fits on none is left out."""
        first = np.flatnonzero(vms["arrive_s"] == 0.0)
        rooms = Rooms(hosts["memory_bytes"], self.config.packed_use * hosts["cpu_mips"])
        memory, wanted = vms["vm_memory_bytes"][first], (vms["vm_mips"] * demand)[first]
        host_of = np.full(vms["vm_mips"].size, NOWHERE, dtype=np.int64)
        host_of[first] = start_vms(rng, start, rooms, memory, wanted)
        vms["host_of"] = host_of
        vms["present"][first] = host_of[first] != NOWHERE
        if start == "packed":
            hosts["asleep"] = ~np.isin(np.arange(hosts["cpu_mips"].size), host_of)


def scale_to_mean(use: Floats, mean: float) -> Floats:
    """Multiply by one factor and cut at 1 such that the mean is this; all 1 where none will do.

    Args:
        use: (T, n) in 0..1.
        mean: in 0..1.
    """
    if not use.any():
        return use
    low, high = 0.0, 1.0 / max(float(use[use > 0.0].min()), IDLE)
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if np.minimum(middle * use, 1.0).mean() < mean:
            low = middle
        else:
            high = middle
    scaled: Floats = np.minimum(high * use, 1.0)
    return scaled


def _spread(columns: Columns, places: Ints, num_places: int) -> Columns:
    """Rows of those that are there to rows of all places."""
    spread = {
        name: in_slots(values, places, num_places).astype(values.dtype)
        for name, values in columns.items()
        if name != "host_of"
    }
    if "host_of" in columns:
        spread["host_of"] = np.full(num_places, NOWHERE, dtype=np.int64)
        spread["host_of"][places] = columns["host_of"]
    return spread


__all__ = ["CentreConfig", "CentreScenarios"]
