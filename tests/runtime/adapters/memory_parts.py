"""Parts of a host that live in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gymbal_runtime.adapters.part import Vm

GIB = 2.0**30


class MemoryPart:
    """Reports given values and remembers what it was told; may be made to fail."""

    def __init__(
        self, name: str, values: Mapping[str, object] | None = None, obeys: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.values = dict(values or {})
        self.measures = frozenset(self.values)
        self.obeys = frozenset(obeys)
        self.failure: Exception | None = None
        self.told: list[tuple[list[str], dict[str, np.ndarray]]] = []
        self.closed = False

    def read(self, vms: Sequence[Vm]) -> Mapping[str, object]:
        if self.failure is not None:
            raise self.failure
        return {
            name: np.array([given[vm.name] for vm in vms], dtype=float)
            if isinstance(given, dict)
            else given
            for name, given in self.values.items()
        }

    def apply(self, vms: Sequence[Vm], settings: Mapping[str, np.ndarray]) -> None:
        if self.failure is not None:
            raise self.failure
        self.told.append(([vm.name for vm in vms], dict(settings)))

    def close(self) -> None:
        self.closed = True


class MemoryHypervisor(MemoryPart):
    """VMs of 4 GiB, each holding as many GiB as it is told to."""

    def __init__(self, **held_gib: float) -> None:
        super().__init__("hypervisor", {}, ["balloon_bytes", "cpu_weight"])
        self.here: list[Vm] = []
        self.values = {"actual_bytes": {}, "memory_max_bytes": {}}
        for name, gib in held_gib.items():
            self.start(name, gib)

    def start(self, name: str, gib: float) -> None:
        self.here.append(Vm(name, uuid=f"uuid-of-{name}"))
        self.values["actual_bytes"][name] = gib * GIB
        self.values["memory_max_bytes"][name] = 4 * GIB

    def stop(self, name: str) -> None:
        self.here = [vm for vm in self.here if vm.name != name]

    def vms(self) -> list[Vm]:
        return list(self.here)
