"""What a host is put together from: each part measures some quantities and obeys some commands.

A hypervisor knows memory and CPU time, resctrl the cache, an exporter what its guests report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Vm:
    """A virtual machine of this host, as its parts name it to one another.

    Attributes:
        name: as in log lines and configuration, unique on the host.
        uuid: of the domain; "" where nobody knows.
        pid: of the emulator process that runs it; 0 where nobody knows.
    """

    name: str
    uuid: str = ""
    pid: int = 0


@runtime_checkable
class HostPart(Protocol):
    """One thing that knows about a host's VMs.

    Attributes:
        name: for messages, such as ``libvirt`` or ``resctrl``.
        measures: fields of `gymbal_runtime.telemetry.Telemetry` that `read` may give.
        obeys: fields of `gymbal_runtime.command.Command` that `apply` carries out.
    """

    name: str
    measures: frozenset[str]
    obeys: frozenset[str]

    def read(self, vms: Sequence[Vm]) -> Mapping[str, Floats | float]:
        """The newest values: (V,) or (V, K) arrays in the order of ``vms``, numbers of the host.

        NaN, or a field left out, is not measured. One VM that cannot be read is a row of NaN.
        ``age_s``, a number, may say how many seconds ago the values were sampled (0 without it).
        `read` and `apply` are called in a thread of their own, never both at once.

        Raises:
            OSError: nothing can be read at all.
        """
        ...

    def apply(self, vms: Sequence[Vm], settings: Mapping[str, Floats]) -> None:
        """Carry out the (V,) values of fields in ``obeys``; NaN leaves a VM as it is.

        What fails for one VM does not keep the others from being served.

        Raises:
            OSError: names every VM and setting that could not be carried out, after all were tried.
        """
        ...

    def close(self) -> None:
        """Release whatever connection there is."""


@runtime_checkable
class Hypervisor(HostPart, Protocol):
    """The part that knows which VMs there are; its `read` gives the configured fields as well."""

    def vms(self) -> list[Vm]:
        """Running VMs, in a stable order.

        Raises:
            OSError: the hypervisor does not answer.
        """
        ...
