"""Hosts by name, so that the thin runtime never imports an adapter that is not asked for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from gymbal_runtime.host import Host

GROUP = "gymbal.hosts"
"""Entry points of this group are functions ``open_host(**options) -> Host``."""


class HostError(ValueError):
    """A host cannot be opened; the message says what to do."""


def installed_hosts() -> dict[str, EntryPoint]:
    """Every kind of host that an installed distribution offers, by name."""
    return {point.name: point for point in sorted(entry_points(group=GROUP))}


def open_host(name: str, **options: Any) -> Host:
    """Open a host.

    Args:
        name: of an entry point in the group ``gymbal.hosts``.
        **options: what that kind of host takes.

    Raises:
        HostError: there is no such kind of host, its package does not import, it does not take such
            an option, or it could not be opened.
    """
    points = installed_hosts()
    if name not in points:
        known = ", ".join(points) or "none: install gymbal with pip"
        raise HostError(f"no host named {name!r}; installed: {known}")
    try:
        factory = points[name].load()
    except (ImportError, AttributeError) as error:
        raise HostError(f"host {name!r} cannot be loaded: {error}") from error
    check_options(f"host {name!r}", factory, options)
    try:
        host = factory(**options)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise HostError(f"host {name!r} cannot be opened: {error}") from error
    if not isinstance(host, Host):
        raise HostError(f"host {name!r}: {points[name].value} did not return a host")
    return host


def check_options(what: str, factory: Any, options: Mapping[str, Any]) -> None:
    """Refuse options that a function does not take.

    Args:
        what: the function opens, for messages.
        factory: the function or class.
        options: its keyword arguments.

    Raises:
        HostError: listing those that it takes.
    """
    signature = inspect.signature(factory)
    try:
        signature.bind(**options)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "no options"
        raise HostError(f"{what}: {error}; it takes {takes}") from error
