"""Weights for the CPU scheduler: the owner's, and two that listen to the VMs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.heuristics.periodic import check_range
from gymbal_runtime.heuristics.readings import known, shares
from gymbal_runtime.heuristics.resource import ResourceHeuristic
from gymbal_runtime.heuristics.split import host_sum
from gymbal_runtime.moving_average import smoothed
from gymbal_runtime.telemetry import Bools, Floats, Telemetry


def wanted_cores(telemetry: Telemetry) -> Floats:
    """CPU that each VM would use if it were granted, (H, V) cores, 0 where absent or unknown.

    What it used over the fraction that it got; a VM that got less than 1 % is taken to want a
    hundred times what it used.
    """
    used = known(telemetry.cpu_cores, 0.0, telemetry.present)
    stolen = known(telemetry.steal_frac, 0.0, telemetry.present)
    return np.asarray(used / np.clip(1.0 - stolen, 0.01, 1.0))


@dataclass(frozen=True, eq=False)
class OwnerWeights(ResourceHeuristic):
    """The weight of each VM is the one that its owner configured (``shares``), for good."""

    DECIDES: ClassVar[str] = "cpu_weight"
    name = "owner_weights"

    def _decide(self, telemetry: Telemetry, memory: dict[str, Floats]) -> Floats:
        return shares(telemetry)


@dataclass(frozen=True, eq=False)
class _BoostedWeights(ResourceHeuristic):
    """Owner's weight times a boost per VM that moves one bounded step a decision."""

    DECIDES: ClassVar[str] = "cpu_weight"

    step: float = 1.25
    max_boost: float = 4.0
    period_s: float = 5.0

    def __post_init__(self) -> None:
        check_range(self.name, step=(self.step, 1.0, 4.0), max_boost=(self.max_boost, 1.0, 1000.0))

    def _memory_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        return {"log_boost": (num_hosts, num_vms)}

    def _stepped(self, log_boost: Floats, direction: Floats) -> Floats:
        """The boost's logarithm after a step up (1) or down (-1), (H, V).

        Direction 0 is a step back to the owner's weight, NaN is no step.
        """
        step, limit = np.log(self.step), np.log(self.max_boost)
        back = log_boost - np.clip(log_boost, -step, step)
        moved = np.where(direction == 0.0, back, log_boost + direction * step)
        moved = np.where(np.isnan(direction), log_boost, moved)
        bounded: Floats = np.clip(moved, -limit, limit)
        return bounded


