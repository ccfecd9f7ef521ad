"""One host, its VMs and their demand: everything an episode needs, and nothing an agent may see."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.profiles import NUM_CURVE_SEGMENTS
from gymbal_envs.scenarios.resources import Resources
from gymbal_envs.simulator.params import Tier

Floats = NDArray[np.float64]


class ScenarioError(ValueError):
    """A scenario that no host could run."""


@dataclass(frozen=True, eq=False)
class Scenario:
    """A host with V VM slots over K demand knots.

    Raises:
        ScenarioError: if a field has the wrong shape or an impossible value.
    """

    name: str
    capacity_bytes: float  # memory for all guests
    cpu_cores: float
    tier: Tier
    present: NDArray[np.bool_]  # (V,)
    shares: Floats  # (V,)
    memory_max_bytes: Floats  # (V,)
    memory_min_bytes: Floats  # (V,)
    kernel_bytes: Floats  # (V,)
    unswappable_frac: Floats  # (V,)
    vcpus: Floats  # (V,)
    monitor: Floats  # (V,) 0, 1 or 2
    touch_rate: Floats  # (V,) 1/s
    dirty_frac: Floats  # (V,)
    overlap: Floats  # (V,)
    curve: Floats  # (V, NUM_CURVE_SEGMENTS + 1)
    working_set_bytes: NDArray[np.float32]  # (K, V) at each knot
    footprint_bytes: NDArray[np.float32]  # (K, V)
    cores: NDArray[np.float32]  # (K, V)
    initial_bytes: Floats  # (V,) how memory is divided at the start
    seed: int  # of the sensors' noise
    knot_s: float = 10.0  # seconds between demand knots
    resources: Resources | None = None  # what else is divided; None: memory and CPU time only

    def __post_init__(self) -> None:
        """Check shapes and feasibility."""
        v = self.present.shape[0]
        knots = self.working_set_bytes.shape[0]
        if knots < 2:
            raise ScenarioError(f"{self.name}: demand needs at least 2 knots, has {knots}")
        shapes: dict[str, tuple[int, ...]] = {
            "curve": (v, NUM_CURVE_SEGMENTS + 1),
            "working_set_bytes": (knots, v),
            "footprint_bytes": (knots, v),
            "cores": (knots, v),
        }
        for field in fields(self):
            value: Any = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                expected = shapes.get(field.name, (v,))
                if value.shape != expected:
                    raise ScenarioError(
                        f"{self.name}: {field.name} has shape {value.shape}, not {expected}"
                    )
        here = self.present
        if not here.any():
            raise ScenarioError(f"{self.name}: no VM is present")
        if np.any(self.memory_min_bytes[here] < self.kernel_bytes[here]):
            raise ScenarioError(f"{self.name}: memory_min_bytes lies below kernel_bytes")
        if self.memory_min_bytes[here].sum() > self.capacity_bytes:
            raise ScenarioError(
                f"{self.name}: the VMs' minimum memory ({self.memory_min_bytes[here].sum():.3g} "
                f"bytes) exceeds the host's {self.capacity_bytes:.3g}: remove VMs or lower it"
            )
        if self.resources is not None and self.resources.phase.shape != (knots, v):
            raise ScenarioError(
                f"{self.name}: resources are of {self.resources.phase.shape} knots x VMs, the "
                f"scenario of {(knots, v)}"
            )
        divided = self.resources is not None and self.resources.llc_bytes > 0
        if divided and np.any(self.resources.cpi_base[here] <= 0):  # type: ignore[union-attr]
            raise ScenarioError(f"{self.name}: cpi_base must be above 0 for every VM")
        if self.initial_bytes[here].sum() > self.capacity_bytes * (1 + 1e-9):
            raise ScenarioError(f"{self.name}: initial_bytes exceed capacity_bytes")

    @property
    def num_vms(self) -> int:
        """Number of VM slots, V."""
        return int(self.present.shape[0])

    @property
    def num_knots(self) -> int:
        """Number of demand knots, K."""
        return int(self.working_set_bytes.shape[0])
