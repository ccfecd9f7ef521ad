"""Draws hosts, VMs, programs and trace windows: the scenarios to train and be judged on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.trace import Trace
from gymbal_envs.scenarios.draws import Floats, Range, in_slots, log_uniform
from gymbal_envs.scenarios.machine import MachineDraw
from gymbal_envs.scenarios.page_profiles import resolve_profiles
from gymbal_envs.scenarios.scenario import Scenario, ScenarioError
from gymbal_envs.scenarios.split import SplitName, split_trace
from gymbal_envs.simulator.excursions import fill_window
from gymbal_envs.simulator.params import MIB, TIERS


@dataclass(frozen=True)
class FleetConfig:
    """From what scenarios are drawn. Ranges are uniform, or log-uniform where said.

    Attributes:
        num_vms: VMs on a host.
        max_vms: slots; hosts with fewer VMs leave slots empty.
        episode_s: length of an episode.
        load: host memory is chosen such that the window's peak of the summed working sets is this
            multiple of it. Above 1 the host cannot serve everybody all the time.
        tiers: names of swap tiers.
        fault_pressure_hz: touches/s that can miss, log-uniform, scaled by the program's own rate.
        footprint_frac: part of the provisioned memory that holds data, hot or not.
        unswappable_frac: part of the footprint that cannot be paged out.
        shares: weights that owners give their VMs.
        monitor: 0 guest statistics, 1 with the active sampler, 2 with the LRU histogram.
        cpu_overcommit: provisioned vCPUs over the host's cores.
        smallest_vm_mib: smaller VMs of a trace are left out.
        excursion_gap_s: mean seconds between excursions of a VM, log-uniform over VMs.
        excursion_hold_s: their mean duration.
        excursion_height: their mean height in units of the level; 0 for none.
        knot_s: seconds between demand knots.
        profiles: how programs suffer without memory, each as likely as the others; names as in
            `resolve_profiles`.
    """

    num_vms: tuple[int, int] = (4, 8)
    max_vms: int = 8
    episode_s: float = 1800.0
    load: Range = (0.9, 1.4)
    tiers: tuple[str, ...] = ("sata_ssd", "nvme", "zswap", "tcp_10g")
    fault_pressure_hz: Range = (5000.0, 200000.0)
    footprint_frac: Range = (0.15, 0.5)
    unswappable_frac: Range = (0.01, 0.04)
    shares: tuple[float, ...] = (500.0, 1000.0, 2000.0)
    monitor: int = 2
    cpu_overcommit: Range = (1.0, 4.0)
    smallest_vm_mib: float = 512.0
    excursion_gap_s: Range = (120.0, 1800.0)
    excursion_hold_s: float = 45.0
    excursion_height: float = 0.6
    knot_s: float = 10.0
    profiles: tuple[str, ...] = field(
        default=("measured", "power:0.4", "power:1.5", "cliff:0.7", "streaming")
    )

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        if not 1 <= self.num_vms[0] <= self.num_vms[1] <= self.max_vms:
            raise ScenarioError(
                f"num_vms {self.num_vms} must be a rising pair within 1..max_vms ({self.max_vms})"
            )
        unknown = [name for name in self.tiers if name not in TIERS]
        if unknown or not self.tiers:
            raise ScenarioError(f"tiers {unknown or '()'} unknown; there are {sorted(TIERS)}")
        for name in ("load", "fault_pressure_hz", "cpu_overcommit", "excursion_gap_s"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ScenarioError(f"{name} ({low}, {high}) must be a rising pair above 0")
        if self.monitor not in (0, 1, 2):
            raise ScenarioError(f"monitor must be 0, 1 or 2, not {self.monitor}")


class FleetScenarios:
    """Scenario number ``index`` of a seed: the same whenever and wherever it is drawn.

    Args:
        trace: demand of a fleet.
        config: what to draw from.
        split: which VMs and which part of the time may be used.
        seed: of the draw.
        machine: draws cache and devices, too, and makes the VMs' CPU demand its own.
    """

    def __init__(
        self,
        trace: Trace,
        config: FleetConfig,
        split: SplitName = "train",
        seed: int = 0,
        machine: MachineDraw | None = None,
    ) -> None:
        self.config, self.trace, self.split, self.seed = config, trace, split, seed
        self.machine = machine
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
        self._profiles = resolve_profiles(config.profiles)
        self.num_knots = round(config.episode_s / config.knot_s) + 1

    def __call__(self, index: int) -> Scenario:
        """Draw scenario ``index``."""
        key = [(self.seed << 2) + _SPLIT_KEY[self.split], index]
        rng = np.random.Generator(np.random.Philox(key=np.array(key, dtype=np.uint64)))
        cfg = self.config
        n = int(rng.integers(cfg.num_vms[0], cfg.num_vms[1] + 1))
        rows = rng.choice(self._vms, size=n, replace=n > self._vms.size)
        start = int(rng.integers(self._first, self._last - self._window + 1))
        window = slice(start, start + self._window)
        provisioned = self.trace.memory_bytes[rows]
        kernel = 48 * MIB + 0.01 * provisioned
        room = provisioned - kernel
        levels = np.minimum(self.trace.active_frac[rows, window].T * provisioned, room)
        levels = np.maximum(levels, 4 * MIB)
        working_set = self._filled(rng, levels, room)
        footprint_floor = rng.uniform(*cfg.footprint_frac, n) * room
        footprint = np.minimum(np.maximum(footprint_floor, 1.05 * working_set), room)
        picks = rng.integers(len(self._profiles), size=n)
        chosen = [self._profiles[i] for i in picks]
        relative = np.array([p.touch_rate_hz for p in chosen]) / 2000.0
        pressure = log_uniform(rng, cfg.fault_pressure_hz, n)
        memory_min = kernel + np.maximum(24 * MIB, 0.015 * provisioned)
        load = rng.uniform(*cfg.load)
        capacity = working_set.sum(axis=1).max() / load + kernel.sum()
        capacity = max(capacity, 1.05 * memory_min.sum())
        # A stream of its own, so that memory is drawn the same with and without the rest.
        rest_key = np.array([key[0], ~index & _ALL_BITS], dtype=np.uint64)
        rest = np.random.Generator(np.random.Philox(key=rest_key))
        cpu = self.trace.cpu_frac[rows, window].T
        if self.machine is None:
            vcpus = self.trace.cores[rows]
            cores = self._interpolated(cpu * vcpus)
        else:
            vcpus = self.machine.vcpus(rest, n)
            cores = self.machine.cores(rest, self._interpolated(cpu).astype(np.float64), vcpus)
        return self._scenario(
            rng,
            rest,
            index,
            n,
            capacity_bytes=float(capacity),
            cpu_cores=float(vcpus.sum() / rng.uniform(*cfg.cpu_overcommit)),
            tier=TIERS[cfg.tiers[int(rng.integers(len(cfg.tiers)))]],
            shares=rng.choice(cfg.shares, size=n),
            memory_max_bytes=provisioned,
            memory_min_bytes=memory_min,
            kernel_bytes=kernel,
            unswappable_frac=rng.uniform(*cfg.unswappable_frac, n),
            vcpus=vcpus,
            monitor=np.full(n, float(cfg.monitor)),
            touch_rate=pressure * np.clip(relative, 0.25, 4.0),
            dirty_frac=np.array([p.dirty_frac for p in chosen]),
            overlap=np.array([p.mlp for p in chosen]),
            curve=np.stack([p.curve for p in chosen]),
            working_set_bytes=working_set,
            footprint_bytes=footprint.astype(np.float32),
            cores=cores,
            initial_bytes=_fair_start(capacity, memory_min, provisioned),
        )

    def _filled(
        self, rng: np.random.Generator, levels: Floats, ceiling: Floats
    ) -> NDArray[np.float32]:
        cfg = self.config
        n: int = levels.shape[1]
        filled = np.zeros((self.num_knots, n), dtype=np.float32)
        streams = rng.integers(0, 2**63, size=n, dtype=np.uint64)
        gaps = log_uniform(rng, cfg.excursion_gap_s, n)
        fill_window(
            np.ascontiguousarray(levels, dtype=np.float64), self.trace.step_s, cfg.knot_s, gaps,
            cfg.excursion_hold_s, cfg.excursion_height, ceiling, streams, filled,
        )  # fmt: skip
        return filled

    def _interpolated(self, samples: NDArray[np.floating]) -> NDArray[np.float32]:
        """(S, n) at trace samples to (K, n) at knots, linear."""
        position = np.arange(self.num_knots) * self.config.knot_s / self.trace.step_s
        below = np.minimum(position.astype(np.int64), samples.shape[0] - 2)
        blend = (position - below)[:, None]
        values = samples[below] * (1 - blend) + samples[below + 1] * blend
        return np.asarray(values, dtype=np.float32)

    def _scenario(
        self,
        rng: np.random.Generator,
        rest: np.random.Generator,
        index: int,
        n: int,
        **columns: Any,
    ) -> Scenario:
        """Spread n VMs over the slots, in random places, so that no slot is special."""
        slots = np.sort(rng.permutation(self.config.max_vms)[:n])
        present = np.zeros(self.config.max_vms, dtype=np.bool_)
        present[slots] = True
        padded = {name: _spread(value, slots, present) for name, value in columns.items()}
        resources = None
        if self.machine is not None:
            footprint = columns["footprint_bytes"].max(axis=0).astype(np.float64)
            resources = self.machine(rest, slots, columns["vcpus"], footprint)
        return Scenario(
            name=f"{self.trace.name}/{self.split}/{self.seed}/{index}",
            present=present,
            seed=int(rng.integers(0, 2**63)),
            knot_s=self.config.knot_s,
            resources=resources,
            **padded,
        )


_ALL_BITS = 2**64 - 1
_SPLIT_KEY = {"train": 0, "validation": 1, "test": 2}


def _spread(value: Any, slots: NDArray[np.int64], present: NDArray[np.bool_]) -> Any:
    """Put n VMs' values into their slots: demand is (K, n) float32, the rest is (n, ...)."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype == np.float32:
        demand = np.zeros((value.shape[0], present.size), dtype=np.float32)
        demand[:, slots] = value
        return demand
    return in_slots(value, slots, present.size)


def _fair_start(capacity: float, low: Floats, high: Floats) -> Floats:
    """Equal parts above the minimum, what exceeds a VM's maximum left free."""
    spare = max(capacity - low.sum(), 0.0) / low.size
    start: Floats = np.minimum(low + spare, high)
    return start
