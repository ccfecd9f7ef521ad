"""Two data centres, a WAN between them, and VMs that are to move: what an episode needs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.simulator.cluster.migration_layout import NUM_DIRTY, NUM_GROUPS, SIZE, TAU

Floats = NDArray[np.float64]

SEGMENT_BYTES = 1460.0
MATHIS = 1.22
"""sqrt(3/2), the constant of Mathis et al. (CCR 1997) for a receiver that acknowledges at once."""


@dataclass(frozen=True)
class Wan:
    """A line between two data centres.

    Attributes:
        bytes_s: capacity.
        rtt_s: round trip of an empty line.
        loss: part of the packets that are lost.
        connections: TCP connections that one copy is spread over.
    """

    bytes_s: float
    rtt_s: float
    loss: float = 1e-5
    connections: float = 16.0

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        for name in ("bytes_s", "rtt_s", "connections"):
            value = getattr(self, name)
            if not 0 < value < np.inf:
                raise ScenarioError(f"wan.{name} ({value}) must be above 0")
        if not 0 <= self.loss < 1:
            raise ScenarioError(f"wan.loss ({self.loss}) must lie in [0, 1)")

    @property
    def flow_limit_bytes_s(self) -> float:
        """The most that one copy gets: ``n C MSS / (RTT sqrt(p))`` (models.md 10)."""
        if self.loss == 0:
            return self.bytes_s
        each = MATHIS * SEGMENT_BYTES / (self.rtt_s * np.sqrt(self.loss))
        return float(min(self.bytes_s, self.connections * each))


@dataclass(frozen=True, eq=False)
class SitesScenario:
    """V VM slots over K knots of activity, and the line that they have to cross.

    Attributes:
        name: of the scenario.
        wan: the line.
        background: (K,) part of the line that others use, below 1.
        deadline_s: from then on a VM at the wrong site is worth nothing (by default).
        present: (V,) which slots hold a VM.
        shares: (V,) weights.
        away_cost: (V,) part of a VM's worth that is lost while it is at the wrong site.
        vcpus: (V,).
        memory_bytes: (V,) that hold data.
        dirty: (V, 3, 3) dirty groups [bytes, time constant s at activity 1, kind].
        disk_bytes: (V,).
        write_bytes_s: (V,) to the disk, at activity 1.
        write_set_bytes: (V,) part of the disk that these writes go to.
        commit_rate: (V,) 1/s at activity 1, waits for writes.
        memory_redundancy: (V,) part of the memory whose content the other site has.
        disk_redundancy: (V,) part of the disk.
        memory_hint: (V,) the same as samples say.
        disk_hint: (V,)
        activity: (K, V) 0..1, relative to the VM's own peak.
        seed: of the sensors' noise.
        knot_s: seconds between knots.

    Raises:
        ScenarioError: if a field has the wrong shape or an impossible value.
    """

    name: str
    wan: Wan
    background: NDArray[np.float32]
    deadline_s: float
    present: NDArray[np.bool_]
    shares: Floats
    away_cost: Floats
    vcpus: Floats
    memory_bytes: Floats
    dirty: Floats
    disk_bytes: Floats
    write_bytes_s: Floats
    write_set_bytes: Floats
    commit_rate: Floats
    memory_redundancy: Floats
    disk_redundancy: Floats
    memory_hint: Floats
    disk_hint: Floats
    activity: NDArray[np.float32]
    seed: int
    knot_s: float = 10.0

    def __post_init__(self) -> None:
        """Check shapes, then values."""
        self._check_shapes()
        self._check_values()

    @property
    def num_vms(self) -> int:
        """Number of VM slots, V."""
        return int(self.present.shape[0])

    @property
    def num_knots(self) -> int:
        """Number of knots, K."""
        return int(self.activity.shape[0])

    @property
    def load(self) -> float:
        """All that has to be copied over what the line could carry while others leave room."""
        total = float((self.memory_bytes + self.disk_bytes)[self.present].sum())
        seconds = (self.num_knots - 1) * self.knot_s
        room = self.wan.bytes_s * (1.0 - float(self.background.mean())) * seconds
        return total / room

    def _check_shapes(self) -> None:
        v, knots = self.num_vms, self.num_knots
        if knots < 2:
            raise ScenarioError(f"{self.name}: activity needs at least 2 knots, has {knots}")
        shapes: dict[str, tuple[int, ...]] = {
            "activity": (knots, v),
            "background": (knots,),
            "dirty": (v, NUM_GROUPS, NUM_DIRTY),
        }
        for each in fields(self):
            value: Any = getattr(self, each.name)
            if isinstance(value, np.ndarray):
                expected = shapes.get(each.name, (v,))
                if value.shape != expected:
                    raise ScenarioError(
                        f"{self.name}: {each.name} has shape {value.shape}, not {expected}"
                    )

    def _check_values(self) -> None:
        here = self.present
        if not here.any():
            raise ScenarioError(f"{self.name}: no VM is present")
        grouped = self.dirty[here, :, SIZE].sum(axis=1)
        rules: tuple[tuple[str, Any, str], ...] = (
            ("background", (self.background >= 0) & (self.background < 1), "must lie in [0, 1)"),
            ("activity", (self.activity >= 0) & (self.activity <= 1), "must lie in [0, 1]"),
            ("shares", self.shares[here] > 0, "must be above 0"),
            ("vcpus", self.vcpus[here] > 0, "must be above 0"),
            ("memory_bytes", self.memory_bytes[here] > 0, "must be above 0"),
            ("dirty", grouped <= self.memory_bytes[here] * (1 + 1e-9), "exceeds memory_bytes"),
            ("dirty", self.dirty[here, :, TAU] > 0, "needs time constants above 0"),
            ("write_set_bytes", self.write_set_bytes[here] <= self.disk_bytes[here],
             "must not exceed disk_bytes"),
        )  # fmt: skip
        for name, holds, rule in rules:
            if not np.all(holds):
                raise ScenarioError(f"{self.name}: {name} {rule}")
        for name in ("away_cost", "disk_bytes", "write_bytes_s", "write_set_bytes", "commit_rate"):
            if np.any(getattr(self, name)[here] < 0):
                raise ScenarioError(f"{self.name}: {name} must not be negative")
        for name in ("memory_redundancy", "disk_redundancy", "memory_hint", "disk_hint"):
            values = getattr(self, name)[here]
            if np.any((values < 0) | (values >= 1)):
                raise ScenarioError(f"{self.name}: {name} must lie in [0, 1)")
