"""Carrying a division of the cache out, in an order in which the kernel refuses nothing."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.adapters.resctrl_groups import DEFAULT, Allocation, ControlGroup, Tree
from gymbal_runtime.adapters.resctrl_homes import Residence, match_groups
from gymbal_runtime.adapters.resctrl_masks import format_masks
from gymbal_runtime.adapters.resctrl_tree import ResctrlFiles
from gymbal_runtime.llc import check_way_mask

MAX_SCANS = 8
"""Times that a process's threads are listed before one that starts threads for ever is given up."""


@dataclass(frozen=True, slots=True)
class Division:
    """Who shall have which part.

    Attributes:
        vms: of the host.
        homes: where each is now; None where it has no process.
        wanted: index of a VM to its class and that class's mask; VMs left out stay as they are.
    """

    vms: Sequence[Vm]
    homes: Sequence[Residence | None]
    wanted: Mapping[int, tuple[int, int]]


def divide(files: ResctrlFiles, tree: Tree, division: Division) -> list[str]:
    """Make groups, set their masks, move the VMs, remove groups that no class needs; in this order.

    A group is only ever made where there are fewer than classes, so numbers are never short that a
    removal would have freed. Masks that lose ways are set before masks that gain some. Only what
    differs is written. Hold the exclusive lock meanwhile.

    Returns:
        What could not be done, one line each; everything else was.
    """
    problems: list[str] = []
    allocation = tree.allocation
    if allocation is None:
        return ["the cache cannot be divided"]
    members = _members(tree, division, problems)
    present = {
        group.name: {
            i for i, home in enumerate(division.homes) if home and home.group == group.name
        }
        for group in tree.ours
    }
    names = match_groups(members, present, tree.prefix)
    masks = {
        names[class_id]: mask for class_id, mask in division.wanted.values() if class_id in names
    }
    failed = _set_masks(files, tree, allocation, masks, problems)
    for class_id, name in names.items():
        if name not in failed:
            for index in sorted(members[class_id]):
                _move(files, tree, name, division.vms[index], problems)
    for group in tree.ours:
        if group.name not in masks:
            _attempt(files, f"group {group.name}", problems, files.rmdir, group.name)
    return problems


def _members(tree: Tree, division: Division, problems: list[str]) -> dict[int, set[int]]:
    """Class to the VMs that can be moved into it."""
    members: dict[int, set[int]] = {}
    for index, (class_id, _) in division.wanted.items():
        vm, home = division.vms[index], division.homes[index]
        if home is None:
            problems.append(f"VM {vm.name}: no process {vm.pid or ''}".rstrip())
        elif home.group != DEFAULT and not tree.is_ours(home.group):
            problems.append(f"VM {vm.name}: is in group {home.group} of another program")
        else:
            members.setdefault(class_id, set()).add(index)
    return members


def _set_masks(
    files: ResctrlFiles,
    tree: Tree,
    allocation: Allocation,
    masks: Mapping[str, int],
    problems: list[str],
) -> set[str]:
    """Make the groups that are missing and give each its mask; groups where that failed."""
    for group in tree.ours:
        # Somebody made it exclusive by hand: masks of others could not cross it.
        if group.mode != "shareable":
            path = group.path("mode")
            _attempt(files, f"group {group.name}", problems, files.write, path, "shareable\n")
    failed: set[str] = set()
    for name in sorted(masks.keys() - tree.groups.keys()):
        if not tree.can_grow:
            problems.append(f"group {name}: groups of others leave no ways for a new one")
            failed.add(name)
        elif not _attempt(files, f"group {name}", problems, files.mkdir, name):
            failed.add(name)

    def gains(name: str) -> bool:
        now = tree.groups[name].masks.values() if name in tree.groups else ()
        return any(masks[name] & ~mask for mask in now)

    for name in sorted(masks.keys() - failed, key=lambda name: (gains(name), name)):
        group = tree.groups.get(name, ControlGroup(name, "shareable", {}))
        if set(group.masks.values()) != {masks[name]} and not _attempt(
            files, f"group {name}", problems, _write_mask, files, group, masks[name], allocation
        ):
            failed.add(name)
    return failed


def _write_mask(
    files: ResctrlFiles, group: ControlGroup, mask: int, allocation: Allocation
) -> None:
    try:
        check_way_mask(mask, allocation.cbm_mask.bit_length(), allocation.min_bits)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error)) from error
    files.write(group.path("schemata"), format_masks(mask, allocation.domains))


def _move(files: ResctrlFiles, tree: Tree, name: str, vm: Vm, problems: list[str]) -> None:
    inside = tree.groups[name].tasks if name in tree.groups else set[int]()
    _attempt(files, f"VM {vm.name}", problems, move_threads, files, vm.pid, f"{name}/tasks", inside)


def move_threads(files: ResctrlFiles, pid: int, tasks: str, inside: set[int]) -> None:
    """Put all threads of a process into a group.

    A thread starts in the group of the one that starts it, so it is over when a listing has no
    thread that was not moved.

    Args:
        files: the tree.
        pid: of the process.
        tasks: path of the group's file.
        inside: threads that are there already.

    Raises:
        OSError: a thread could not be moved, or new ones keep coming.
    """
    moved = set(inside)
    for _ in range(MAX_SCANS):
        waiting = files.threads(pid) - moved
        if not waiting:
            return
        for thread in sorted(waiting):
            with suppress(ProcessLookupError):  # it ended meanwhile
                files.write(tasks, f"{thread}\n")
            moved.add(thread)
    raise OSError(errno.EAGAIN, f"process {pid} keeps starting threads")


def _attempt(
    files: ResctrlFiles, what: str, problems: list[str], action: Callable[..., None], *args: object
) -> bool:
    """Do it; else note what failed, and why as far as the kernel tells."""
    try:
        action(*args)
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, type(error).__name__)
        problems.append(f"{what}: {name} {error.strerror or error}{_last_status(files)}")
        return False
    return True


def _last_status(files: ResctrlFiles) -> str:
    """The kernel's newest remark. It may be about an older failure: not every call resets it."""
    try:
        lines = files.read("info/last_cmd_status").split("\n")
    except OSError:
        return ""
    last = next((line.strip() for line in reversed(lines) if line.strip()), "ok")
    return "" if last == "ok" else f" (last status: {last})"
