"""Telemetry of one host as plain JSON: for logs that can be replayed, and for other languages.

An object with the host's numbers and ``vms``, a list of one object per VM. Names are those of
`gymbal_runtime.telemetry.Telemetry`; what is missing or null was not measured, and a cap that
there is not is the text "inf".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import msgspec
import numpy as np

from gymbal_runtime.json_numbers import INFINITE, JsonNumber
from gymbal_runtime.slots import Slots
from gymbal_runtime.telemetry import (
    CONFIGURED_FIELDS,
    CURVE_FIELDS,
    HOST_ABILITY_FIELDS,
    MEASURED_FIELDS,
    UNBOUNDED_FIELDS,
    Telemetry,
    empty_telemetry,
)

MAX_VMS = 4096
"""VMs of a record that is read; none of more is a host's."""

_HOST_FIELDS = ("swap_latency_s", *HOST_ABILITY_FIELDS)
_DEFAULTS = {"shares": 1.0, "memory_min_bytes": 0.0}
_PLAIN_FIELDS = tuple(
    name for name in (*CONFIGURED_FIELDS, *MEASURED_FIELDS) if name not in CURVE_FIELDS
)
_TYPES = dict.fromkeys(CURVE_FIELDS, list[float | None] | None) | dict.fromkeys(
    UNBOUNDED_FIELDS, JsonNumber | None
)
_STRICT = {"kw_only": True, "forbid_unknown_fields": True, "omit_defaults": True}

# Made from telemetry's own tables, so that there is no second list of what is observable.
VmRecord: Any = msgspec.defstruct(
    "VmRecord",
    [
        ("name", Annotated[str, msgspec.Meta(min_length=1, max_length=256)]),
        *((name, float) for name in CONFIGURED_FIELDS if name not in _DEFAULTS),
        *((name, float, default) for name, default in _DEFAULTS.items()),
        *((name, _TYPES.get(name, float | None), None) for name in MEASURED_FIELDS),
    ],
    **_STRICT,  # type: ignore[arg-type]
)
HostRecord: Any = msgspec.defstruct(
    "HostRecord",
    [
        ("time_s", float),
        ("budget_bytes", float),
        ("vms", Annotated[list[VmRecord], msgspec.Meta(max_length=MAX_VMS)]),
        ("age_s", float, 0.0),
        *((name, float | None, None) for name in _HOST_FIELDS),
    ],
    **_STRICT,  # type: ignore[arg-type]
)


def record_of(telemetry: Telemetry, names: tuple[str, ...]) -> Any:
    """A `HostRecord` of the first host: its present VMs, in the order of their slots.

    A VM without finite configured values, on which nobody could decide, is left out.

    Args:
        telemetry: NaN and infinite values count as not measured (but for `UNBOUNDED_FIELDS`).
        names: of the VM in each slot.
    """
    configured = np.stack([getattr(telemetry, name)[0] for name in CONFIGURED_FIELDS])
    here = np.flatnonzero(telemetry.present[0] & np.isfinite(configured).all(axis=0))
    columns = np.stack([getattr(telemetry, name)[0, here] for name in _PLAIN_FIELDS])
    rows, known = columns.T.tolist(), np.isfinite(columns).T.tolist()
    curves = [_curves(telemetry, name, here) for name in CURVE_FIELDS]
    vms = []
    for index, slot in enumerate(here):
        entries = zip(_PLAIN_FIELDS, rows[index], known[index], strict=True)
        values: dict[str, Any] = {name: value for name, value, finite in entries if finite}
        values |= {
            n: INFINITE for n in UNBOUNDED_FIELDS if getattr(telemetry, n)[0, slot] == np.inf
        }
        values |= {name: curve[index] for name, curve in zip(CURVE_FIELDS, curves, strict=True)}
        vms.append(VmRecord(name=names[slot], **values))
    return HostRecord(
        time_s=float(telemetry.time_s[0]),
        age_s=float(telemetry.age_s[0]),
        budget_bytes=float(telemetry.budget_bytes[0]),
        vms=vms,
        **{name: _number(getattr(telemetry, name)[0]) for name in _HOST_FIELDS},
    )


def telemetry_of(record: Any, slots: Slots) -> tuple[Telemetry, tuple[str, ...]]:
    """The telemetry of a `HostRecord`, and the name of the VM in each slot.

    Args:
        record: as decoded.
        slots: keeps VMs of the same name where they were in earlier records.

    Raises:
        ValueError: two VMs have the same name, or a curve has another length than it should.
    """
    settled = slots.settle([vm.name for vm in record.vms])
    taken = [(vm, slot) for vm, slot in zip(record.vms, settled, strict=True) if slot is not None]
    chosen = [slot for _, slot in taken]
    telemetry = empty_telemetry(1, len(slots.keys))
    telemetry.present[0, chosen] = True
    for name in (*CONFIGURED_FIELDS, *MEASURED_FIELDS):
        column = getattr(telemetry, name)
        values = [getattr(vm, name) for vm, _ in taken]
        if name in CURVE_FIELDS:
            values = [_curve(name, value) for value in values]
        if values:
            column[0, chosen] = np.array(values, dtype=np.float64)
    host = {name: _array(getattr(record, name)) for name in _HOST_FIELDS}
    own = {name: _array(getattr(record, name)) for name in ("time_s", "age_s", "budget_bytes")}
    return replace(telemetry, **host, **own), slots.keys


def _array(value: float | None) -> np.ndarray[Any, Any]:
    return np.array([np.nan if value is None else value], dtype=np.float64)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _curves(telemetry: Telemetry, name: str, here: Any) -> list[Any]:
    """The curve of each of these VMs, None where nothing of it was measured."""
    values = getattr(telemetry, name)[0, here]
    known = np.isfinite(values)
    whole = values.tolist()
    return [
        whole[row] if known[row].all() else [_number(v) for v in whole[row]] if some else None
        for row, some in enumerate(known.any(axis=1))
    ]


def _curve(name: str, values: list[float | None] | None) -> list[float | None]:
    length = CURVE_FIELDS[name]
    if values is None:
        return [None] * length
    if len(values) != length:
        raise ValueError(f"{name} has {len(values)} values, expected {length}")
    return values
