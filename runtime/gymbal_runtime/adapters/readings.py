"""Merging what the parts of a host read into one record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.telemetry import (
    CURVE_FIELDS,
    PER_HOST_FIELDS,
    Telemetry,
    empty_telemetry,
)

Floats = NDArray[np.float64]

OWN_FIELDS = ("time_s", "age_s", "budget_bytes", "present")
"""Fields that the combined host fills in itself. A part may report the ``age_s`` of its values."""

_FIELDS = frozenset(field.name for field in fields(Telemetry)) - set(OWN_FIELDS)


class Readings:
    """Values by telemetry field, over the VMs of a host; what a later part measured wins.

    Args:
        num_vms: V, in the hypervisor's order.
    """

    def __init__(self, num_vms: int) -> None:
        self._num_vms = num_vms
        self._values: dict[str, Floats] = {}

    def add(self, read: Mapping[str, Any]) -> list[str]:
        """Take over what a part read.

        Returns:
            What could not be taken over, in words.
        """
        wrong = []
        for name, given in read.items():
            if name in OWN_FIELDS:
                continue
            shape = self._shape(name)
            if name not in _FIELDS:
                wrong.append(f"there is no telemetry field {name!r}")
                continue
            try:
                values = np.asarray(given, dtype=np.float64)
            except (TypeError, ValueError) as error:
                wrong.append(f"{name} is not numbers: {error}")
                continue
            if values.shape != shape:
                wrong.append(f"{name} has shape {values.shape}, expected {shape}")
                continue
            known = self._values.get(name, values)
            self._values[name] = np.where(np.isnan(values), known, values)
        return wrong

    def of_vms(self, name: str) -> Floats:
        """(V,) or (V, K) values of a field; NaN where nobody measured it."""
        return self._values.get(name, np.full(self._shape(name), np.nan))

    def record(self, slots: Sequence[int | None], num_slots: int) -> Telemetry:
        """The record of one host; time, age, budget and presence are still to be filled in.

        Args:
            slots: of each VM; None leaves it out.
            num_slots: of the record.
        """
        record = empty_telemetry(1, num_slots)
        taken = [vm for vm, slot in enumerate(slots) if slot is not None]
        chosen = [slot for slot in slots if slot is not None]
        for name, values in self._values.items():
            column = getattr(record, name)
            if name in PER_HOST_FIELDS:
                column[0] = values
            else:
                column[0, chosen] = values[taken]
        # A hypervisor without weights has equal ones; one without floors has none.
        record.shares[np.isnan(record.shares)] = 1.0
        record.memory_min_bytes[np.isnan(record.memory_min_bytes)] = 0.0
        return record

    def _shape(self, name: str) -> tuple[int, ...]:
        if name in PER_HOST_FIELDS:
            return ()
        if name in CURVE_FIELDS:
            return (self._num_vms, CURVE_FIELDS[name])
        return (self._num_vms,)
