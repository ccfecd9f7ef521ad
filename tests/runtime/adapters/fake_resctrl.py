"""A resctrl file system without a kernel: the files over `fake_resctrl_rules`.

Proved against what a real kernel answered (`test_fake_resctrl`).
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from fake_resctrl_rules import KernelError, ResctrlRules

WRITABLE = ("schemata", "mode", "tasks", "cpus", "cpus_list", "max_threshold_occupancy")
CONTROL_FILES = ("cpus", "cpus_list", "mode", "schemata", "size", "tasks")
MONITOR_FILES = ("cpus", "cpus_list", "tasks")
COUNTERS = ("llc_occupancy", "mbm_local_bytes", "mbm_total_bytes")


class FakeResctrl(ResctrlRules):
    """Implements `gymbal_runtime.adapters.resctrl_tree.ResctrlFiles`.

    Attributes:
        counters: (path of a group, name of a counter) to what its files say.
        refused: every change that was refused: verb, path, text, errno.
        writes: path and text of every write that was accepted.
        locked: by which lock.
    """

    def __init__(self, *, cache_bytes: int = 1 << 24, **hardware: Any) -> None:
        super().__init__(**hardware)
        self.cache_bytes = cache_bytes
        self.counters: dict[tuple[str, str], object] = {}
        self.refused: list[tuple[str, str, str, int]] = []
        self.writes: list[tuple[str, str]] = []
        self.locked = ""

    # The protocol of the adapter's files.

    def read(self, path: str) -> str:
        where, _, name = path.rpartition("/")
        text = None
        if name in self.file_names(where):
            text = self._info(path) if path.startswith("info/") else self._group_file(where, name)
        if text is None:
            self._refuse("read", path, "", errno.EISDIR if self.is_dir(path) else errno.ENOENT)
        return text

    def write(self, path: str, text: str) -> None:
        where, _, name = path.rpartition("/")
        if name not in self.file_names(where):
            self._refuse("write", path, text, errno.ENOENT)
        if name not in WRITABLE:
            self._refuse("write", path, text, errno.EACCES)
        place = self.group_at(where)
        with self._noting("write", path, text):
            if name == "tasks" and place:
                self.write_tasks(place[0], text, place[1])
            else:
                getattr(self, f"write_{name}")(place[0] if place else "", text)
        self.writes.append((path, text))

    def mkdir(self, path: str) -> None:
        where, _, name = path.rpartition("/")
        if self.is_dir(path) or name in self.file_names(where):
            self._refuse("mkdir", path, "", errno.EEXIST)
        if not self.is_dir(where):
            self._refuse("mkdir", path, "", errno.ENOENT)
        above = self.group_at(where.removesuffix("mon_groups").rstrip("/"))
        below = where.endswith("mon_groups") and above is not None and not above[1]
        if where and not below:
            self._refuse("mkdir", path, "", errno.EPERM)
        with self._noting("mkdir", path, ""):
            self.make(above[0], name) if below and above else self.make(name, "")

    def rmdir(self, path: str) -> None:
        where, _, name = path.rpartition("/")
        if not self.is_dir(path):
            is_file = name in self.file_names(where)
            self._refuse("rmdir", path, "", errno.ENOTDIR if is_file else errno.ENOENT)
        place = self.group_at(path)
        if not path or place is None:
            self._refuse("rmdir", path, "", errno.EPERM)
        self.drop(*place)

    def directories(self, path: str) -> list[str]:
        names = self._children(path)
        if names is None:
            self._refuse("list", path, "", errno.ENOENT)
        return sorted(names)

    def threads(self, pid: int) -> set[int]:
        return set(self.processes.get(pid, ()))

    @contextmanager
    def lock(self, *, exclusive: bool) -> Iterator[None]:
        assert not self.locked, "the lock is held already"
        self.locked = "exclusive" if exclusive else "shared"
        try:
            yield
        finally:
            self.locked = ""

    # What is where.

    def group_at(self, path: str) -> tuple[str, str] | None:
        """Control group and monitoring group of a directory; None where it is neither."""
        if path in self.groups:
            return path, ""
        above, found, monitor = path.rpartition("mon_groups/")
        above = above.rstrip("/")
        if found and above in self.groups and monitor in self.groups[above].monitors:
            return above, monitor
        return None

    def is_dir(self, path: str) -> bool:
        return self._children(path) is not None

    def _children(self, path: str) -> list[str] | None:
        """Names of the directories in one; None where there is no such directory."""
        place = self.group_at(path)
        monitoring = ["mon_data", "mon_groups"] if self.rmids else []
        if place is not None:
            names = monitoring[:1] if place[1] else monitoring
            return names if path else [*names, "info", *filter(None, self.groups)]
        if path == "info":
            return [*self.resources, *(["L3_MON"] if self.rmids else [])]
        if path in (*(f"info/{name}" for name in self.resources), "info/L3_MON"):
            return []
        above, _, name = path.rpartition("/")
        place = self.group_at(above)
        if place is not None and name == "mon_groups" and self.rmids and not place[1]:
            return list(self.groups[place[0]].monitors)
        caches = [f"mon_L3_{domain:02}" for domain in self.domains]
        if place is not None and name == "mon_data" and self.rmids:
            return caches
        above, _, last = above.rpartition("/") if above != "mon_data" else ("", "", above)
        return [] if name in caches and last == "mon_data" and self.group_at(above) else None

    def file_names(self, path: str) -> tuple[str, ...]:
        """Names of the files in a directory; none where there is no such directory."""
        place = self.group_at(path)
        if place is not None:
            return MONITOR_FILES if place[1] else CONTROL_FILES
        if path == "info":
            return ("last_cmd_status",)
        if path == "info/L3_MON":
            return ("max_threshold_occupancy", "mon_features", "num_rmids") if self.rmids else ()
        if path.startswith("info/") and path[5:] in self.resources:
            return ("bit_usage", "cbm_mask", "min_cbm_bits", "num_closids", "shareable_bits")
        return COUNTERS if "mon_data/" in f"/{path}" and self.is_dir(path) else ()

    def walk(self) -> list[str]:
        """Every path below the root."""
        found, waiting = [], [""]
        while waiting:
            path = waiting.pop()
            start = f"{path}/" if path else ""
            below = [f"{start}{name}" for name in self.directories(path)]
            found += [*below, *(f"{start}{name}" for name in self.file_names(path))]
            waiting += below
        return sorted(found)

    def names(self, path: str) -> list[str]:
        return sorted([*self.directories(path), *self.file_names(path)])

    # What the files say.

    def _info(self, path: str) -> str:
        if path == "info/last_cmd_status":
            return self.status or "ok\n"
        return {
            "bit_usage": self._bit_usage,
            "cbm_mask": lambda: f"{self.full:x}\n",
            "min_cbm_bits": lambda: f"{self.min_bits}\n",
            "num_closids": lambda: f"{self.closids}\n",
            "shareable_bits": lambda: f"{self.shareable:x}\n",
            "max_threshold_occupancy": lambda: f"{self.threshold}\n",
            "mon_features": lambda: "llc_occupancy\nmbm_total_bytes\nmbm_local_bytes\n",
            "num_rmids": lambda: f"{self.rmids}\n",
        }[path.rpartition("/")[2]]()

    def _group_file(self, where: str, name: str) -> str:
        place = self.group_at(where)
        if place is None:
            path = where.rpartition("mon_data/")[0].rstrip("/")
            return f"{self.counters.get((path, name), 0)}\n"
        group, monitor = place
        if name == "schemata":
            return self._per_domain(group, lambda mask: f"{mask:x}")
        if name == "size":
            way = self.cache_bytes // self.ways
            return self._per_domain(group, lambda mask: str(way * mask.bit_count()))
        if name == "tasks":
            return "".join(f"{thread}\n" for thread in sorted(self.tasks(group, monitor)))
        if name == "mode":
            return f"{self.groups[group].mode}\n"
        return self._cpus(0 if monitor else self.groups[group].cpus, name)

    def _cpus(self, cpus: int, name: str) -> str:
        if name == "cpus":
            return f"{cpus:x}\n"
        marks = "".join("1" if cpus >> k & 1 else " " for k in range(self.num_cpus))
        spans = [(run.start(), run.end() - 1) for run in re.finditer("1+", marks)]
        return ",".join(f"{a}-{b}" if b > a else f"{a}" for a, b in spans) + "\n"

    def _per_domain(self, name: str, show: Callable[[int], str]) -> str:
        lines = []
        for resource, masks in self.groups[name].masks.items():
            values = ";".join(f"{domain}={show(mask)}" for domain, mask in masks.items())
            lines.append(f"{resource}:{values}\n")
        return "".join(lines)

    def _bit_usage(self) -> str:
        def letter(bit: int, domain: int) -> str:
            modes = {
                group.mode
                for group in self.groups.values()
                for masks in group.masks.values()
                if masks[domain] >> bit & 1
            }
            if self.shareable >> bit & 1:
                return "X" if "shareable" in modes else "H"
            return "S" if "shareable" in modes else "E" if modes else "0"

        usage = [
            f"{d}={''.join(letter(bit, d) for bit in reversed(range(self.ways)))}"
            for d in self.domains
        ]
        return ";".join(usage) + "\n"

    def proc_groups(self, thread: int) -> str:
        """/proc/THREAD/cpu_resctrl_groups."""
        group, monitor = self.place(thread)
        return f"res:{group or '/'}\nmon:{monitor}\n"

    # Refusing.

    @contextmanager
    def _noting(self, verb: str, path: str, text: str) -> Iterator[None]:
        try:
            yield
        except KernelError as refused:
            self.status += f"{refused.status}\n" if refused.status else ""
            self._refuse(verb, path, text, refused.number)

    def _refuse(self, verb: str, path: str, text: str, number: int) -> NoReturn:
        if verb in ("write", "mkdir", "rmdir"):
            self.refused.append((verb, path, text, number))
        raise OSError(number, errno.errorcode[number], path)
