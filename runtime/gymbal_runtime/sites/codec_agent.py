"""A policy as an agent of moves between sites: it chooses a verb for each VM."""

from __future__ import annotations

from gymbal_runtime.policy_agent import PolicyAgent
from gymbal_runtime.sites.heuristics import make_sites_heuristic
from gymbal_runtime.sites.orders import SitesOrders
from gymbal_runtime.sites.telemetry import SitesTelemetry


class SitesCodecAgent(PolicyAgent[SitesTelemetry, SitesOrders]):
    """Lets a policy choose each VM's verb, beside the heuristic it was trained with.

    Its arguments are those of `PolicyAgent`.
    """

    _make_heuristic = staticmethod(make_sites_heuristic)
