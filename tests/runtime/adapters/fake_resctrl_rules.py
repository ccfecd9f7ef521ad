"""What a resctrl file system without a kernel remembers, and the rules by which it changes.

Names of rules and messages are those of Linux 6.1; pseudo-locking and bandwidth allocation are
left out.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from dataclasses import dataclass, field

OCCUPANCY_SCALE = 65536


class KernelError(Exception):
    """What the kernel says no with."""

    def __init__(self, number: int, status: str = "") -> None:
        self.number, self.status = number, status


@dataclass
class Group:
    masks: dict[str, dict[int, int]]  # resource, domain
    mode: str = "shareable"
    cpus: int = 0
    monitors: list[str] = field(default_factory=list)


class ResctrlRules:
    """Groups, who is in them, and everything that can be refused.

    Attributes:
        groups: control groups by name; "" is the default group.
        places: thread to its control group and monitoring group.
        processes: pid to its threads.
        writer: the thread that calls.
        status: what info/last_cmd_status says; not every call resets it.
        limbo: numbers of monitoring groups that were removed but whose lines are still cached.
    """

    def __init__(
        self,
        *,
        ways: int = 20,
        min_bits: int = 2,
        closids: int = 4,
        rmids: int = 32,
        domains: tuple[int, ...] = (0,),
        shareable: int = 0xC0000,
        cpus: int = 2,
        cdp: bool = False,
        sparse: bool = False,
    ) -> None:
        self.ways, self.min_bits, self.closids, self.rmids = ways, min_bits, closids, rmids
        self.domains, self.shareable, self.sparse, self.num_cpus = domains, shareable, sparse, cpus
        self.resources = ("L3CODE", "L3DATA") if cdp else ("L3",)
        self.processes: dict[int, set[int]] = {}
        self.writer = 124
        self.limbo = 0
        self.mount()

    def mount(self, option: str = "") -> None:
        if option:
            raise OSError(errno.EINVAL, "no such option on this processor")
        self.groups = {"": Group(self.all_masks(self.full), cpus=(1 << self.num_cpus) - 1)}
        self.places: dict[int, tuple[str, str]] = {}
        self.status, self.threshold = "", 524288

    @property
    def full(self) -> int:
        return (1 << self.ways) - 1

    def place(self, thread: int) -> tuple[str, str]:
        return self.places.get(thread, ("", ""))

    def tasks(self, name: str, monitor: str) -> set[int]:
        threads = {self.writer}.union(*self.processes.values())
        if name:  # most threads are in no group: do not ask about each
            threads &= self.places.keys()
        places = {thread: self.place(thread) for thread in threads}
        return {t for t, (g, m) in places.items() if g == name and monitor in ("", m)}

    def all_masks(self, mask: int) -> dict[str, dict[int, int]]:
        return {resource: dict.fromkeys(self.domains, mask) for resource in self.resources}

    def make(self, group: str, monitor: str) -> None:
        """Make a control group, or a monitoring group in one."""
        if "\n" in group + monitor:
            raise KernelError(errno.EINVAL)
        if self.rmids:
            used = sum(1 + len(group.monitors) for group in self.groups.values())
            if used + self.limbo >= self.rmids:
                number = errno.EBUSY if self.limbo else errno.ENOSPC
                raise KernelError(number, "Out of RMIDs")
        if monitor:
            self.groups[group].monitors.append(monitor)
            return
        if len(self.groups) >= self.closids:
            raise KernelError(errno.ENOSPC, "Out of CLOSIDs")
        self.groups[group] = Group({r: self._first_masks() for r in self.resources})

    def _first_masks(self) -> dict[int, int]:
        """A new group's masks: the lowest stretch of what is unused or may be shared."""
        masks = {}
        for domain in self.domains:
            exclusive = 0
            for group in self.groups.values():
                for per_domain in group.masks.values():
                    exclusive |= per_domain[domain] if group.mode == "exclusive" else 0
            free = self.full & ~exclusive | self.shareable
            masks[domain] = free & ~(free + (free & -free))
            if masks[domain].bit_count() < self.min_bits:
                raise KernelError(errno.ENOSPC, f"No space on {self.resources[0]}:{domain}")
        return masks

    def move_all(self, chosen: Callable[[tuple[str, str]], bool], group: str) -> None:
        for thread, place in self.places.items():
            if chosen(place):
                self.places[thread] = (group, "")

    def drop(self, group: str, monitor: str) -> None:
        """Remove a group; its threads go to the one above."""
        if monitor:
            self.groups[group].monitors.remove(monitor)
            self.move_all(lambda place: place == (group, monitor), group)
            return
        gone = self.groups.pop(group)
        self.groups[""].cpus |= gone.cpus
        self.move_all(lambda place: place[0] == group, "")

    def write_schemata(self, name: str, text: str) -> None:
        if not text.endswith("\n"):
            raise KernelError(errno.EINVAL)
        self.status = ""
        new: dict[tuple[str, int], int] = {}
        for line in text[:-1].split("\n"):
            resource, colon, rest = line.partition(":")
            resource = resource.strip()
            if not colon:
                raise KernelError(errno.EINVAL, "Missing ':'")
            if not rest:
                raise KernelError(errno.EINVAL, f"Missing '{resource}' value")
            if resource not in self.resources:
                unknown = f"Unknown or unsupported resource name '{resource}'"
                raise KernelError(errno.EINVAL, unknown)
            self._parse_domains(name, resource, rest, new)
        for (resource, domain), mask in new.items():
            self.groups[name].masks[resource][domain] = mask

    def _parse_domains(self, name: str, resource: str, rest: str, new: dict) -> None:
        while rest:
            part, _, rest = rest.partition(";")
            number, equals, value = part.partition("=")
            if not equals or not re.fullmatch(r"\+?[0-9]+", number):
                raise KernelError(errno.EINVAL, "Missing '=' or non-numeric domain")
            if int(number) not in self.domains:
                raise KernelError(errno.EINVAL)
            if (resource, int(number)) in new:
                raise KernelError(errno.EINVAL, f"Duplicate domain {int(number)}")
            new[resource, int(number)] = self._checked(name, int(number), value.strip())

    def _checked(self, name: str, domain: int, text: str) -> int:
        hexadecimal = re.fullmatch(r"\+?(0[xX])?[0-9a-fA-F]+", text)
        if not hexadecimal or int(text, 16) >> 64:
            raise KernelError(errno.EINVAL, f"Non-hex character in the mask {text}")
        mask = int(text, 16)
        if mask > self.full or (mask == 0 and not (self.sparse or self.min_bits == 0)):
            raise KernelError(errno.EINVAL, "Mask out of range")
        run = mask & ~(mask + (mask & -mask))
        if mask != run and not self.sparse:
            raise KernelError(errno.EINVAL, f"The mask {text} has non-consecutive 1-bits")
        if mask.bit_count() < self.min_bits:
            raise KernelError(errno.EINVAL, f"Need at least {self.min_bits} bits in the mask")
        if self._overlaps(name, domain, mask, only_exclusive=True):
            raise KernelError(errno.EINVAL, "Overlaps with exclusive group")
        if self.groups[name].mode == "exclusive" and self._overlaps(name, domain, mask):
            raise KernelError(errno.EINVAL, "Overlaps with other group")
        return mask

    def _overlaps(self, name: str, domain: int, mask: int, *, only_exclusive: bool = False) -> bool:
        others = [
            masks[domain]
            for other, group in self.groups.items()
            for masks in group.masks.values()
            if other != name and (group.mode == "exclusive" or not only_exclusive)
        ]
        hardware = 0 if only_exclusive else self.shareable
        return any(mask & other for other in (*others, hardware))

    def write_mode(self, name: str, text: str) -> None:
        if not text.endswith("\n"):
            raise KernelError(errno.EINVAL)
        self.status = ""
        group, mode = self.groups[name], text[:-1]
        if mode == "pseudo-locksetup":
            raise KernelError(errno.EINVAL, "Pseudo-locking not supported")
        if mode not in ("shareable", "exclusive"):
            raise KernelError(errno.EINVAL, "Unknown or unsupported mode")
        if mode == "exclusive" and group.mode != mode:
            per_domain = [pair for masks in group.masks.values() for pair in masks.items()]
            if any(self._overlaps(name, domain, mask) for domain, mask in per_domain):
                raise KernelError(errno.EINVAL, "Schemata overlaps")
        group.mode = mode

    def write_tasks(self, group: str, text: str, monitor: str = "") -> None:
        if not re.fullmatch(r"\+?[0-9]+", text.strip()):
            raise KernelError(errno.EINVAL)
        self.status = ""
        thread = int(text) or self.writer
        if thread != self.writer and all(thread not in t for t in self.processes.values()):
            raise KernelError(errno.ESRCH, f"No task {thread}")
        if monitor and self.place(thread)[0] != group:
            raise KernelError(errno.EINVAL, "Can't move task to different control group")
        self.places[thread] = (group, monitor)

    def write_cpus(self, name: str, text: str) -> None:
        if not re.fullmatch("[0-9a-fA-F]+", text.strip()):
            raise KernelError(errno.EINVAL, "Bad CPU list/mask")
        self._take_cpus(name, int(text, 16))

    def write_cpus_list(self, name: str, text: str) -> None:
        spans = [re.fullmatch(r"(\d+)(?:-(\d+))?", part) for part in text.strip().split(",")]
        cpus = 0
        for span in spans:
            if not span:
                raise KernelError(errno.EINVAL, "Bad CPU list/mask")
            first, last = int(span[1]), int(span[2] or span[1])
            cpus |= (1 << last + 1) - (1 << first)
        self._take_cpus(name, cpus)

    def _take_cpus(self, name: str, cpus: int) -> None:
        if cpus >> self.num_cpus:
            raise KernelError(errno.EOVERFLOW, "Bad CPU list/mask")
        dropped = self.groups[name].cpus & ~cpus
        for group in self.groups.values():
            group.cpus &= ~cpus
        self.groups[name].cpus = cpus
        self.groups[""].cpus |= dropped

    def write_max_threshold_occupancy(self, _: str, text: str) -> None:
        if not re.fullmatch(r"\+?[0-9]+", text.strip()):
            raise KernelError(errno.EINVAL)
        self.threshold = int(text) // OCCUPANCY_SCALE * OCCUPANCY_SCALE
