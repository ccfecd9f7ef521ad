"""Building what configurations and bundles name: a class by its options, or a plain refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any


def build(kind: str, known: Mapping[str, Any], name: str, options: Mapping[str, Any]) -> Any:
    """An instance of ``known[name]``, a dataclass.

    Args:
        kind: what it is, for messages.
        known: class by name.
        name: which.
        options: its fields that differ from their defaults.

    Raises:
        ValueError: there is no such name or option (the message lists those that exist), or an
            option is out of range.
    """
    if name not in known:
        raise ValueError(f"no {kind} {name!r}; there are {', '.join(known)}")
    accepted = sorted(f.name for f in fields(known[name]) if f.init)
    unknown = sorted(set(options) - set(accepted))
    if unknown:
        raise ValueError(
            f"{kind} {name!r} has no option {', '.join(map(repr, unknown))};"
            f" there are {', '.join(accepted)}"
        )
    return known[name](**options)


def check_range(owner: str, **ranges: tuple[float, float, float]) -> None:
    """Check parameters, each given as (value, low, high).

    Raises:
        ValueError: naming the first parameter that lies outside its range.
    """
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise ValueError(f"{owner}: {name} must lie in [{low:g}, {high:g}], got {value:g}")
