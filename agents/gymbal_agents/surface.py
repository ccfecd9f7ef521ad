"""Settings of a response surface: what corrections that are held are worth, where."""

from __future__ import annotations

from dataclasses import dataclass, field

from gymbal_agents.ranges import check_at_least, check_positive, check_share

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
        check_at_least("surface", self, rounds=0, pairs=1, passes=1)
        check_positive("surface", self, "ridge", "most_gain", "learning_rate")
        for name, most in self.spread.items():
            check_share(f"surface.spread.{name}", most)
        if self.rounds and not self.spread:
            raise ValueError("surface.spread names no action; give one, such as {fill: 0.7}")
