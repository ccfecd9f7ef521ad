"""What a resctrl tree holds now: which groups there are, whose they are, and what is free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from math import nan
from operator import and_

from gymbal_runtime.adapters.resctrl_masks import (
    CACHE_RESOURCES,
    TAKEN_MODES,
    cache_masks,
    lowest_run,
    parse_count,
    parse_mask,
    parse_pids,
    parse_schemata,
    widest_run,
)
from gymbal_runtime.adapters.resctrl_tree import ResctrlFiles

DEFAULT = ""
"""The group at the root, where every task is that nobody put elsewhere."""
_NOT_GROUPS = ("info", "mon_data", "mon_groups")


@dataclass(frozen=True, slots=True)
class Allocation:
    """What the last-level cache can do; `read_allocation` finds out.

    Attributes:
        cbm_mask: a bit for each way of the cache.
        min_bits: fewest ways of a group.
        num_closids: groups that there can be, with the default group.
        domains: ids of the caches of each resource that takes way masks.
        bytes_per_way: of all domains together.
    """

    cbm_mask: int
    min_bits: int
    num_closids: int
    domains: dict[str, tuple[int, ...]]
    bytes_per_way: float


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """A group with its own part of the cache.

    Attributes:
        name: of its directory; ``DEFAULT`` is the root.
        mode: ``shareable`` where others may use its ways as well.
        masks: domain to mask; empty where the kernel prints none.
        tasks: threads in it; not read for the default group, which has all the others.
        monitors: monitoring group in it to its threads, of our own; of others an empty set.
    """

    name: str
    mode: str
    masks: dict[int, int]
    tasks: set[int] = field(default_factory=set)
    monitors: dict[str, set[int]] = field(default_factory=dict)

    def path(self, file: str) -> str:
        """Path of one of its files."""
        return f"{self.name}/{file}" if self.name else file


@dataclass(frozen=True, slots=True)
class Tree:
    """A resctrl file system at one moment.

    Attributes:
        prefix: with which the names of our own groups begin.
        allocation: None where the cache cannot be divided.
        monitoring: what is counted (``llc_occupancy``, ``mbm_total_bytes``, ...).
        num_rmids: groups of any kind that can be told apart by counters; 0 without monitoring.
        groups: by name, the default group first.
    """

    prefix: str
    allocation: Allocation | None
    monitoring: tuple[str, ...]
    num_rmids: int
    groups: dict[str, ControlGroup]

    def is_ours(self, name: str) -> bool:
        """Whether a control group may be changed and removed by us."""
        taken = self.groups[name].mode.startswith("pseudo")
        return name.startswith(self.prefix) and name != DEFAULT and not taken

    @property
    def ours(self) -> list[ControlGroup]:
        """Our own control groups."""
        return [group for name, group in self.groups.items() if self.is_ours(name)]

    @property
    def free(self) -> dict[int, int]:
        """Domain to the ways in it that no group of others has alone."""
        if self.allocation is None:
            return {}
        domains = {domain for ids in self.allocation.domains.values() for domain in ids}
        free = dict.fromkeys(domains, self.allocation.cbm_mask)
        for name, group in self.groups.items():
            if group.mode in TAKEN_MODES and not self.is_ours(name):
                for domain, mask in group.masks.items():
                    free[domain] = free.get(domain, 0) & ~mask
        return free

    @property
    def ways(self) -> int:
        """The ways to divide, as a mask: the widest stretch that is free in every domain."""
        free = self.free.values()
        return widest_run(reduce(and_, free)) if free else 0

    @property
    def can_grow(self) -> bool:
        """Whether the kernel would make a group.

        It gives a new one the lowest stretch that is free, and makes none if that is too narrow.
        """
        if self.allocation is None:
            return False
        least = self.allocation.min_bits
        return all(lowest_run(mask).bit_count() >= least for mask in self.free.values())

    @property
    def most_classes(self) -> int:
        """Control groups that we can have: all but the default group and those of others."""
        if self.allocation is None:
            return 0
        return self.allocation.num_closids - (len(self.groups) - len(self.ours))

    @property
    def spare_rmids(self) -> int:
        """Monitoring groups that can be made without taking what a control group will need."""
        used = sum(1 + len(group.monitors) for group in self.groups.values())
        unborn = max(self.most_classes - len(self.ours), 0)
        return self.num_rmids - used - unborn


def read_tree(files: ResctrlFiles, prefix: str) -> Tree:
    """Read everything that the adapter decides by; hold the lock meanwhile.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file holds what the kernel does not write.
    """
    kinds = files.directories("info")
    features: tuple[str, ...] = ()
    num_rmids = 0
    if "L3_MON" in kinds:
        features = tuple(files.read("info/L3_MON/mon_features").split())
        num_rmids = parse_count(files.read("info/L3_MON/num_rmids"))
    names = [DEFAULT, *(n for n in files.directories(DEFAULT) if n not in _NOT_GROUPS)]
    monitored = "L3_MON" in kinds
    groups = {name: _read_group(files, name, prefix, monitored) for name in names}
    return Tree(prefix, read_allocation(files, kinds), features, num_rmids, groups)


def read_allocation(files: ResctrlFiles, kinds: Iterable[str]) -> Allocation | None:
    """What the cache can do.

    Args:
        files: the tree.
        kinds: names of the directories in ``info``.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file holds what the kernel does not write.
    """
    kinds = tuple(kinds)
    caches = [name for name in CACHE_RESOURCES if name in kinds]
    if not caches:
        return None
    masks = [parse_mask(files.read(f"info/{name}/cbm_mask")) for name in caches]
    least = [parse_count(files.read(f"info/{name}/min_cbm_bits")) for name in caches]
    # A group needs a number of every resource that can be allocated, bandwidth included.
    limited = [name for name in kinds if not name.endswith("_MON")]
    closids = min(parse_count(files.read(f"info/{name}/num_closids")) for name in limited)
    schemata = parse_schemata(files.read("schemata"))
    domains = {name: tuple(schemata[name]) for name in caches if name in schemata}
    if not domains:
        return None
    return Allocation(
        cbm_mask=min(masks),
        min_bits=max(1, *least),
        num_closids=closids,
        domains=domains,
        bytes_per_way=_bytes_per_way(files.read("size"), schemata, next(iter(domains))),
    )


def _bytes_per_way(size: str, schemata: Mapping[str, dict[int, str]], cache: str) -> float:
    """Sum over the domains; ``size`` is what the default group's mask comes to."""
    sizes = parse_schemata(size).get(cache, {})
    total = 0.0
    for domain, mask in schemata[cache].items():
        bits = parse_mask(mask).bit_count()
        total += float(sizes.get(domain, "nan")) / bits if bits else nan
    return total


def _read_group(files: ResctrlFiles, name: str, prefix: str, monitored: bool) -> ControlGroup:
    group = ControlGroup(name, mode="", masks={})
    try:
        masks = cache_masks(parse_schemata(files.read(group.path("schemata"))))
    except ValueError:  # a group that is being set up for pseudo-locking has none
        masks = {}
    tasks = parse_pids(files.read(group.path("tasks"))) if name else set()
    monitors = {}
    for monitor in files.directories(group.path("mon_groups")) if monitored else ():
        path = group.path(f"mon_groups/{monitor}/tasks")
        monitors[monitor] = parse_pids(files.read(path)) if monitor.startswith(prefix) else set()
    return ControlGroup(name, files.read(group.path("mode")).strip(), masks, tasks, monitors)
