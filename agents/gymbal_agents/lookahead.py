"""Settings of what a policy learns from copies, before it learns by exploring."""

from __future__ import annotations

from dataclasses import dataclass

from gymbal_agents.ranges import check_at_least, check_positive, check_share


@dataclass(frozen=True)
class Lookahead:
    """How far and how often to look ahead, and how a policy is fitted to what was seen.

    Attributes:
        states: moments at which all actions are tried; 0: none.
        horizon: decisions until a copy ends.
        discount: of what comes later, per decision: far effects are mostly chance.
        every: decisions between two looks at the same cluster, on average.
        at_once: copies that are played side by side, at most.
        passes: over all states, when the policy is fitted; the best on held-out states is kept.
        learning_rate: of the fit.
        weight_decay: of the fit.
    """

    states: int = 0
    horizon: int = 60
    discount: float = 0.985
    every: int = 24
    at_once: int = 512
    passes: int = 40
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        check_at_least(
            "lookahead", self, states=0, horizon=1, every=1, at_once=1, passes=1, weight_decay=0
        )
        check_positive("lookahead", self, "learning_rate")
        check_share("lookahead.discount", self.discount)