@dataclass(frozen=True, eq=False)
class StealFeedback(_BoostedWeights):
    """Move weight to VMs that lose more of their wanted CPU time per core that would cure it.

    A starved VM (steal above ``tolerance``) of shares s that wants d cores would regain s / d of
    weighted progress per core granted. Those above the host's mean (over the cores that are
    lacking) go up a step, those below go down a step, those near it stay; who is not starved
    returns to the owner's weight. If a host's share-weighted loss has grown by more than
    ``hurt_frac`` since its last step, the step is taken back and none follows for ``hold_s``.

    Source: the loop (one bounded step, watch, take back what hurt) is that of Lo et al.,
    "Heracles", ISCA 2015, and Chen et al., "PARTIES", ASPLOS 2019; the measure and all constants
    are ours.

    Attributes:
        tolerance: 1, steal up to which a VM is not starved.
        band_frac: 1, distance from the mean within which a VM stays as it is.
        smoothing_s: s, time constant of the averages of steal and wanted cores.
        hurt_frac: 1, growth of the loss that takes a step back.
        hold_s: s without steps thereafter.
        step: 1, factor of a step.
        max_boost: 1, largest factor (and its inverse the least) on the owner's weight.
        period_s: s.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "tolerance": (0.0, 0.2),
        "band_frac": (0.0, 1.0),
        "smoothing_s": (0.0, 120.0),
        "hurt_frac": (0.01, 1.0),
        "hold_s": (0.0, 300.0),
        "step": (1.02, 2.0),
        "max_boost": (1.0, 16.0),
    }
    name = "steal_feedback"

    tolerance: float = 0.02
    band_frac: float = 0.2
    smoothing_s: float = 15.0
    hurt_frac: float = 0.1
    hold_s: float = 30.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(
            self.name,
            tolerance=(self.tolerance, 0.0, 1.0),
            band_frac=(self.band_frac, 0.0, np.inf),
            smoothing_s=(self.smoothing_s, 0.0, np.inf),
            hurt_frac=(self.hurt_frac, 0.0, np.inf),
            hold_s=(self.hold_s, 0.0, np.inf),
        )

    def _memory_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        shape = (num_hosts, num_vms)
        per_vm = ("steal", "cores", "undo")
        per_host = ("loss", "held_s")
        shapes = dict.fromkeys(per_vm, shape) | dict.fromkeys(per_host, (num_hosts,))
        return super()._memory_shapes(*shape) | shapes

    def _decide(self, telemetry: Telemetry, memory: dict[str, Floats]) -> Floats:
        elapsed = memory["elapsed_s"]
        for name, value in (
            ("steal", telemetry.steal_frac),
            ("cores", np.where(np.isnan(telemetry.steal_frac), np.nan, wanted_cores(telemetry))),
        ):
            memory[name] = smoothed(memory[name], value, elapsed, self.smoothing_s)
        log_boost = np.nan_to_num(memory["log_boost"])
        loss = self._loss(telemetry, memory)
        undo = np.nan_to_num(memory["undo"])
        hurt = loss > memory["loss"] * (1.0 + self.hurt_frac) + 1e-3
        hurt &= (undo != 0.0).any(axis=-1)  # no step did it
        held_s = np.maximum(np.nan_to_num(memory["held_s"]) - np.nan_to_num(elapsed[:, 0]), 0.0)
        held = hurt | (held_s > 0.0)
        stepped = self._stepped(log_boost, self._direction(telemetry, memory))
        moved = np.where(
            hurt[:, None], log_boost - undo, np.where(held[:, None], log_boost, stepped)
        )
        memory["undo"] = np.where(held[:, None], 0.0, moved - log_boost)
        memory["held_s"] = np.where(hurt, self.hold_s, held_s)
        memory["loss"], memory["log_boost"] = loss, moved
        return shares(telemetry) * np.exp(moved)

    def _loss(self, telemetry: Telemetry, memory: dict[str, Floats]) -> Floats:
        """Share-weighted mean (H,) of the wanted CPU time that was not granted."""
        weight = shares(telemetry)
        lost = host_sum(weight * np.nan_to_num(memory["steal"]), telemetry.present)
        return np.asarray(lost / np.maximum(host_sum(weight, telemetry.present), 1e-300))

    def _direction(self, telemetry: Telemetry, memory: dict[str, Floats]) -> Floats:
        """Who goes up (1), down (-1), back to the owner's weight (0) or stays (NaN), (H, V)."""
        steal, cores = np.nan_to_num(memory["steal"]), np.nan_to_num(memory["cores"])
        starved: Bools = telemetry.present & (steal > self.tolerance) & (cores > 0.0)
        value = np.where(starved, shares(telemetry) / np.maximum(cores, 1e-9), 0.0)
        lacking = np.where(starved, steal * cores, 0.0)
        total = np.maximum(host_sum(lacking, telemetry.present), 1e-300)
        mean = (host_sum(lacking * value, telemetry.present) / total)[:, None]
        up = value > mean * (1.0 + self.band_frac)
        down = value < mean * (1.0 - self.band_frac)
        # A starved VM near the mean: alone it is its own mean, and keeps what it has.
        near = np.where(up, 1.0, np.where(down, -1.0, np.nan))
        return np.where(starved, near, 0.0)


@dataclass(frozen=True, eq=False)
class LatencyBoost(_BoostedWeights):
    """More weight for VMs that sleep much and wait long for a core when they wake.

    A VM that uses at most ``max_cores`` and waits longer than ``target_delay_s`` goes up a step;
    one that waits less than half of it, or is busy, returns to the owner's weight. Kin of the
    BOOST priority of Xen's credit scheduler (models.md 9), by weights; the constants are ours.

    Attributes:
        target_delay_s: s of waiting per wake-up that are sought.
        max_cores: cores up to which a VM counts as waiting for work rather than working.
        smoothing_s: s, time constant of the average of the waits.
        step: 1, factor of a step.
        max_boost: 1, largest factor on the owner's weight.
        period_s: s.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "target_delay_s": (1e-4, 0.1),
        "max_cores": (0.1, 8.0),
        "smoothing_s": (0.0, 120.0),
        "step": (1.02, 2.0),
        "max_boost": (1.0, 16.0),
    }
    name = "latency_boost"

    target_delay_s: float = 5e-3
    max_cores: float = 1.0
    smoothing_s: float = 15.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(
            self.name,
            target_delay_s=(self.target_delay_s, 0.0, np.inf),
            max_cores=(self.max_cores, 0.0, np.inf),
            smoothing_s=(self.smoothing_s, 0.0, np.inf),
        )

    def _memory_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        shape = (num_hosts, num_vms)
        return super()._memory_shapes(*shape) | {"delay_s": shape}

    def _decide(self, telemetry: Telemetry, memory: dict[str, Floats]) -> Floats:
        delay = smoothed(
            memory["delay_s"], telemetry.wakeup_delay_s, memory["elapsed_s"], self.smoothing_s
        )
        idle = known(telemetry.cpu_cores, 0.0, telemetry.present) <= self.max_cores
        log_boost = np.nan_to_num(memory["log_boost"])
        rises = idle & (delay > self.target_delay_s)
        content = ~idle | ~(delay >= 0.5 * self.target_delay_s)
        direction = np.where(rises, 1.0, np.where(content, 0.0, np.nan))
        moved = self._stepped(log_boost, direction)
        memory["delay_s"], memory["log_boost"] = delay, moved
        return shares(telemetry) * np.exp(moved)


CPU_HEURISTICS = (OwnerWeights, StealFeedback, LatencyBoost)
