"""Plans that an oracle tries in copies of the world: what each commands at every decision."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.oracles.optimal_clusters import optimal_clusters
from gymbal_agents.oracles.optimal_parts import optimal_parts
from gymbal_agents.oracles.optimal_split import optimal_splits
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_runtime.command import Command
from gymbal_runtime.tasks import BALLOON, CACHE, HOST

Floats = NDArray[np.float64]
Window = tuple[float, float]

SPLIT_WINDOWS = ((0.0, 10.0), (10.0, 20.0), (0.0, 30.0), (0.0, 60.0), (0.0, 180.0), (0.0, 600.0))
PART_WINDOWS = ((0.0, 5.0), (0.0, 20.0), (0.0, 60.0), (0.0, 180.0), (0.0, 600.0))
"""Seconds of future demand, from each decision, that a division is the best for."""


class Planner(Protocol):
    """Several plans, tried side by side."""

    @property
    def num_plans(self) -> int:
        """P."""
        ...

    def __call__(self, engine: Engine, num_worlds: int, step: int) -> Command:
        """What every plan does now.

        Args:
            engine: of P * B worlds; worlds i B to (i + 1) B follow plan i.
            num_worlds: B.
            step: decisions since the plans began.

        Returns:
            A command for all of them.
        """
        ...


def best_split(engine: Engine, start_s: Floats, end_s: Floats) -> Floats:
    """Optimal memory split for the true demand of a window, for the engine's first worlds.

    Args:
        engine: the worlds.
        start_s: (N,) seconds from now where each world's window begins, N <= B.
        end_s: (N,) seconds from now where it ends.

    Returns:
        (N, V) bytes.
    """
    first, last = _knots(engine, start_s, end_s)
    n = first.size
    wait = np.maximum(engine.host[:n, at.WAIT], engine.world_host[:n, at.TIER_LATENCY])
    targets = np.zeros((n, engine.num_vms))
    optimal_splits(
        engine.world_vm, engine.world_host, engine.curve, engine.demand, wait, first, last, targets
    )
    return targets


def best_parts(engine: Engine, start_s: Floats, end_s: Floats) -> tuple[Floats, Floats]:
    """Optimal division of the cache for the true demand of a window, for the first worlds.

    Returns:
        (N, V) classes and (N, V) units; see `best_split` for the arguments.
    """
    first, last = _knots(engine, start_s, end_s)
    n = first.size
    classes, units = np.zeros((n, engine.num_vms)), np.zeros((n, engine.num_vms))
    optimal_parts(
        engine.world_vm, engine.world_host, engine.programs, engine.demand,
        np.ascontiguousarray(engine.host[:, at.LATENCY_FACTOR]), first, last, classes, units,
    )  # fmt: skip
    return classes, units


def best_clusters(engine: Engine, ahead_s: Floats) -> tuple[Floats, Floats]:
    """Best division found between groups of VMs, for the programs that run in some seconds.

    Args:
        engine: the worlds; the first N are divided, and all of them are in the same state.
        ahead_s: (N,) seconds from now.

    Returns:
        (N, V) classes and (N, V) units.
    """
    knot, _ = _knots(engine, ahead_s, ahead_s)
    n = knot.size
    classes, units = np.zeros((n, engine.num_vms)), np.zeros((n, engine.num_vms))
    latency = np.ascontiguousarray(engine.host[:, at.LATENCY_FACTOR])

    def divide(edges: tuple[int, int]) -> None:
        optimal_clusters(
            edges[0], edges[1], engine.world_vm, engine.world_host, engine.programs, engine.demand,
            engine.vm, latency, knot, classes, units,
        )  # fmt: skip

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(divide, [(0, n // 2), (n // 2, n)]))
    return classes, units


@dataclass(frozen=True)
class SplitPlans:
    """Follow the optimal split for a moving window, fully or half-way, or change nothing."""

    windows: tuple[Window, ...] = SPLIT_WINDOWS

    @property
    def num_plans(self) -> int:
        """Two plans a window and one that stays."""
        return 2 * len(self.windows) + 1

    def __call__(self, engine: Engine, num_worlds: int, step: int = 0) -> Command:
        """Targets of every plan for every world."""
        b = num_worlds
        actual = engine.vm[:, at.ACTUAL]
        starts, ends = np.array(self.windows).T
        halves = len(self.windows) * b
        whole = best_split(engine, np.repeat(starts, b), np.repeat(ends, b))
        half = 0.5 * (whole + actual[halves : 2 * halves])
        return Command(balloon_bytes=np.concatenate([whole, half, actual[2 * halves :]]))


@dataclass(frozen=True)
class PartPlans:
    """Divide the cache once and leave it so; or share all of it, or stay.

    Divided optimally between single VMs for some windows of future demand, and between groups of
    VMs (`optimal_clusters`) for the programs of some instants to come.
    """

    windows: tuple[Window, ...] = PART_WINDOWS
    instants_s: tuple[float, ...] = (0.0, 10.0, 30.0)

    @property
    def num_plans(self) -> int:
        """One plan a window and an instant, one that shares and one that stays."""
        return len(self.windows) + len(self.instants_s) + 2

    def __call__(self, engine: Engine, num_worlds: int, step: int = 0) -> Command:
        """Classes and units of every plan for every world."""
        b, v = num_worlds, engine.num_vms
        command = Command.no_change(self.num_plans * b, v)
        if step > 0:
            return command
        starts, ends = np.array(self.windows).T
        classes, units = best_parts(engine, np.repeat(starts, b), np.repeat(ends, b))
        grouped, shared = best_clusters(engine, np.repeat(np.array(self.instants_s), b))
        present = engine.world_vm[:b, at.PRESENT] > 0
        together = np.where(present, 0.0, np.nan)
        everything = np.where(present, engine.world_host[:b, at.LLC_UNITS, None], np.nan)
        leave = np.full((b, v), np.nan)
        return replace(
            command,
            llc_class=np.concatenate([classes, grouped, together, leave]),
            llc_units=np.concatenate([units, shared, everything, leave]),
        )


@dataclass(frozen=True)
class HostPlans:
    """All resources at once: memory by window, with the cache's optimum, and devices as they are.

    Weights favour the VMs whose progress costs the fewest cores, within a quarter and four times
    the owner's; the last plans differ in who has a device. Monitors are off: it knows everything.
    """

    split: SplitPlans = field(
        default_factory=lambda: SplitPlans(((0.0, 10.0), (0.0, 60.0), (0.0, 600.0)))
    )
    part_window: Window = (0.0, 30.0)

    @property
    def num_plans(self) -> int:
        """Each split plan three times: devices as they are, owners' weights, other devices."""
        return 3 * self.split.num_plans

    def __call__(self, engine: Engine, num_worlds: int, step: int = 0) -> Command:
        """The command of every plan for every world."""
        b = num_worlds
        third = self.split.num_plans * b
        total = 3 * third
        parts = best_parts(
            engine, np.full(total, self.part_window[0]), np.full(total, self.part_window[1])
        )
        actual = engine.vm[:, at.ACTUAL]
        splits = [self._splits(engine, slice(n * third, (n + 1) * third), b) for n in range(3)]
        weights = efficient_weights(engine)
        weights[third : 2 * third] = engine.world_vm[third : 2 * third, at.SHARES]
        modes = np.full(actual.shape, np.nan)
        modes[2 * third :] = best_modes(engine)[2 * third :]
        return Command(
            balloon_bytes=np.concatenate(splits),
            llc_class=parts[0],
            llc_units=parts[1],
            cpu_weight=np.where(weights > 0, weights, np.nan),
            device_mode=modes,
            monitor_level=np.where(engine.world_vm[:, at.PRESENT] > 0, 0.0, np.nan),
        )

    def _splits(self, engine: Engine, rows: slice, b: int) -> Floats:
        """The split plans of a third of the worlds, each from its own state."""
        starts, ends = np.array(self.split.windows).T
        halves = len(self.split.windows) * b
        first, last = _knots(engine, np.repeat(starts, b), np.repeat(ends, b))
        whole = np.zeros((halves, engine.num_vms))
        wait = np.maximum(engine.host[rows, at.WAIT], engine.world_host[rows, at.TIER_LATENCY])
        optimal_splits(
            engine.world_vm[rows], engine.world_host[rows], engine.curve[rows],
            engine.demand[rows], wait[:halves], first, last, whole,
        )  # fmt: skip
        held = engine.vm[rows, at.ACTUAL]
        return np.concatenate(
            [whole, 0.5 * (whole + held[halves : 2 * halves]), held[2 * halves :]]
        )


