"""Draws one host: its VMs' programs and demand, once it is said which VMs of a trace and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.trace import Trace
from gymbal_envs.scenarios.draws import Floats, in_slots, log_uniform
from gymbal_envs.scenarios.machine import MachineDraw
from gymbal_envs.scenarios.page_profiles import resolve_profiles
from gymbal_envs.scenarios.scenario import Scenario, ScenarioError
from gymbal_envs.scenarios.split import SplitName, split_trace
from gymbal_envs.simulator.excursions import fill_window
from gymbal_envs.simulator.params import MIB, TIERS, Tier

if TYPE_CHECKING:
    from gymbal_envs.scenarios.fleet import FleetConfig

Ints = NDArray[np.int64]


class HostDraw:
    """Draws hosts from the VMs and the time of one split.

    Args:
        trace: demand of a fleet.
        config: what to draw from.
        split: which VMs and which part of the time may be used.
        machine: draws cache and devices, too, and makes the VMs' CPU demand its own.

    Attributes:
        vms: rows of the trace that may be used.
        first: first sample that may be used.
        last: one past the last.
        window: samples of an episode.
        num_knots: demand knots of an episode.

    Raises:
        ScenarioError: if the split has no VM that is large enough.
    """

    def __init__(
        self,
        trace: Trace,
        config: FleetConfig,
        split: SplitName,
        machine: MachineDraw | None = None,
    ) -> None:
        self.trace, self.config, self.machine = trace, config, machine
        self.window = int(np.ceil(config.episode_s / trace.step_s)) + 1
        part = split_trace(trace, split, self.window)
        big = trace.memory_bytes[part.vms] >= config.smallest_vm_mib * MIB
        self.vms: Ints = part.vms[big]
        self.first, self.last = part.first, part.last
        if self.vms.size < 1:
            raise ScenarioError(
                f"{trace.name}: no VM of the {split} split has {config.smallest_vm_mib} MiB; "
                "lower smallest_vm_mib"
            )
        self._profiles = resolve_profiles(config.profiles)
        self.num_knots = config.num_knots

    def __call__(
        self,
        rng: np.random.Generator,
        rest: np.random.Generator,
        name: str,
        rows: Ints,
        samples: Ints,
        capacity_bytes: float | None = None,
        tier: Tier | None = None,
    ) -> Scenario:
        """Draw a host.

        Args:
            rng: of memory and programs.
            rest: of everything else.
            name: of the scenario.
            rows: (n,) VMs of the trace.
            samples: (n, window) when each of them is played.
            capacity_bytes: memory for guests; by default drawn from the configured load.
            tier: where the host swaps to; by default drawn from the configured ones.
        """
        cfg = self.config
        n = rows.size
        provisioned = self.trace.memory_bytes[rows]
        kernel = kernel_bytes(provisioned)
        room = provisioned - kernel
        levels = np.minimum(self.trace.active_frac[rows[:, None], samples].T * provisioned, room)
        levels = np.maximum(levels, 4 * MIB)
        working_set = self._filled(rng, levels, room)
        footprint_floor = rng.uniform(*cfg.footprint_frac, n) * room
        footprint = np.minimum(np.maximum(footprint_floor, 1.05 * working_set), room)
        picks = rng.integers(len(self._profiles), size=n)
        chosen = [self._profiles[i] for i in picks]
        relative = np.array([p.touch_rate_hz for p in chosen]) / 2000.0
        pressure = log_uniform(rng, cfg.fault_pressure_hz, n)
        memory_min = kernel + np.maximum(24 * MIB, 0.015 * provisioned)
        if capacity_bytes is None:
            load = rng.uniform(*cfg.load)
            capacity_bytes = float(working_set.sum(axis=1).max() / load + kernel.sum())
        capacity = max(capacity_bytes, 1.05 * float(memory_min.sum()))
        vcpus, cores = self._processors(rest, rows, samples)
        return self._scenario(
            rng,
            rest,
            name,
            n,
            capacity_bytes=capacity,
            cpu_cores=float(vcpus.sum() / rng.uniform(*cfg.cpu_overcommit)),
            tier=tier or TIERS[cfg.tiers[int(rng.integers(len(cfg.tiers)))]],
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
            initial_bytes=fair_start(capacity, memory_min, provisioned),
        )

    def _processors(
        self, rest: np.random.Generator, rows: Ints, samples: Ints
    ) -> tuple[Floats, NDArray[np.float32]]:
        """Cores (n,) that VMs have, and those that they want at knots (K, n)."""
        cpu = self.trace.cpu_frac[rows[:, None], samples].T
        if self.machine is None:
            vcpus = self.trace.cores[rows]
            return vcpus, self._interpolated(cpu * vcpus)
        vcpus = self.machine.vcpus(rest, rows.size)
        wanted = self._interpolated(cpu).astype(np.float64)
        return vcpus, self.machine.cores(rest, wanted, vcpus)

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
        name: str,
        n: int,
        **columns: Any,
    ) -> Scenario:
        """Spread n VMs over the slots, in random places, so that no slot is special."""
        slots = np.sort(rng.permutation(self.config.max_vms)[:n])
        present = np.zeros(self.config.max_vms, dtype=np.bool_)
        present[slots] = True
        padded = {key: _spread(value, slots, present) for key, value in columns.items()}
        resources = None
        if self.machine is not None:
            footprint = columns["footprint_bytes"].max(axis=0).astype(np.float64)
            resources = self.machine(rest, slots, columns["vcpus"], footprint)
        return Scenario(
            name=name,
            present=present,
            seed=int(rng.integers(0, 2**63)),
            knot_s=self.config.knot_s,
            resources=resources,
            **padded,
        )


def kernel_bytes(provisioned: Floats) -> Floats:
    """What a guest of this memory keeps for itself."""
    kernel: Floats = 48 * MIB + 0.01 * provisioned
    return kernel


def fair_start(capacity: float, low: Floats, high: Floats) -> Floats:
    """Equal parts above the minimum, what exceeds a VM's maximum left free."""
    spare = max(capacity - low.sum(), 0.0) / low.size
    start: Floats = np.minimum(low + spare, high)
    return start


def _spread(value: Any, slots: NDArray[np.int64], present: NDArray[np.bool_]) -> Any:
    """Put n VMs' values into their slots: demand is (K, n) float32, the rest is (n, ...)."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype == np.float32:
        demand = np.zeros((value.shape[0], present.size), dtype=np.float32)
        demand[:, slots] = value
        return demand
    return in_slots(value, slots, present.size)
