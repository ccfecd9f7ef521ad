"""A policy as an agent of data centres: it corrects a rule of consolidation."""

from __future__ import annotations

from gymbal_runtime.centre.heuristics import make_centre_heuristic
from gymbal_runtime.centre.orders import CentreOrders
from gymbal_runtime.centre.telemetry import CentreTelemetry
from gymbal_runtime.row_codec_agent import RowCodecAgent


class CentreCodecAgent(RowCodecAgent[CentreTelemetry, CentreOrders]):
    """Corrects the rule of consolidation that its policy was trained against.

    Its arguments are those of `PolicyAgent`; `reset` is given the number of VMs.
    """

    _make_heuristic = staticmethod(make_centre_heuristic)
