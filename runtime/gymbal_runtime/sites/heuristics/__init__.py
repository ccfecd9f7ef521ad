"""Published rules for moves between data centres, as agents on telemetry."""

from __future__ import annotations

from typing import Any

from gymbal_runtime.building import build
from gymbal_runtime.sites.agent import SitesAgent
from gymbal_runtime.sites.heuristics.cold import Cold
from gymbal_runtime.sites.heuristics.moving import MoveRule
from gymbal_runtime.sites.heuristics.smart_stop import SmartStop, SmartStopCbr
from gymbal_runtime.sites.heuristics.xen import Xen30Rounds

_ALL = (Cold, Xen30Rounds, SmartStop, SmartStopCbr)

SITES_HEURISTICS: dict[str, type[MoveRule]] = {rule.name: rule for rule in _ALL}
"""Every rule for moves between sites by the name under which configurations know it."""


def make_sites_heuristic(name: str, **options: Any) -> SitesAgent:
    """Build a rule for moves between sites by name.

    Args:
        name: a key of `SITES_HEURISTICS`.
        **options: its parameters; see the class's docstring.

    Raises:
        ValueError: if there is no such rule or it has no such option (the message lists those that
            exist), or if an option is out of range.
    """
    agent: SitesAgent = build("heuristic", SITES_HEURISTICS, name, options)
    return agent


__all__ = ["SITES_HEURISTICS", "MoveRule", "make_sites_heuristic"]
