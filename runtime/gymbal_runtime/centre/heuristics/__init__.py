"""Published rules of dynamic consolidation, as agents on telemetry."""

from __future__ import annotations

from typing import Any

from gymbal_runtime.building import build
from gymbal_runtime.centre.agent import CentreAgent
from gymbal_runtime.centre.heuristics.cloudsim import IqrMmt, LrMmt, MadMmt, ThrMmt
from gymbal_runtime.centre.heuristics.drs import Drs
from gymbal_runtime.centre.heuristics.power_only import AlwaysOn, DelayedOff, SavingEnergy
from gymbal_runtime.centre.heuristics.rule import CentreRule
from gymbal_runtime.centre.heuristics.watcher_balance import WorkloadBalance
from gymbal_runtime.centre.heuristics.watcher_basic import BasicConsolidation
from gymbal_runtime.centre.heuristics.watcher_consolidation import VmWorkloadConsolidation
from gymbal_runtime.centre.heuristics.watcher_stabilization import WorkloadStabilization

_ALL = (
    AlwaysOn, DelayedOff, ThrMmt, IqrMmt, MadMmt, LrMmt, Drs, WorkloadBalance,
    WorkloadStabilization, VmWorkloadConsolidation, BasicConsolidation, SavingEnergy,
)  # fmt: skip

CENTRE_HEURISTICS: dict[str, type[CentreRule]] = {rule.name: rule for rule in _ALL}
"""Every rule of consolidation by the name under which configurations and bundles know it."""


def make_centre_heuristic(name: str, **options: Any) -> CentreAgent:
    """Build a rule of consolidation by name.

    Args:
        name: a key of `CENTRE_HEURISTICS`.
        **options: its parameters; see the class's docstring.

    Raises:
        ValueError: if there is no such rule or it has no such option (the message lists those that
            exist), or if an option is out of range.
    """
    agent: CentreAgent = build("heuristic", CENTRE_HEURISTICS, name, options)
    return agent


__all__ = ["CENTRE_HEURISTICS", "CentreRule", "make_centre_heuristic"]
