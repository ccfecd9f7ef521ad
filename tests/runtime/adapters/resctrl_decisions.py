"""Random decisions for the cache, through the guard, on a fake or a real resctrl."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.adapters.resctrl import Resctrl
from gymbal_runtime.command import Command
from gymbal_runtime.guard import guard
from gymbal_runtime.llc import check_llc_command
from gymbal_runtime.telemetry import Telemetry, empty_telemetry


def record_of(part: Resctrl, vms: list[Vm]) -> Telemetry:
    """What the controller would see of these VMs."""
    read = part.read(vms)
    record = empty_telemetry(1, len(vms))
    record.present[:] = True
    record.actual_bytes[:] = record.memory_max_bytes[:] = 2.0**30
    per_host = ("llc_bytes", "llc_units", "llc_classes", "llc_min_units", "llc_recolours")
    values = {name: np.atleast_1d(read[name]) for name in per_host}
    per_vm = {name: np.asarray(v)[None] for name, v in read.items() if name not in per_host}
    return replace(record, budget_bytes=np.array([2.0**40]), **values, **per_vm)


def random_command(rng: np.random.Generator, record: Telemetry) -> Command:
    """Two of three times a possible division, else anything: the guard lets no nonsense pass."""
    num_vms = record.num_vms
    balloons = np.full((1, num_vms), np.nan)
    units, most = int(record.llc_units[0]), int(record.llc_classes[0])
    least = int(record.llc_min_units[0])
    if rng.random() < 1 / 3:
        numbers = np.array([np.nan, np.inf, -1, 0, 1, 2, 2.5, 3, units, 1e300])
        odd = rng.choice(numbers, size=(2, 1, num_vms))
        return Command(balloons, llc_class=odd[0], llc_units=odd[1])
    num_classes = int(rng.integers(1, min(most, num_vms, units // least) + 1))
    ids = rng.permutation(num_vms)[:num_classes]
    members = rng.integers(num_classes, size=num_vms)
    spare = units - least * num_classes
    cuts = np.sort(rng.integers(spare + 1, size=num_classes))
    sizes = least + np.diff(cuts, prepend=0)
    return Command(
        balloons,
        llc_class=ids[members][None].astype(np.float64),
        llc_units=sizes[members][None].astype(np.float64),
    )


def decide(
    part: Resctrl, vms: list[Vm], rng: np.random.Generator, record: Telemetry | None = None
) -> dict[str, int] | None:
    """One decision through the guard and carried out.

    Args:
        part: of the host.
        vms: of the host.
        rng: decides.
        record: that it is decided on; default: a new one.

    Returns:
        Mask that each VM shall have, by name; None where the guard left the host alone.
    """
    record = record or record_of(part, vms)
    command, _ = guard(random_command(rng, record), record)
    assert command.llc_class is not None
    assert command.llc_units is not None
    assert check_llc_command(command.llc_class, command.llc_units, record) == []
    classes, units = command.llc_class[0], command.llc_units[0]
    part.apply(vms, {"llc_class": classes, "llc_units": units})
    if np.isnan(classes).all():
        return None
    wanted, first = {}, 0
    for class_id in np.unique(classes):
        members = np.flatnonzero(classes == class_id)
        width = int(units[members[0]])
        wanted |= {vms[vm].name: ((1 << width) - 1) << first for vm in members}
        first += width
    return wanted
