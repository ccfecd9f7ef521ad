"""Which control group a VM is in, and which it is to be in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.adapters.resctrl_groups import DEFAULT, Tree
from gymbal_runtime.adapters.resctrl_tree import ResctrlFiles


@dataclass(frozen=True, slots=True)
class Residence:
    """Where a VM is.

    Attributes:
        group: the control group that most of its threads are in.
        inside: the threads that are in it.
    """

    group: str
    inside: set[int]


def locate(files: ResctrlFiles, tree: Tree, vms: Sequence[Vm]) -> list[Residence | None]:
    """Where each VM is; None where its process is not known, gone, or may not be looked at."""
    return [_locate_vm(files, tree, vm) for vm in vms]


def _locate_vm(files: ResctrlFiles, tree: Tree, vm: Vm) -> Residence | None:
    # A pid of 0 would mean ourselves to the kernel.
    try:
        threads = files.threads(vm.pid) if vm.pid > 0 else set()
    except OSError:
        return None
    if not threads:
        return None
    named = {name: group.tasks & threads for name, group in tree.groups.items() if name}
    inside = {DEFAULT: threads.difference(*named.values())} | named
    # The default group comes first, so that it wins where two have as many.
    home = max(inside, key=lambda name: len(inside[name]))
    return Residence(home, inside[home])


def match_groups(
    wanted: Mapping[int, set[int]], present: Mapping[str, set[int]], prefix: str
) -> dict[int, str]:
    """Which group each class is to be, so that few VMs have to move.

    Args:
        wanted: class to its VMs.
        present: our groups to the VMs in them.
        prefix: of the names of groups that have to be made.

    Returns:
        A group's name for each class: greedily the largest overlap first, then groups that are
        left, then new ones.
    """
    overlaps = sorted(
        (-len(vms & held), class_id, name)
        for class_id, vms in wanted.items()
        for name, held in present.items()
    )
    chosen: dict[int, str] = {}
    for _, class_id, name in overlaps:
        if class_id not in chosen and name not in chosen.values():
            chosen[class_id] = name
    fresh = (f"{prefix}{n}" for n in range(len(present) + len(wanted)))
    unused = (name for name in fresh if name not in present)
    return chosen | {class_id: next(unused) for class_id in wanted if class_id not in chosen}
