"""Published balloon heuristics, as agents on telemetry: for comparison, as fallback, as prior."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from gymbal_runtime.agent import Agent
from gymbal_runtime.heuristics.esx import Esx
from gymbal_runtime.heuristics.meb import Meb
from gymbal_runtime.heuristics.mom import Mom
from gymbal_runtime.heuristics.periodic import PeriodicHeuristic
from gymbal_runtime.heuristics.proportional import Proportional
from gymbal_runtime.heuristics.proxmox import Proxmox
from gymbal_runtime.heuristics.qmemman import Qmemman
from gymbal_runtime.heuristics.senpai import Senpai
from gymbal_runtime.heuristics.squeezed import Squeezed
from gymbal_runtime.heuristics.static import Static

_ALL = (Static, Proportional, Esx, Mom, Proxmox, Qmemman, Squeezed, Senpai, Meb)

HEURISTICS: dict[str, type[PeriodicHeuristic]] = {heuristic.name: heuristic for heuristic in _ALL}
"""Every heuristic by the name under which configurations and policy bundles refer to it."""


def make_heuristic(name: str, **options: Any) -> Agent:
    """Build a heuristic by name.

    Args:
        name: a key of ``HEURISTICS``.
        **options: its parameters; see the class's docstring.

    Raises:
        ValueError: if there is no such heuristic or it has no such option (the message lists those
            that exist), or if an option is out of range.
    """
    if name not in HEURISTICS:
        raise ValueError(f"no heuristic {name!r}; there are {', '.join(sorted(HEURISTICS))}")
    heuristic = HEURISTICS[name]
    accepted = sorted(f.name for f in fields(heuristic) if f.init)
    unknown = sorted(set(options) - set(accepted))
    if unknown:
        raise ValueError(
            f"heuristic {name!r} has no option {', '.join(map(repr, unknown))};"
            f" there are {', '.join(accepted)}"
        )
    return heuristic(**options)


__all__ = ["HEURISTICS", "PeriodicHeuristic", "make_heuristic"]
