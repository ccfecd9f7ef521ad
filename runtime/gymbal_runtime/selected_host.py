"""A host of which only some VMs are served, with what their owners were promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import numpy as np

from gymbal_runtime.command import Command
from gymbal_runtime.host import Host, capabilities_of, errors_of
from gymbal_runtime.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Promise:
    """What holds for the VMs whose name matches a pattern, instead of what the host reports.

    Attributes:
        match: shell pattern of names.
        shares: weight; None leaves the host's.
        min_bytes: floor; None leaves the host's.
        max_bytes: ceiling; never above the host's.

    Raises:
        ValueError: the floor is above the ceiling.
    """

    match: str
    shares: float | None = None
    min_bytes: float | None = None
    max_bytes: float | None = None

    def __post_init__(self) -> None:
        if (self.min_bytes or 0.0) > (np.inf if self.max_bytes is None else self.max_bytes):
            raise ValueError(f"VMs {self.match!r}: min must not exceed max")


class SelectedHost:
    """Hides VMs that are not to be served, and replaces what was promised to the others.

    What hidden VMs hold is taken off the budget: it is a budget of the whole host.

    Args:
        host: reports and obeys.
        include: shell patterns of the names that are served.
        exclude: patterns of those that are not, although they are included.
        promises: for a VM, the first whose pattern matches holds.
    """

    def __init__(
        self,
        host: Host,
        *,
        include: Sequence[str] = ("*",),
        exclude: Sequence[str] = (),
        promises: Sequence[Promise] = (),
    ) -> None:
        self.name = host.name
        self.vm_names: tuple[str, ...] = ()
        self.capabilities = capabilities_of(host)
        self._host = host
        self._include = tuple(include)
        self._exclude = tuple(exclude)
        self._promises = tuple(promises)

    @property
    def errors(self) -> list[str]:
        """What of its last record the host could not read."""
        return errors_of(self._host)

    def telemetry(self) -> Telemetry:
        """The host's record without the others; raises what the host raises."""
        telemetry = self._host.telemetry()
        names = (*self._host.vm_names, *[""] * telemetry.num_vms)[: telemetry.num_vms]
        served = np.array([[self._serves(name) for name in names]]).reshape(1, telemetry.num_vms)
        served = served.astype(np.bool_)
        hidden = telemetry.present & ~served
        self.vm_names = tuple(
            name if mine else "" for name, mine in zip(names, served[0], strict=True)
        )
        held = np.where(hidden, telemetry.actual_bytes, 0.0).sum(axis=1)
        return self._promised(
            replace(
                telemetry,
                present=telemetry.present & served,
                budget_bytes=telemetry.budget_bytes - held,
            )
        )

    def apply(self, command: Command) -> None:
        """Pass a command on: it says nothing about VMs that are not in the record."""
        self._host.apply(command)

    def close(self) -> None:
        """Release the host."""
        self._host.close()

    def _serves(self, name: str) -> bool:
        return _matches(name, self._include) and not _matches(name, self._exclude)

    def _promised(self, telemetry: Telemetry) -> Telemetry:
        if not self._promises:
            return telemetry
        shares = telemetry.shares.copy()
        floor, ceiling = telemetry.memory_min_bytes.copy(), telemetry.memory_max_bytes.copy()
        for slot, name in enumerate(self.vm_names):
            promise = next((p for p in self._promises if fnmatchcase(name, p.match)), None)
            if promise is None:
                continue
            if promise.shares is not None:
                shares[:, slot] = promise.shares
            if promise.max_bytes is not None:
                ceiling[:, slot] = np.minimum(ceiling[:, slot], promise.max_bytes)
            if promise.min_bytes is not None:
                floor[:, slot] = promise.min_bytes
        floor = np.minimum(floor, ceiling)
        return replace(telemetry, shares=shares, memory_min_bytes=floor, memory_max_bytes=ceiling)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
