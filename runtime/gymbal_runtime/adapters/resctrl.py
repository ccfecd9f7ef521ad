"""The last-level cache through the kernel's resctrl file system: a part of a host.

Each class of service of a command becomes a control group ``PREFIX<n>`` with a contiguous way mask,
the same in every cache of the machine; all threads of a VM's process are put into its class's
group. What is written is checked first, so that the kernel has nothing to refuse. Nothing is
remembered between calls but counters: what is there is read anew, so a restarted controller goes
on with the groups that it finds. Groups of others, the default group and memory bandwidth
allocation are left alone.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import nan
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.adapters.resctrl_division import Division, divide
from gymbal_runtime.adapters.resctrl_groups import Tree, read_tree
from gymbal_runtime.adapters.resctrl_homes import Residence, locate
from gymbal_runtime.adapters.resctrl_monitors import OCCUPANCY, TRAFFIC, Monitors
from gymbal_runtime.adapters.resctrl_tree import ResctrlFiles, SystemFiles
from gymbal_runtime.llc import check_llc_command, way_masks
from gymbal_runtime.telemetry import Telemetry, empty_telemetry

Floats = NDArray[np.float64]

DIVIDES = frozenset({"llc_class", "llc_units"})
"""Fields of a command that a machine with cache allocation obeys."""
_ABILITIES = ("llc_bytes", "llc_units", "llc_classes", "llc_min_units", "llc_recolours")


class Resctrl:
    """Divides and monitors the last-level cache.

    Args:
        root: where resctrl is mounted.
        prefix: of the names of the groups that are ours; another controller on the same machine
            needs another one.
        monitor: whether `read` makes a monitoring group for each VM.
        on_close: whether `close` keeps our groups, or removes them, which gives every VM the
            default group's part of the cache.
        bandwidth_limit_bytes_s: of the machine's memory, for policies that want to know; resctrl
            does not.
        lock_timeout_s: how long to wait for another program's lock on the tree.
        files: access to the tree; None is the system's.
        clock: monotonic seconds.

    Raises:
        OSError: there is no resctrl at ``root``.
        ValueError: an argument is not what it should be.
    """

    name = "resctrl"

    def __init__(
        self,
        root: str = "/sys/fs/resctrl",
        *,
        prefix: str = "gymbal-",
        monitor: bool = True,
        on_close: Literal["keep", "remove"] = "keep",
        bandwidth_limit_bytes_s: float = nan,
        lock_timeout_s: float = 1.0,
        files: ResctrlFiles | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _check_prefix(prefix)
        if on_close not in ("keep", "remove"):
            raise ValueError(f"on_close must be 'keep' or 'remove', got {on_close!r}")
        if not (np.isnan(bandwidth_limit_bytes_s) or 0 < bandwidth_limit_bytes_s < np.inf):
            raise ValueError(
                f"bandwidth_limit_bytes_s must be positive, got {bandwidth_limit_bytes_s}"
            )
        self._files = files or SystemFiles(root, lock_timeout_s=lock_timeout_s)
        self._prefix = prefix
        self._on_close = on_close
        self._bandwidth_limit_bytes_s = float(bandwidth_limit_bytes_s)
        self._monitors = Monitors(self._files, prefix, clock)
        try:
            with self._files.lock(exclusive=False):
                tree = self._tree()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise OSError(
                errno.ENODEV,
                f"no resctrl file system ({error}); mount it with `mount -t resctrl resctrl {root}`"
                " on a machine whose processor has cache allocation or monitoring",
            ) from error
        divisible, counted = tree.allocation is not None, tree.monitoring
        self._monitor = monitor and bool(counted)
        self.obeys = DIVIDES if divisible else frozenset[str]()
        self.measures = frozenset(
            [
                *([*_ABILITIES, "llc_class", "llc_units_held"] if divisible else []),
                *(["llc_occupancy_bytes"] if self._monitor and OCCUPANCY in counted else []),
                *(["memory_bandwidth_bytes_s"] if self._monitor and TRAFFIC in counted else []),
                *([] if np.isnan(bandwidth_limit_bytes_s) else ["bandwidth_limit_bytes_s"]),
            ]
        )

    def read(self, vms: Sequence[Vm]) -> dict[str, Floats | float]:
        """The cache as it is divided now, and what the VMs take of it.

        A VM in a group of others has that group's ways, and is not monitored.

        Raises:
            OSError: nothing can be read.
        """
        with self._files.lock(exclusive=False):
            tree, homes = self._look(vms)
        if self._monitor and self._monitors.behind(tree, vms, homes):
            tree, homes = self._catch_up(tree, vms, homes)
        values = _abilities(tree) | _held(tree, homes)
        if self._monitor:
            counted = self._monitors.read(tree, vms, homes)
            values["llc_occupancy_bytes"] = counted[OCCUPANCY]
            values["memory_bandwidth_bytes_s"] = counted[TRAFFIC]
        values["bandwidth_limit_bytes_s"] = self._bandwidth_limit_bytes_s
        return {name: value for name, value in values.items() if name in self.measures}

    def apply(self, vms: Sequence[Vm], settings: Mapping[str, Floats]) -> None:
        """Divide the cache: ``llc_class`` and ``llc_units`` (V,), both or neither of each VM.

        Raises:
            OSError: names every VM and group that could not be served, after all were tried.
        """
        silent = np.full(len(vms), nan)
        classes, units = (
            np.asarray(settings.get(name, silent), dtype=np.float64)
            for name in ("llc_class", "llc_units")
        )
        told = ~(np.isnan(classes) & np.isnan(units))
        if not told.any():
            return
        with self._files.lock(exclusive=True):
            tree, homes = self._look(vms)
            wrong = check_llc_command(classes[None], units[None], _record(tree, told))
            if wrong:
                raise OSError(errno.EINVAL, f"resctrl: {'; '.join(wrong)}")
            lowest = (tree.ways & -tree.ways).bit_length() - 1
            wanted = {
                index: (int(classes[index]), mask << lowest)
                for index, mask in enumerate(way_masks(classes[None], units[None])[0])
                if told[index]
            }
            problems = divide(self._files, tree, Division(vms, homes, wanted))
        if problems:
            raise OSError(f"resctrl: {'; '.join(problems)}")

    def close(self) -> None:
        """Keep or remove our groups, as configured.

        Raises:
            OSError: a group could not be removed; the others were.
        """
        if self._on_close == "keep":
            return
        failed = []
        with self._files.lock(exclusive=True):
            tree = self._tree()
            mine = [group.name for group in tree.ours]
            monitors = [
                group.path(f"mon_groups/{monitor}")
                for group in tree.groups.values()
                for monitor in group.monitors
                if monitor.startswith(self._prefix) and group.name not in mine
            ]
            for path in (*monitors, *mine):
                try:
                    self._files.rmdir(path)
                except OSError as error:
                    failed.append(f"group {path} could not be removed: {error.strerror}")
        if failed:
            raise OSError(f"resctrl: {'; '.join(failed)}")

    def _tree(self) -> Tree:
        try:
            return read_tree(self._files, self._prefix)
        except ValueError as error:
            raise OSError(errno.EPROTO, f"resctrl: {error}") from error

    def _look(self, vms: Sequence[Vm]) -> tuple[Tree, list[Residence | None]]:
        tree = self._tree()
        return tree, locate(self._files, tree, vms)

    def _catch_up(
        self, tree: Tree, vms: Sequence[Vm], homes: list[Residence | None]
    ) -> tuple[Tree, list[Residence | None]]:
        """Bring the monitoring groups up to date, unless another program holds the lock."""
        try:
            with self._files.lock(exclusive=True):
                tree, homes = self._look(vms)
                self._monitors.catch_up(tree, vms, homes)
        except TimeoutError:
            pass
        return tree, homes


def _check_prefix(prefix: str) -> None:
    fit = prefix.isascii() and prefix.replace("-", "").replace("_", "").isalnum()
    if not fit or prefix in ("info", "mon_data", "mon_groups"):
        raise ValueError(f"prefix must be letters, digits, - and _, got {prefix!r}")


def _abilities(tree: Tree) -> dict[str, Floats | float]:
    """What the cache can do, over the ways that are there to be divided."""
    allocation = tree.allocation
    ways = tree.ways.bit_count()
    if allocation is None or ways < allocation.min_bits or tree.most_classes < 1:
        return dict.fromkeys(_ABILITIES, nan)
    size_bytes = allocation.bytes_per_way * ways
    return {
        "llc_bytes": size_bytes if 0.0 < size_bytes < np.inf else nan,
        "llc_units": float(ways),
        "llc_classes": float(tree.most_classes),
        "llc_min_units": float(allocation.min_bits),
        "llc_recolours": 0.0,
    }


def _held(tree: Tree, homes: Sequence[Residence | None]) -> dict[str, Floats | float]:
    """Class and units of each VM, (V,); classes are numbered in the order of their lowest way."""
    groups = {home.group for home in homes if home is not None}
    masks = {
        name: min(tree.groups[name].masks.values(), key=int.bit_count, default=0) for name in groups
    }
    order = sorted(groups, key=lambda name: (masks[name] & -masks[name], name))
    held = {"llc_class": np.full(len(homes), nan), "llc_units_held": np.full(len(homes), nan)}
    for index, home in enumerate(homes):
        if home is not None:
            held["llc_class"][index] = order.index(home.group)
            held["llc_units_held"][index] = (masks[home.group] & tree.ways).bit_count()
    return {**held}


def _record(tree: Tree, told: NDArray[np.bool_]) -> Telemetry:
    """A record of this host with what the rules of a division ask about."""
    abilities = {name: np.array([value]) for name, value in _abilities(tree).items()}
    return replace(empty_telemetry(1, told.size), present=told[None], **abilities)
