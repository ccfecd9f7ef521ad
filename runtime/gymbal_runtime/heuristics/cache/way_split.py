"""How whole units of a cache are given to classes of VMs: arithmetic that every rule shares.

A class axis is as long as the VM axis (C = V): there are never more classes than VMs. ``vm_class``
arrays hold 0, 1, ... for present VMs; what absent slots hold means nothing.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.heuristics.cache.limits import CacheLimits, Ints
from gymbal_runtime.telemetry import Bools, Floats

Number = TypeVar("Number", np.float64, np.int64)


def class_sum(values: Floats, vm_class: Ints, present: Bools) -> Floats:
    """Sum over the members of each class, in slot order.

    Args:
        values: (H, V) finite for present VMs.
        vm_class: (H, V) in 0 .. V - 1 for present VMs.
        present: (H, V) which slots hold a VM.

    Returns:
        (H, C) sums, 0 for classes without members.
    """
    num_hosts, num_vms = present.shape
    class_row = np.where(present, vm_class, 0) + num_vms * np.arange(num_hosts)[:, None]
    weights = np.where(present, values, 0.0)
    count = num_hosts * num_vms
    total: Floats = np.bincount(class_row.ravel(), weights.ravel(), count).astype(np.float64)
    return total.reshape(num_hosts, num_vms)


def class_size(vm_class: Ints, present: Bools) -> Floats:
    """Members of each class, (H, C)."""
    return class_sum(np.ones(present.shape), vm_class, present)


def of_class(class_values: NDArray[Number], vm_class: Ints, present: Bools) -> NDArray[Number]:
    """What holds for a VM's class, (H, V); for an absent slot, that of class 0."""
    index = np.where(present, vm_class, 0)
    return np.take_along_axis(class_values, index, axis=1)


def renumber(vm_class: Ints, present: Bools) -> Ints:
    """The same groups numbered 0, 1, ... in the order of their first members, (H, V)."""
    together = (vm_class[:, :, None] == vm_class[:, None, :]) & present[:, None, :]
    leader = together.argmax(axis=2)
    leads = present & (leader == np.arange(present.shape[1]))
    return np.where(present, np.take_along_axis(leads.cumsum(axis=1) - 1, leader, axis=1), 0)


def slot_rank(present: Bools) -> Ints:
    """0, 1, ... for the VMs of each host in slot order, (H, V); absent slots hold 0."""
    return np.where(present, present.cumsum(axis=1) - 1, 0)


def equal_classes(limits: CacheLimits, parts: Ints | None = None) -> Ints:
    """One class per VM; where there are too few, neighbours share one, as evenly as possible.

    Args:
        limits: of H hosts.
        parts: (H,) number of classes, at most ``limits.parts``, which is the default.

    Returns:
        (H, V) class of each VM.
    """
    most = limits.parts if parts is None else parts
    rank = slot_rank(limits.present)
    return np.asarray(rank * most[:, None] // np.maximum(limits.num_vms, 1)[:, None])


def apportion(wanted: Floats, used: Bools, total: Ints, least: Ints) -> Ints:
    """Whole units in proportion to what is wanted beyond the minimum, by largest remainder.

    Wanted units that are whole, no less than the minimum and add up to the total come back as they
    are. Equal remainders go by class number.

    Args:
        wanted: (H, C) units, any finite numbers; below ``least`` counts as ``least``.
        used: (H, C) classes that get units.
        total: (H,) units to give, at least ``least`` times the number of used classes.
        least: (H,) fewest units of a used class.

    Returns:
        (H, C) units, 0 where not used; they add up to ``total`` where any class is used.
    """
    excess = np.where(used, np.maximum(wanted - least[:, None], 0.0), 0.0)
    asked = excess.sum(axis=1)
    nobody = asked <= 0.0
    if nobody.any():
        excess = np.where(nobody[:, None], used, excess)
        asked = np.where(nobody, np.maximum(used.sum(axis=1), 1), asked)
    room = total - least * used.sum(axis=1)
    exact = np.where(used, least[:, None] + excess * (room / asked)[:, None], 0.0)
    whole = np.floor(exact)
    order = np.argsort(np.where(used, whole - exact, np.inf), axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(used.shape[1])[None, :], axis=1)
    missing = total - whole.sum(axis=1)
    return np.asarray(whole + (used & (rank < missing[:, None])), dtype=np.int64)


def equal_parts(vm_class: Ints, limits: CacheLimits) -> Ints:
    """All units split in proportion to the members of each class, (H, C)."""
    members = class_size(vm_class, limits.present)
    fair = members * (limits.units / np.maximum(limits.num_vms, 1))[:, None]
    return apportion(fair, members > 0, limits.units, limits.min_units)


def merge_smallest(vm_units: Ints, limits: CacheLimits) -> tuple[Ints, Ints]:
    """Fit one part per VM to the class limit: the VMs with the smallest parts share theirs.

    Args:
        vm_units: (H, V) units that each VM would have to itself, adding up to the host's units.
        limits: of H hosts.

    Returns:
        (H, V) class and (H, V) units of that class; unchanged parts where every VM may have one.
    """
    present, parts = limits.present, limits.parts
    own = slot_rank(present)
    crowded = parts < limits.num_vms
    if not crowded.any():
        return own, vm_units
    order = np.argsort(np.where(present, -vm_units, 1), axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(present.shape[1])[None, :], axis=1)
    vm_class = renumber(np.minimum(rank, parts[:, None] - 1), present)
    wanted = class_sum(vm_units.astype(np.float64), vm_class, present)
    used = class_size(vm_class, present) > 0
    shared = of_class(apportion(wanted, used, limits.units, limits.min_units), vm_class, present)
    narrow = crowded[:, None]
    return np.where(narrow, vm_class, own), np.where(narrow, shared, vm_units)
