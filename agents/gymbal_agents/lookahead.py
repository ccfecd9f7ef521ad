"""Settings of what a policy learns from copies, before it learns by exploring."""

from __future__ import annotations

from dataclasses import dataclass


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
        for name, least in (
            ("states", 0), ("horizon", 1), ("every", 1), ("at_once", 1), ("passes", 1),
        ):  # fmt: skip
            value = getattr(self, name)
            if value < least:
                raise ValueError(f"lookahead.{name} ({value}) must be {least} or more")
        if not 0 < self.discount <= 1:
            raise ValueError(f"lookahead.discount ({self.discount}) must lie in (0, 1]")
