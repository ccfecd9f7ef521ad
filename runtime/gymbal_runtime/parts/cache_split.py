"""From a policy's numbers to whole ways or colours of the heuristic's classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_runtime.heuristics.cache.limits import CacheLimits, Ints, cache_limits
from gymbal_runtime.heuristics.cache.way_split import apportion, class_size, class_sum, of_class
from gymbal_runtime.telemetry import Bools, Floats, Telemetry

CORRECTION_GAIN = 1.5
"""A full correction moves one and a half times the mean of the heuristic's part and the fair part:
caches have few units, and what does not move a whole one moves nothing."""


def class_members(vm_class: Floats, present: Bools) -> Floats:
    """VMs in each VM's class, (H, V); NaN where its class is not known."""
    groups, known = _groups(vm_class, present)
    members = of_class(class_size(groups, known), groups, known)
    return np.where(known, members, np.nan)


@np.errstate(all="ignore")
def corrected_partition(
    action: Floats, telemetry: Telemetry, base_class: Floats, base_units: Floats
) -> tuple[Floats, Floats]:
    """The heuristic's classes with other parts.

    For a class, *held* is what its members hold now of their classes' units, each an even part,
    and *fair* is all units over the classes in use. With the means c and f of its members' numbers,

        wanted = held + (1 + min(f, 0)) (base - held) + c CORRECTION_GAIN (base + fair) / 2

    so that f = -1 asks to leave sizes as they are; f above 0 means the same as 0. Wanted units are
    scaled (what exceeds the minimum) and rounded by largest remainder to the heuristic's total.
    Zero numbers give the heuristic's partition.

    Args:
        action: (H, V, 2) correction and follow, in [-1, 1].
        telemetry: the record that was seen.
        base_class: (H, V) the heuristic's classes, feasible; NaN leaves the host alone.
        base_units: (H, V) units of these classes.

    Returns:
        (H, V) class and (H, V) units, NaN where the heuristic leaves a host alone.
    """
    split = division(telemetry, base_class, base_units)
    groups, members = split.groups, split.members
    proposed, used, told = split.proposed, split.size > 0, split.told
    correct, follow = (_class_mean(action[..., k], groups, members, split.size) for k in (0, 1))
    wanted = proposed + np.minimum(follow, 0.0) * (proposed - split.held)
    wanted += correct * (0.5 * CORRECTION_GAIN) * (proposed + split.fair[:, None])
    total, least = proposed.sum(axis=1), split.limits.min_units
    units = apportion(np.where(used, wanted, 0.0), used, total.astype(np.int64), least)
    # A base that is not a partition of this host is passed on as it is: the guard's business.
    possible = told & (total >= least * used.sum(axis=1)) & (total == np.floor(total))
    vm_units = np.where(possible[:, None], of_class(units, groups, members), base_units)
    silent = ~members
    return np.where(silent, np.nan, base_class), np.where(silent, np.nan, vm_units)


@dataclass(frozen=True, slots=True)
class Division:
    """A partition by class number, C = V of them.

    Attributes:
        limits: of the hosts' caches.
        told: (H,) hosts that the heuristic divides.
        groups: (H, V) class of each VM.
        members: (H, V) VMs that are divided between.
        size: (H, C) VMs of each class; 0 where the number is not used.
        proposed: (H, C) units as the heuristic has them.
        held: (H, C) what the members hold now of their classes' units, each an even part.
        fair: (H,) all units over the classes in use.
    """

    limits: CacheLimits
    told: Bools
    groups: Ints
    members: Bools
    size: Floats
    proposed: Floats
    held: Floats
    fair: Floats


@np.errstate(all="ignore")
def division(telemetry: Telemetry, base_class: Floats, base_units: Floats) -> Division:
    """The heuristic's partition (H, V classes and units) by class."""
    limits = cache_limits(telemetry)
    present = telemetry.present
    groups, known = _groups(base_class, present)
    told = limits.divisible & (known & (base_units >= 1.0) | ~present).all(axis=1)
    members = present & told[:, None]
    size = class_size(groups, members)
    used = size > 0
    proposed = class_sum(np.where(members, base_units, 0.0), groups, members)
    proposed = np.where(used, proposed / np.maximum(size, 1.0), 0.0)
    held = class_sum(_held(telemetry, base_units, size, groups), groups, members)
    fair = limits.units / np.maximum(used.sum(axis=1), 1)
    return Division(limits, told, groups, members, size, proposed, held, fair)


def _groups(vm_class: Floats, present: Bools) -> tuple[Ints, Bools]:
    """Classes (H, V) as integers, and where there is one that can be."""
    known = present & (vm_class >= 0) & (vm_class < present.shape[1])
    known &= vm_class == np.floor(vm_class)
    return np.where(known, vm_class, 0.0).astype(np.int64), known


def _held(telemetry: Telemetry, base_units: Floats, size: Floats, groups: Ints) -> Floats:
    """Each VM's even part (H, V) of the units that its class holds; what it shall, if unknown."""
    present = telemetry.present
    even = telemetry.llc_units_held / class_members(telemetry.llc_class, present)
    shall = base_units / np.maximum(of_class(size, groups, present), 1.0)
    return np.where(np.isfinite(even), even, np.where(present, shall, 0.0))


def _class_mean(values: Floats, groups: Ints, members: Bools, size: Floats) -> Floats:
    """Mean of the members' numbers, (H, C); 0 for classes without members."""
    return class_sum(values, groups, members) / np.maximum(size, 1.0)
