"""A monitoring group for each VM: cache occupancy and memory traffic, counted by the hardware."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import isfinite, nan

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.adapters.rates import CounterRates
from gymbal_runtime.adapters.resctrl_groups import DEFAULT, Tree
from gymbal_runtime.adapters.resctrl_homes import Residence
from gymbal_runtime.adapters.resctrl_tree import ResctrlFiles

Floats = NDArray[np.float64]

OCCUPANCY = "llc_occupancy"
TRAFFIC = "mbm_total_bytes"


class Monitors:
    """Makes, fills, reads and removes the monitoring groups ``PREFIX<pid>``.

    They lie in the control group that a VM is in, so they follow it when it moves. VMs in groups
    of others are left to them. A VM has none while the hardware has no number to spare.

    Args:
        files: the tree.
        prefix: with which the groups' names begin.
        clock: monotonic seconds.
    """

    def __init__(
        self, files: ResctrlFiles, prefix: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._files = files
        self._prefix = prefix
        self._clock = clock
        self._rates = CounterRates()

    def behind(self, tree: Tree, vms: Sequence[Vm], homes: Sequence[Residence | None]) -> bool:
        """Whether `catch_up` would change anything."""
        present = self._present(tree)
        wanted = self._wanted(tree, vms, homes)
        missing = [path for path in wanted if path not in present]
        late = any(wanted[path] - present[path] for path in wanted if path in present)
        addable = missing and tree.spare_rmids > 0
        return bool(late or addable or present.keys() - wanted)

    def catch_up(self, tree: Tree, vms: Sequence[Vm], homes: Sequence[Residence | None]) -> None:
        """Give every VM its group with all its threads; remove those of VMs that are gone.

        What the kernel refuses is left for the next time: that VM is not measured until then.
        """
        present, wanted = self._present(tree), self._wanted(tree, vms, homes)
        spare = tree.spare_rmids
        for path in sorted(present.keys() - wanted.keys()):
            spare += self._done(self._files.rmdir, path)
        for path, threads in wanted.items():
            if path not in present:
                if spare <= 0 or not self._done(self._files.mkdir, path):
                    continue
                spare -= 1
            for thread in sorted(threads - present.get(path, set())):
                self._done(self._files.write, f"{path}/tasks", f"{thread}\n")

    def read(
        self, tree: Tree, vms: Sequence[Vm], homes: Sequence[Residence | None]
    ) -> dict[str, Floats]:
        """Occupancy and traffic of each VM, (V,) each; NaN where it is not measured."""
        values = {name: np.full(len(vms), nan) for name in (OCCUPANCY, TRAFFIC)}
        counters = []
        for index, (vm, home) in enumerate(zip(vms, homes, strict=True)):
            group = self._path(vm, home, tree)
            if group is None:
                continue
            if OCCUPANCY in tree.monitoring:
                values[OCCUPANCY][index] = self._sum_of_domains(group, OCCUPANCY)
            if TRAFFIC in tree.monitoring:
                counters.append(group)
                count = self._sum_of_domains(group, TRAFFIC)
                values[TRAFFIC][index] = self._rates.rate(group, count, self._clock())
        self._rates.keep(counters)
        return values

    def _sum_of_domains(self, group: str, counter: str) -> float:
        """NaN unless every cache gives a number: part of a sum would look like a small one."""
        total = 0.0
        try:
            caches = [
                name
                for name in self._files.directories(f"{group}/mon_data")
                if name.startswith("mon_L3_")
            ]
            for cache in caches:
                total += float(self._files.read(f"{group}/mon_data/{cache}/{counter}"))
        except (OSError, ValueError):  # gone meanwhile, or "Unavailable", "Error", "Unassigned"
            return nan
        return total if caches and isfinite(total) else nan

    def _path(self, vm: Vm, home: Residence | None, tree: Tree) -> str | None:
        """Path of the VM's monitoring group; None where it shall have none."""
        if home is None or not (home.group == DEFAULT or tree.is_ours(home.group)):
            return None
        return tree.groups[home.group].path(f"mon_groups/{self._prefix}{vm.pid}")

    def _wanted(
        self, tree: Tree, vms: Sequence[Vm], homes: Sequence[Residence | None]
    ) -> dict[str, set[int]]:
        """Path to threads of every monitoring group that there should be."""
        wanted = {}
        for vm, home in zip(vms, homes, strict=True):
            path = self._path(vm, home, tree)
            if path is not None and home is not None and tree.num_rmids:
                wanted[path] = home.inside
        return wanted

    def _present(self, tree: Tree) -> dict[str, set[int]]:
        """Path to threads of our own monitoring groups."""
        return {
            group.path(f"mon_groups/{name}"): tasks
            for group in tree.groups.values()
            for name, tasks in group.monitors.items()
            if name.startswith(self._prefix)
        }

    def _done(self, action: Callable[..., None], *arguments: str) -> bool:
        try:
            action(*arguments)
        except OSError:
            return False
        return True
