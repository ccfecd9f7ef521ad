"""Rules of hardware cache partitioning: classes of service and contiguous way masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gymbal_runtime.telemetry import Bools, Floats, Telemetry

PAGE_BYTES = 4096.0
PAGE_MOVE_S = 5e-6
"""Copy a page to another colour, remap it, shoot down its TLB entries: 3-10 us (models.md 8.1)."""
RULES = {
    "shape": "must have one value per VM slot",
    "divisible": "the host has no cache that can be divided",
    "complete": "class and units must be given for all VMs of a host or for none",
    "class": "class ids must be whole numbers from 0, less than the VM slots",
    "whole": "units must be whole numbers",
    "agree": "VMs of one class must be told the same units",
    "classes": "more classes than the hardware has",
    "least": "a class has fewer units than the minimum",
    "sum": "the classes add up to more units than the cache has",
}
"""What can be wrong with a command for the cache, in the order in which it is looked for."""


@np.errstate(all="ignore")
def llc_violations(
    llc_class: ArrayLike | None, llc_units: ArrayLike | None, telemetry: Telemetry
) -> dict[str, Bools]:
    """Which host breaks which rule; never raises on any numbers or shapes.

    A host that is told nothing (NaN or None for all its VMs) breaks none.

    Args:
        llc_class: (H, V) as in `Command`, anything.
        llc_units: (H, V) as in `Command`, anything.
        telemetry: record of the hosts.

    Returns:
        Rule of ``RULES`` to (H,).
    """
    present = telemetry.present
    found: dict[str, Bools] = {rule: np.zeros(present.shape[0], dtype=np.bool_) for rule in RULES}
    if llc_class is None and llc_units is None:
        return found
    classes, units = as_table(llc_class), as_table(llc_units)
    if classes is None or units is None or not classes.shape == units.shape == present.shape:
        return found | {"shape": np.ones(present.shape[0], dtype=np.bool_)}
    asked = present & ~(np.isnan(classes) & np.isnan(units))
    told: Bools = np.asarray(asked.any(axis=1))
    found["divisible"] = told & ~(telemetry.llc_units >= 1.0)
    partial = (present & (np.isnan(classes) | np.isnan(units))).any(axis=1)
    found["complete"] = np.asarray(told & partial)
    named = (classes >= 0) & (classes < present.shape[1]) & (classes == np.floor(classes))
    found["class"] = (asked & ~np.isnan(classes) & ~named).any(axis=1)
    whole = np.isfinite(units) & (units == np.floor(units))
    found["whole"] = (asked & ~np.isnan(units) & ~whole).any(axis=1)
    together = (classes[:, :, None] == classes[:, None, :]) & asked[:, :, None] & asked[:, None, :]
    differ = units[:, :, None] != units[:, None, :]
    clash = together & differ & ~np.isnan(units)[:, :, None]
    found["agree"] = np.asarray(clash.any(axis=(1, 2)))
    earlier = np.tril(np.ones((present.shape[1],) * 2, dtype=np.bool_), -1)
    first = asked & ~(together & earlier).any(axis=2)
    crowded = first.sum(axis=1) > np.fmax(telemetry.llc_classes, 1.0)
    found["classes"] = np.asarray(told & crowded)
    least = np.fmax(telemetry.llc_min_units, 1.0)[:, None]
    narrow = asked & ~np.isnan(units) & ~(units >= least)
    found["least"] = np.asarray(narrow.any(axis=1))
    used = np.where(first & ~np.isnan(units), units, 0.0).sum(axis=1)
    found["sum"] = told & (used > telemetry.llc_units)
    return found


def check_llc_command(
    llc_class: ArrayLike | None, llc_units: ArrayLike | None, telemetry: Telemetry
) -> list[str]:
    """What is wrong with a command for the cache; empty where it can be carried out.

    Args:
        llc_class: (H, V) class of each VM, NaN for hosts that are left alone.
        llc_units: (H, V) units of that class.
        telemetry: record of the hosts.

    Returns:
        One line for each host and rule that it breaks, naming the field, the rule and the values.
    """
    found = llc_violations(llc_class, llc_units, telemetry)
    lines = []
    if found["shape"].any():
        shapes = [np.shape(np.asarray(a, dtype=object)) for a in (llc_class, llc_units)]
        expected = telemetry.present.shape
        return [f"llc_class, llc_units: {RULES['shape']} {expected}, got {shapes[0]}, {shapes[1]}"]
    for host in range(telemetry.num_hosts):
        for rule, hosts in found.items():
            if hosts[host]:
                lines.append(_line(rule, host, llc_class, llc_units, telemetry))
    return lines


def _line(
    rule: str,
    host: int,
    llc_class: ArrayLike | None,
    llc_units: ArrayLike | None,
    telemetry: Telemetry,
) -> str:
    """The line about one broken rule."""
    by_class = rule in ("class", "classes")
    field = "llc_class" if by_class else "llc_units"
    row = np.asarray(llc_class if by_class else llc_units, dtype=np.float64)[host]
    values = ", ".join(f"{value:g}" for value in row[telemetry.present[host]])
    bound = {
        "classes": f" ({telemetry.llc_classes[host]:g})",
        "least": f" ({telemetry.llc_min_units[host]:g})",
        "sum": f" ({telemetry.llc_units[host]:g})",
    }.get(rule, "")
    return f"{field} of host {host}: {RULES[rule]}{bound}, got [{values}]"


def as_table(values: ArrayLike | None) -> Floats | None:
    """The values as floats of any shape; None where they are no numbers."""
    try:
        return np.asarray(values, dtype=np.float64) if values is not None else None
    except (TypeError, ValueError):
        return None


def way_masks(llc_class: Floats, llc_units: Floats) -> list[list[int]]:
    """The contiguous bit mask of each VM, classes side by side from way 0 in order of their ids.

    Args:
        llc_class: (H, V) class of each VM, NaN where there is none or it is left alone.
        llc_units: (H, V) ways of that class.

    Returns:
        For each host V masks, 0 for a slot without a class.
    """
    hosts = []
    for classes, units in zip(llc_class, llc_units, strict=True):
        masks, first = {}, 0
        for c in np.unique(classes[~np.isnan(classes)]):
            width = int(units[classes == c][0])
            masks[c] = ((1 << width) - 1) << first
            first += width
        hosts.append([0 if np.isnan(c) else masks[c] for c in classes])
    return hosts


def check_way_mask(mask: int, num_ways: int, min_units: int = 1, field: str = "way mask") -> None:
    """Refuse a mask that cache allocation hardware refuses.

    Args:
        mask: bit k set where the class may allocate in way k.
        num_ways: ways of the cache.
        min_units: fewest ways of a mask (resctrl's ``min_cbm_bits``).
        field: what the message calls it.

    Raises:
        ValueError: the mask is empty, has bits beyond the cache, is not contiguous or too narrow.
    """
    if mask <= 0:
        raise ValueError(f"{field} must have at least one bit set, got {mask:#x}")
    if mask.bit_length() > num_ways:
        raise ValueError(f"{field} must lie within the {num_ways} ways of the cache, got {mask:#b}")
    bare = mask >> ((mask & -mask).bit_length() - 1)
    if bare & (bare + 1):
        raise ValueError(f"{field} must be contiguous 1-bits, got {mask:#b}")
    if mask.bit_count() < min_units:
        raise ValueError(f"{field} must have at least {min_units} bits, got {mask:#b}")


def classes_from_masks(masks: list[list[int]]) -> tuple[Floats, Floats]:
    """Classes and their units from the way mask of each VM, the inverse of `way_masks`.

    VMs with equal masks are one class, numbered in slot order.

    Args:
        masks: for each host V masks, 0 for a slot without a VM.

    Returns:
        (H, V) class and (H, V) units, NaN for a slot without a VM.

    Raises:
        ValueError: two masks overlap in part, which `Command` cannot say.
    """
    vm_class = np.full((len(masks), len(masks[0]) if masks else 0), np.nan)
    vm_units = vm_class.copy()
    for host, row in enumerate(masks):
        seen: list[int] = []
        for vm, mask in enumerate(row):
            if mask == 0:
                continue
            clash = next((other for other in seen if other & mask and other != mask), None)
            if clash is not None:
                raise ValueError(
                    f"way masks of host {host}: {clash:#b} and {mask:#b} overlap in part; classes"
                    " must have equal or disjoint ways"
                )
            if mask not in seen:
                seen.append(mask)
            vm_class[host, vm] = seen.index(mask)
            vm_units[host, vm] = mask.bit_count()
    return vm_class, vm_units
