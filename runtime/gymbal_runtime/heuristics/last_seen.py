"""The last histogram of every VM, for those who decide while its monitor is off."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from gymbal_runtime.slot_memory import forget, only_present
from gymbal_runtime.telemetry import NUM_LLC_POINTS, NUM_LRU_SLICES, Bools, Floats, Telemetry


@dataclass(frozen=True, eq=False)
class LastSeen:
    """Remembers histograms and miss curves, and fills them in where they are not measured.

    A histogram's slices are eighths of the allocation under which it was seen, so it is laid out
    anew over the present one. A miss curve follows the counted accesses to the cache. Both are as
    good as the phase is the same: that is for who switches monitors to watch.
    """

    _state: dict[str, Floats] = field(init=False, repr=False, default_factory=dict)

    def reset(self, num_hosts: int, num_vms: int, hosts: Bools | None = None) -> None:
        """Forget the marked hosts (H,), all where ``hosts`` is None or the shape is a new one."""
        shape = (num_hosts, num_vms)
        per_vm = dict.fromkeys(("actual_bytes", "fault_rate", "reference_rate"), shape)
        shapes = {
            **per_vm,
            "lru_hit_rate": (*shape, NUM_LRU_SLICES),
            "llc_miss_curve": (*shape, NUM_LLC_POINTS),
        }
        forget(self._state, shapes, hosts)

    def filled(self, telemetry: Telemetry) -> Telemetry:
        """The record, with the last histogram and miss curve of VMs that have none now.

        Raises:
            ValueError: if the record does not have the shape that ``reset`` announced.
        """
        shape = telemetry.present.shape
        if not self._state:
            self.reset(*shape)
        if self._state["actual_bytes"].shape != shape:
            expected = self._state["actual_bytes"].shape
            raise ValueError(f"last seen was reset for {expected} hosts x VMs, got {shape}")
        self._state.update(only_present(self._state, telemetry.present))
        with np.errstate(all="ignore"):
            self._remember(telemetry)
            hits, curve = self._histogram(telemetry), self._curve(telemetry)
        return replace(telemetry, lru_hit_rate=hits, llc_miss_curve=curve)

    def _remember(self, telemetry: Telemetry) -> None:
        state = self._state
        seen = telemetry.present & np.isfinite(telemetry.lru_hit_rate).all(axis=-1)
        for name, value in (
            ("lru_hit_rate", telemetry.lru_hit_rate),
            ("actual_bytes", telemetry.actual_bytes),
            ("fault_rate", telemetry.major_fault_rate),
        ):
            mask = seen[..., None] if value.ndim == 3 else seen
            state[name] = np.where(mask, value, state[name])
        drawn = telemetry.present & np.isfinite(telemetry.llc_miss_curve).all(axis=-1)
        state["llc_miss_curve"] = np.where(
            drawn[..., None], telemetry.llc_miss_curve, state["llc_miss_curve"]
        )
        state["reference_rate"] = np.where(
            drawn, telemetry.llc_reference_rate, state["reference_rate"]
        )

    def _histogram(self, telemetry: Telemetry) -> Floats:
        """(H, V, NUM_LRU_SLICES) 1/s: measured, else remembered, else NaN."""
        state = self._state
        # What missed then and does not now hits between the two allocations.
        gained = np.nan_to_num(np.maximum(state["fault_rate"] - telemetry.major_fault_rate, 0.0))
        scale = telemetry.actual_bytes / state["actual_bytes"]
        old = rescaled_histogram(state["lru_hit_rate"], scale, gained)
        measured = np.isfinite(telemetry.lru_hit_rate).all(axis=-1, keepdims=True)
        return np.where(measured, telemetry.lru_hit_rate, old)

    def _curve(self, telemetry: Telemetry) -> Floats:
        """(H, V, NUM_LLC_POINTS) misses/s: measured, else remembered, else NaN."""
        speed = telemetry.llc_reference_rate / self._state["reference_rate"]
        old = self._state["llc_miss_curve"] * np.where(np.isfinite(speed), speed, 1.0)[..., None]
        measured = np.isfinite(telemetry.llc_miss_curve).all(axis=-1, keepdims=True)
        return np.where(measured, telemetry.llc_miss_curve, old)


def rescaled_histogram(hit_rate: Floats, scale: Floats, gained: Floats) -> Floats:
    """An LRU histogram laid out over another allocation.

    Distances are spread evenly within a slice. Those beyond a smaller allocation are dropped: they
    are misses now, and counted as such. Into the part that a larger one has more go the accesses
    that it gained.

    Args:
        hit_rate: (..., NUM_LRU_SLICES) 1/s, accesses by eighth of the allocation then.
        scale: (...) 1, the allocation now over that of then.
        gained: (...) 1/s, accesses whose distance lies between the two, where there is more now.

    Returns:
        (..., NUM_LRU_SLICES) 1/s, accesses by eighth of the allocation now.
    """
    below = np.zeros((*hit_rate.shape[:-1], NUM_LRU_SLICES + 1))
    np.cumsum(hit_rate, axis=-1, out=below[..., 1:])
    # Edges of the new slices, in slices of then.
    edges = np.arange(NUM_LRU_SLICES + 1.0) * scale[..., None]
    edges = np.where(np.isfinite(edges), np.maximum(edges, 0.0), 0.0)
    last = np.minimum(edges.astype(np.int64), NUM_LRU_SLICES - 1)
    within = np.minimum(edges - last, 1.0) * np.take_along_axis(hit_rate, last, axis=-1)
    room = np.maximum(edges[..., -1:] - NUM_LRU_SLICES, 0.0)
    beyond = np.maximum(edges - NUM_LRU_SLICES, 0.0) / np.where(room > 0.0, room, 1.0)
    reached = np.take_along_axis(below, last, axis=-1) + within + beyond * gained[..., None]
    rescaled: Floats = np.maximum(np.diff(reached, axis=-1), 0.0)
    return rescaled
