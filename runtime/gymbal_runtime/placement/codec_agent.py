"""A policy as an agent of placement: it chooses a host for each VM that waits."""

from __future__ import annotations

from gymbal_runtime.centre.telemetry import CentreTelemetry
from gymbal_runtime.placement.heuristics import make_placement_heuristic
from gymbal_runtime.placement.orders import PlacementOrders
from gymbal_runtime.policy_agent import PolicyAgent


class PlacementCodecAgent(PolicyAgent[CentreTelemetry, PlacementOrders]):
    """Lets a policy choose hosts, beside the rule that it was trained with.

    Its arguments are those of `PolicyAgent`; `reset` is given the number of VMs.
    """

    _make_heuristic = staticmethod(make_placement_heuristic)
