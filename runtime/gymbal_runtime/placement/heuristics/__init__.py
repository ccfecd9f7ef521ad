"""Published rules of placement, as agents on telemetry: for comparison, as fallback, as prior."""

from __future__ import annotations

from typing import Any

from gymbal_runtime.building import build
from gymbal_runtime.placement.heuristics.fits import (
    BestFit,
    FirstFit,
    PowerFit,
    RandomFit,
    WorstFit,
)
from gymbal_runtime.placement.heuristics.interference import BubbleUp, CompatibleFit, Paragon
from gymbal_runtime.placement.heuristics.rule import PlacementRule

_ALL = (FirstFit, BestFit, WorstFit, RandomFit, PowerFit, BubbleUp, Paragon, CompatibleFit)

PLACEMENT_HEURISTICS: dict[str, type[PlacementRule]] = {rule.name: rule for rule in _ALL}
"""Every rule of placement by the name under which configurations and bundles know it."""


def make_placement_heuristic(name: str, **options: Any) -> PlacementRule:
    """Build a rule of placement by name.

    Args:
        name: a key of `PLACEMENT_HEURISTICS`.
        **options: its parameters; see the class's docstring.

    Raises:
        ValueError: if there is no such rule or it has no such option (the message lists those that
            exist), or if an option is out of range.
    """
    rule: PlacementRule = build("heuristic", PLACEMENT_HEURISTICS, name, options)
    return rule


__all__ = ["PLACEMENT_HEURISTICS", "PlacementRule", "make_placement_heuristic"]
