"""What an agent remembers of VMs that change hosts: arrays per slot that follow who lives there.

A slot says where a VM is, not who it is. After each record the memory of a VM that has moved is
carried to its new slot, and a slot with somebody new starts blank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.cluster.telemetry import NOBODY, ClusterTelemetry, Ints
from gymbal_runtime.telemetry import Bools, Floats

Places = tuple[NDArray[np.int64], ...]
"""Indices of slots: clusters, hosts, slots of the same length."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Slots in which somebody else lives than before.

    Attributes:
        changed: places whose VM is another one, or gone.
        left: where VMs were that live elsewhere now.
        reached: where they live now, in the same order.
    """

    changed: Places
    left: Places
    reached: Places

    def carry(self, values: NDArray[np.floating]) -> None:
        """Move what is remembered, (C, H, V, ...), in place; NaN where nobody is known."""
        carried = values[self.left]
        values[self.changed] = np.nan
        values[self.reached] = carried


def changes_between(before: Ints, now: Ints) -> Changes | None:
    """Who moved between two records of identities (C, H, V); None where nobody did."""
    places = np.nonzero(before != now)
    if not len(places[0]):
        return None
    _, codes = np.unique(np.concatenate([before[places], now[places]]), return_inverse=True)
    count = len(places[0])
    # One number for an identity within its cluster.
    keys = codes + np.concatenate([places[0], places[0]]) * (2 * count)
    gone, come = keys[:count], keys[count:]
    was_held, is_held = before[places] != NOBODY, now[places] != NOBODY
    order = np.argsort(np.where(was_held, gone, -1), kind="stable")
    sought = np.where(is_held, come, -2)
    found = np.minimum(np.searchsorted(np.where(was_held, gone, -1)[order], sought), count - 1)
    origin = order[found]
    same = is_held & was_held[origin] & (gone[origin] == come)
    return Changes(
        changed=places,
        left=tuple(axis[origin[same]] for axis in places),
        reached=tuple(axis[same] for axis in places),
    )


@dataclass(eq=False)
class VmMemory:
    """Named arrays (C, H, V, ...) of one number or several per VM; NaN is *nothing known*."""

    arrays: dict[str, Floats] = field(default_factory=dict)
    vm_id: Ints = field(default_factory=lambda: np.zeros((0, 0, 0), dtype=np.int64))

    def follow(
        self, telemetry: ClusterTelemetry, widths: Mapping[str, tuple[int, ...]]
    ) -> Changes | None:
        """Bring the memory to this record: blank where its shape is new, carried where VMs moved.

        Args:
            telemetry: the record.
            widths: name of each array to its axes after (C, H, V).

        Returns:
            Who moved, left or came; None where nobody did.
        """
        shape = telemetry.shape
        if self.vm_id.shape != shape or set(self.arrays) != set(widths):
            self.vm_id = np.full(shape, NOBODY, dtype=np.int64)
            self.arrays = {name: np.full((*shape, *axes), np.nan) for name, axes in widths.items()}
        changes = changes_between(self.vm_id, telemetry.vm_id)
        if changes is not None:
            for values in self.arrays.values():
                changes.carry(values)
            self.vm_id = telemetry.vm_id.copy()
        return changes

    def forget(self, clusters: Bools | None = None) -> None:
        """Forget the marked clusters (C,), or everything."""
        if clusters is None:
            self.arrays, self.vm_id = {}, np.zeros((0, 0, 0), dtype=np.int64)
            return
        self.vm_id[clusters] = NOBODY
        for values in self.arrays.values():
            values[clusters] = np.nan
