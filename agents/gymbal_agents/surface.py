"""Settings of a response surface: what corrections that are held are worth, where."""

from __future__ import annotations

from dataclasses import dataclass, field

INPUTS = (
    "hosts.idle_share", "hosts.wake_s", "hosts.swap_wait", "hosts.link_rate", "hosts.largest",
    "cluster.hosts", "cluster.vms_per_host", "cluster.load",
)  # fmt: skip
"""What a cluster is like, whatever is done about it."""


@dataclass(frozen=True)
class Surface:
    """How corrections are tried for whole episodes, and a policy fitted to what came of them.

    Attributes:
        rounds: batches of scenarios, ``ppo.num_envs`` each; 0: none.
        pairs: corrections drawn for each scenario; each is played, and its opposite.
        spread: name of an action -> most that is tried of it, in (0, 1]. Others stay.
        inputs: what the worth depends on: ``hosts.NAME`` for the mean over the hosts that are
            there, ``cluster.NAME`` (or ``centre.NAME``) for the whole's own.
        ridge: weight of the penalty on dependence on the inputs; more is more cautious.
        also: files with trials of other runs, of the same actions and inputs, that count too.
        most_gain: percentage points for which an episode counts at most, lest a few decide.
        passes: times that the heuristic's worlds are played to fit the policy.
        learning_rate: of that fit.
    """

    rounds: int = 0
    pairs: int = 2
    spread: dict[str, float] = field(default_factory=dict)
    inputs: tuple[str, ...] = INPUTS
    ridge: float = 100.0
    also: tuple[str, ...] = ()
    most_gain: float = 1.0
    passes: int = 3
    learning_rate: float = 3e-3

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        for name, least in (("rounds", 0), ("pairs", 1), ("passes", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"surface.{name} ({getattr(self, name)}) must be {least} or more")
        for name in ("ridge", "most_gain", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"surface.{name} ({getattr(self, name)}) must be positive")
        for name, most in self.spread.items():
            if not 0 < most <= 1:
                raise ValueError(f"surface.spread.{name} ({most}) must lie in (0, 1]")
        if self.rounds and not self.spread:
            raise ValueError("surface.spread names no action; give one, such as {fill: 0.7}")
