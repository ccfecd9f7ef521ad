"""Settings of the search for a policy's last layer, before it learns by exploring."""

from __future__ import annotations

from dataclasses import dataclass

from gymbal_agents.ranges import check_at_least, check_positive


@dataclass(frozen=True)
class Search:
    """How the last layer of a policy is moved to where whole episodes cost less.

    Attributes:
        rounds: steps of the search; 0: none.
        pairs: scenarios of a round, each played with a change of the layer and with its opposite.
        spread: standard deviation of what the changes add to an action, before it is bounded.
        step: how far a round goes: times the slope, in percentage points of reward per spread of 1.
        actions: names of the numbers that are searched; none: all. What the others are stays.
    """

    rounds: int = 0
    pairs: int = 96
    spread: float = 0.4
    step: float = 0.15
    actions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        check_at_least("search", self, rounds=0, pairs=1)
        check_positive("search", self, "spread", "step")
