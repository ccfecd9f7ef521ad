"""How far latency-critical VMs are from their targets: what feedback controllers steer by."""

from __future__ import annotations

import numpy as np

from gymbal_runtime.heuristics.cache.limits import Ints
from gymbal_runtime.heuristics.cache.way_split import slot_rank
from gymbal_runtime.telemetry import Bools, Floats, Telemetry


def latency_critical(telemetry: Telemetry) -> Bools:
    """VMs (H, V) with more shares than the host's mean; all of them where shares are equal.

    Telemetry does not say whose latency matters: the owner's weight is what there is.
    """
    present = telemetry.present
    shares = np.ascontiguousarray(np.where(present, telemetry.shares, 0.0))
    mean = shares.sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    above = present & (shares > mean[:, None] * (1.0 + 1e-9))
    return np.where(above.any(axis=1)[:, None], above, present)


def slack(telemetry: Telemetry, stall_target: float) -> Floats:
    """What is left of each VM's target, (H, V): 1 - stall_frac / target; NaN if not measured.

    Tail latencies are not telemetry; the part of its time that a VM waits for memory is what a
    larger part of the cache can change.
    """
    return np.where(telemetry.present, 1.0 - telemetry.stall_frac / stall_target, np.nan)


def critical_classes(critical: Bools, present: Bools, parts: Ints) -> tuple[Ints, Bools]:
    """One class per critical VM, as far as classes go, and one for all others.

    Args:
        critical: (H, V) latency-critical VMs.
        present: (H, V) which slots hold a VM.
        parts: (H,) most classes in use.

    Returns:
        (H, V) class, critical ones first, the others' last; (H, C) classes of critical VMs.
    """
    others = (present & ~critical).any(axis=1)
    alone = critical.sum(axis=1)
    room = np.maximum(np.minimum(alone, parts - others), 1)
    rank = slot_rank(critical)
    vm_class = rank * room[:, None] // np.maximum(alone, 1)[:, None]
    # With a single class for everybody, the others are in it.
    last = np.where(room + others <= parts, room, room - 1)
    vm_class = np.where(critical, vm_class, last[:, None])
    slots = np.arange(present.shape[1])
    return vm_class, slots < room[:, None]


def least_of_class(values: Floats, vm_class: Ints, members: Bools) -> Floats:
    """Lowest known value among the marked members of each class, (H, C), inf where none is."""
    num_hosts, num_vms = values.shape
    row = (np.where(members, vm_class, 0) + num_vms * np.arange(num_hosts)[:, None]).ravel()
    usable = np.where(members & ~np.isnan(values), values, np.inf).ravel()
    lowest = np.full(num_hosts * num_vms, np.inf)
    np.minimum.at(lowest, row, usable)
    return lowest.reshape(num_hosts, num_vms)
