"""From composed plain configuration to typed settings: an unknown key or a wrong type is an error.

No configuration dict passes beyond ``scripts/``; everything behind it takes these frozen classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

import msgspec
from omegaconf import OmegaConf

from gymbal_agents.lookahead import Lookahead
from gymbal_agents.ranges import check_at_least, check_at_most, check_positive
from gymbal_agents.search import Search
from gymbal_agents.surface import Surface
from gymbal_envs.scenarios.source import ScenarioConfig
from gymbal_envs.tasks.config import TaskConfig
from gymbal_runtime.tasks import CLUSTER, CONSOLIDATION, OVERLOAD, PLACEMENT

T = TypeVar("T")


class ConfigError(ValueError):
    """A setting that is unknown or of the wrong type."""


@dataclass(frozen=True)
class PpoConfig:
    """stable-baselines3's PPO, or sb3-contrib's MaskablePPO, and the network.

    Attributes:
        num_envs: worlds simulated at once.
        rollout_steps: decisions of each world between two updates.
        batch_size: samples of a minibatch; batches of 4096 are six times as fast as 64.
        epochs: passes over each rollout.
        learning_rate: at the start; falls linearly to ``final_learning_rate``.
        final_learning_rate: at the end.
        gamma: discount per decision.
        gae_lambda: of generalised advantage estimation.
        clip_range: of the probability ratio.
        entropy: weight of the entropy bonus.
        value_weight: weight of the value loss.
        max_grad_norm: gradient clipping.
        target_kl: stop the passes over a rollout early beyond this.
        width: of the network's layers.
        log_std: initial log standard deviation of the exploration, where actions are numbers.
        head_start: initial logit of the heuristic's proposal, where actions are choices; with n
            other legal ones, exploration tries one of them in about n e^-head_start of decisions.
        idle_head_start: the same for VMs that nothing is proposed for, in tasks with a choice for
            each VM; null: ``head_start``.
        endless: episodes are windows of something that goes on: what comes after one is worth what
            the learner expects there. False: nothing comes after, and all worlds begin and end
            together.
        reward_scale: factor on the learner's reward.
        twin: take the heuristic's reward on the same demand out of the learner's reward.
        hold: decisions for which the learner's action stays the same; each hold is one step to it,
            in ``rollout_steps``, ``gamma`` and ``total_steps``.
    """

    num_envs: int = 256
    rollout_steps: int = 64
    batch_size: int = 4096
    epochs: int = 4
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-4
    gamma: float = 0.95
    gae_lambda: float = 0.9
    clip_range: float = 0.2
    entropy: float = 0.0
    value_weight: float = 0.5
    max_grad_norm: float = 0.5
    target_kl: float | None = 0.03
    width: int = 32
    log_std: float = -1.5
    head_start: float = 8.0
    idle_head_start: float | None = None
    endless: bool = True
    reward_scale: float = 10.0
    twin: bool = True
    hold: int = 1

    def __post_init__(self) -> None:
        """Refuse what no learner can do."""
        check_at_least("ppo", self, num_envs=1, rollout_steps=1, batch_size=2, epochs=1, hold=1)
        check_at_least("ppo", self, width=1, final_learning_rate=0, gamma=0, gae_lambda=0)
        check_positive("ppo", self, "learning_rate", "clip_range", "max_grad_norm", "reward_scale")
        check_at_most("ppo", self, gamma=1, gae_lambda=1)


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        task: what is decided, how it is rewarded.
        scenario: where scenarios come from.
        ppo: the learner.
        lookahead: what the policy learns from copies of clusters before PPO begins.
        search: what the policy learns from whole episodes before PPO begins.
        surface: what it learns from corrections that are held for whole episodes.
        seed: of everything.
        total_steps: decisions to learn from, over all hosts.
        checkpoint_every: decisions between two checkpoints.
        evaluate_every: decisions between two evaluations on validation scenarios.
        evaluate_scenarios: validation scenarios.
        threads: of the engine; torch always uses one.
    """

    task: TaskConfig = field(default_factory=TaskConfig)
    scenario: ScenarioConfig = field(default_factory=ScenarioConfig)
    ppo: PpoConfig = PpoConfig()
    lookahead: Lookahead = field(default_factory=Lookahead)
    search: Search = field(default_factory=Search)
    surface: Surface = field(default_factory=Surface)
    seed: int = 0
    total_steps: int = 2_500_000
    checkpoint_every: int = 250_000
    evaluate_every: int = 250_000
    evaluate_scenarios: int = 128
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse numbers without sense, and what this task cannot do."""
        check_at_least("", self, total_steps=0, checkpoint_every=1, evaluate_every=1)
        check_at_least("", self, evaluate_scenarios=1, threads=1)
        if self.lookahead.states and self.task.id not in (OVERLOAD, PLACEMENT):
            raise ValueError(
                f"lookahead.states ({self.lookahead.states}) is for {OVERLOAD} and {PLACEMENT}; "
                f"with {self.task.id} set it to 0"
            )
        for name, rounds in (("search", self.search.rounds), ("surface", self.surface.rounds)):
            if rounds and self.task.id not in (CONSOLIDATION, CLUSTER):
                raise ValueError(
                    f"{name}.rounds ({rounds}) is for {CONSOLIDATION} and {CLUSTER}; with "
                    f"{self.task.id} set it to 0"
                )
        if self.search.rounds and self.surface.rounds:
            raise ValueError("search.rounds and surface.rounds are both set; set one of them to 0")


def typed(kind: type[T], values: dict[str, Any]) -> T:
    """Plain values as an instance of a frozen dataclass, checked at every depth.

    Raises:
        ConfigError: naming the setting, what is wrong, and what would be right.
    """
    try:
        built = msgspec.convert(values, kind)
    except (msgspec.ValidationError, ValueError) as wrong:
        raise ConfigError(f"configuration: {wrong}".replace("`$.", "`")) from wrong
    _refuse_unknown(values, asdict(built), "")  # type: ignore[call-overload]
    return built


def with_options(config: TrainConfig, given: Sequence[str]) -> TrainConfig:
    """The configuration with other options of the heuristic that is corrected.

    Args:
        config: of a run.
        given: each ``NAME=VALUE``, the value as in YAML.

    Raises:
        ConfigError: if one of them is no such pair, or the heuristic does not take it.
    """
    for pair in given:
        if "=" not in pair:
            raise ConfigError(f"option {pair!r} must be NAME=VALUE, for instance fill_frac=0.82")
    others = OmegaConf.to_container(OmegaConf.from_dotlist(list(given)))
    assert isinstance(others, dict)
    options = config.task.options | {str(name): value for name, value in others.items()}
    try:
        changed = replace(config, task=replace(config.task, options=options))
        changed.task.base_agent()
    except (TypeError, ValueError) as wrong:
        raise ConfigError(f"option of {config.task.heuristic}: {wrong}") from wrong
    return changed


def _refuse_unknown(given: Any, known: Any, path: str) -> None:
    if not isinstance(given, dict) or not isinstance(known, dict) or path.endswith("options."):
        return
    for key, value in given.items():
        if key not in known:
            raise ConfigError(
                f"configuration: `{path}{key}` is unknown; there are {', '.join(sorted(known))}"
            )
        _refuse_unknown(value, known[key], f"{path}{key}.")
