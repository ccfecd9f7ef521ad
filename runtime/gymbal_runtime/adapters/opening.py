"""Hosts by configuration: a hypervisor and parts by name, or any installed kind of host.

The adapters are imported only where they are asked for, and they import their own dependencies only
then.
"""

from __future__ import annotations

import importlib
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from gymbal_runtime import hosts
from gymbal_runtime.adapters.combined import CombinedHost
from gymbal_runtime.adapters.part import HostPart, Hypervisor
from gymbal_runtime.host import Host
from gymbal_runtime.hosts import HostError, check_options

_ADAPTERS = "gymbal_runtime.adapters"

HYPERVISORS = {
    "libvirt": f"{_ADAPTERS}.libvirt:LibvirtHypervisor",
    "qmp": f"{_ADAPTERS}.qmp:QmpHypervisor",
}
"""What knows a host's VMs, as "module:factory"."""
PARTS = {
    "resctrl": f"{_ADAPTERS}.resctrl:Resctrl",
    "prometheus": f"{_ADAPTERS}.prometheus:PrometheusTelemetry",
}
"""What measures or obeys beside the hypervisor."""


def open_configured(
    kind: str,
    options: Mapping[str, Any],
    parts: Sequence[tuple[str, Mapping[str, Any]]] = (),
    *,
    name: str = "",
    budget_bytes: float | None = None,
    max_vms: int | None = None,
    timeout_s: float = 10.0,
) -> Host:
    """Open a host.

    Args:
        kind: a hypervisor, or an entry point of the group ``gymbal.hosts``.
        options: what it takes.
        parts: kind and options of each further part; only with a hypervisor.
        name: for logs; default: this machine's, or the installed host's own.
        budget_bytes: memory to divide; needed with a hypervisor, and only there.
        max_vms: VMs that are served; only with a hypervisor.
        timeout_s: for each part to answer.

    Raises:
        HostError: something does not exist, cannot be imported or opened, or does not go together.
    """
    if kind not in HYPERVISORS:
        if parts or budget_bytes is not None or max_vms is not None:
            raise HostError(
                f"host {kind!r} takes no parts, budget or max_vms; those go with a hypervisor:"
                f" {', '.join(HYPERVISORS)}"
            )
        host = hosts.open_host(kind, **options)
        if name:
            host.name = name
        return host
    if budget_bytes is None:
        raise HostError(f"host.budget is missing: how much memory may {kind} divide?")
    hypervisor = _open("hypervisor", HYPERVISORS, kind, options)
    if not isinstance(hypervisor, Hypervisor):
        raise HostError(f"{HYPERVISORS[kind]} did not return a hypervisor")
    opened: list[HostPart] = []
    try:
        opened += [_open("part", PARTS, part, its_own) for part, its_own in parts]
        return CombinedHost(
            hypervisor,
            opened,
            name=name or socket.gethostname(),
            budget_bytes=budget_bytes,
            max_vms=max_vms,
            timeout_s=timeout_s,
        )
    except ValueError:
        for part in (hypervisor, *opened):
            part.close()
        raise


def _open(what: str, known: Mapping[str, str], name: str, options: Mapping[str, Any]) -> Any:
    if name not in known:
        raise HostError(f"no {what} {name!r}; there are {', '.join(known)}")
    module, _, factory_name = known[name].partition(":")
    try:
        factory = getattr(importlib.import_module(module), factory_name)
    except (ImportError, AttributeError) as error:
        raise HostError(f"{what} {name!r} cannot be loaded: {error}") from error
    check_options(f"{what} {name!r}", factory, options)
    try:
        part = factory(**options)
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise HostError(f"{what} {name!r} cannot be opened: {error}") from error
    if not isinstance(part, HostPart):
        raise HostError(f"{what} {name!r}: {known[name]} did not return a part")
    return part
