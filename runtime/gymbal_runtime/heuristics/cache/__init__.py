"""Published rules that divide the last-level cache, as agents on telemetry."""

from __future__ import annotations

from gymbal_runtime.heuristics.cache.colour_hot import ColourHot
from gymbal_runtime.heuristics.cache.dcat import DCat
from gymbal_runtime.heuristics.cache.equal import Equal
from gymbal_runtime.heuristics.cache.heracles import Heracles
from gymbal_runtime.heuristics.cache.kpart import KPart
from gymbal_runtime.heuristics.cache.parties import Parties
from gymbal_runtime.heuristics.cache.partitioning import PartitionHeuristic
from gymbal_runtime.heuristics.cache.shared import Shared
from gymbal_runtime.heuristics.cache.ucp import Ucp

_ALL = (Shared, Equal, Ucp, DCat, KPart, Heracles, Parties, ColourHot)

CACHE_HEURISTICS: dict[str, type[PartitionHeuristic]] = {rule.name: rule for rule in _ALL}
"""Every cache-partitioning heuristic by the name under which configurations know it."""

__all__ = ["CACHE_HEURISTICS", "PartitionHeuristic"]