PLANNERS: dict[str, Callable[[], Planner]] = {
    BALLOON: SplitPlans,
    CACHE: PartPlans,
    HOST: HostPlans,
}


def plan_now(engine: Engine, task: str, window: Window = (0.0, 10.0)) -> Command:
    """The optimum for the true demand of the next seconds, all resources of the task."""
    whole = np.ones(engine.num_worlds)
    start, end = whole * window[0], whole * window[1]
    command = Command.no_change(engine.num_worlds, engine.num_vms)
    if task in (BALLOON, HOST):
        command = replace(command, balloon_bytes=best_split(engine, start, end))
    if task in (CACHE, HOST):
        classes, units = best_clusters(engine, start)
        command = replace(command, llc_class=classes, llc_units=units)
    if task == HOST:
        command = replace(
            command,
            cpu_weight=efficient_weights(engine),
            device_mode=best_modes(engine),
            monitor_level=np.zeros((engine.num_worlds, engine.num_vms)),
        )
    return command


def efficient_weights(engine: Engine) -> Floats:
    """(B, V) weights that favour progress per core: owner's shares by shares per wanted core."""
    shares, wanted = engine.world_vm[:, at.SHARES], engine.vm[:, at.WANTED_CORES]
    present = engine.world_vm[:, at.PRESENT] > 0
    worth = np.where(present, shares / np.maximum(wanted, 1e-6), np.nan)
    with np.errstate(all="ignore"):
        relative = worth / np.nanmedian(worth, axis=1, keepdims=True)
    weights: Floats = shares * np.clip(np.where(present, relative, 1.0), 0.25, 4.0)
    return weights


def best_modes(engine: Engine) -> Floats:
    """(B, V) device modes: slots to those who lose most of their owner's progress without."""
    wanted = engine.vm[:, at.IO_WANTED]
    limit = engine.params.devices.emulated_bytes_s
    missing = 1.0 - np.minimum(limit / np.maximum(wanted, 1.0), 1.0)
    score = engine.world_vm[:, at.SHARES] * (
        engine.world_vm[:, at.IO_WEIGHT] * missing + 1e-12 * wanted
    )
    order = np.argsort(np.argsort(-score, axis=1, kind="stable"), axis=1, kind="stable")
    granted = (order < engine.world_host[:, at.DEVICE_SLOTS, None]) & (score > 0)
    return np.where(engine.world_vm[:, at.PRESENT] > 0, granted.astype(np.float64), np.nan)


def _knots(
    engine: Engine, start_s: Floats, end_s: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    n = start_s.shape[0]
    knot = engine.host[:n, at.TICK] * engine.params.clock.tick_s / engine.params.knot_s
    first = (knot + start_s / engine.params.knot_s).astype(np.int64)
    last = np.maximum((knot + end_s / engine.params.knot_s).astype(np.int64), first + 1)
    return first, last
