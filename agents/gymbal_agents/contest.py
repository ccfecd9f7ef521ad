"""An evaluation as a person asks for it: from settings to who did how well."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from gymbal_agents.config import ConfigError
from gymbal_agents.evaluate import Evaluation, evaluate
from gymbal_agents.roster import Contender, Tuned, build_roster
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.scenarios.split import SplitName
from gymbal_envs.tasks.config import TaskConfig
from gymbal_envs.tasks.open import shape_of


@dataclass(frozen=True)
class EvaluateConfig:
    """One evaluation.

    Attributes:
        task: what is decided, how it is rewarded; policies bring a heuristic of their own.
        scenario: where scenarios come from.
        agents: names and groups, see `gymbal_agents.roster.build_roster`.
        policy: bundles, ``FILE`` or ``NAME=FILE``; the same name again is another training seed.
        split: which VMs and which part of the time.
        num_scenarios: scenarios that every agent but the oracle plays.
        oracle_scenarios: the first so many of them that the (slow) oracle plays; 0 leaves it out.
        seed: of the scenarios.
        batch: scenarios played at once.
        threads: of the engine.
    """

    task: TaskConfig = field(default_factory=TaskConfig)
    scenario: ScenarioConfig = field(default_factory=ScenarioConfig)
    agents: tuple[str, ...] = ("heuristics", "oracles")
    policy: str | tuple[str, ...] = ()
    split: SplitName = "test"
    num_scenarios: int = 128
    oracle_scenarios: int = 64
    seed: int = 0
    batch: int = 64
    threads: int = 2

    @property
    def limits(self) -> dict[str, int]:
        """Scenarios of agents that play fewer."""
        return {"oracle": min(self.oracle_scenarios, self.num_scenarios)}


@dataclass(frozen=True, eq=False)
class Contest:
    """Who played and what came out.

    Attributes:
        config: what was asked for.
        roster: who played, by name.
        evaluation: how well.
    """

    config: EvaluateConfig
    roster: dict[str, Contender]
    evaluation: Evaluation


def hold_contest(
    config: EvaluateConfig, tuned: Tuned | None = None, progress: Progress | None = None
) -> Contest:
    """Let the agents that were asked for play.

    Args:
        config: what to do.
        tuned: options of the heuristics.
        progress: where to show how far each agent is.

    Raises:
        ConfigError: for an impossible number.
        RosterError: for an unknown agent.
        BundleError: if a policy's bundle cannot be used.
        ScenarioError, TraceError: if there are no such scenarios.
    """
    for name in ("num_scenarios", "batch", "threads"):
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} must be at least 1, not {getattr(config, name)}")
    roster = build_roster(config.agents, config.policy, tuned, config.task.id)
    if config.oracle_scenarios < 1:
        roster.pop("oracle", None)
    shape = shape_of(config.scenario, config.task)
    bars = {}
    if progress is not None:
        for name in roster:
            plays = config.limits.get(name, config.num_scenarios)
            bars[name] = progress.add_task(name, total=plays * shape.episode_steps)

    def advance(name: str, decisions: int) -> None:
        if progress is not None:
            progress.advance(bars[name], decisions)

    evaluation = evaluate(
        {name: contender.make for name, contender in roster.items()},
        make_source(config.scenario, config.split, config.seed),
        config.num_scenarios,
        shape,
        config.task,
        batch=config.batch,
        limits=config.limits,
        num_threads=config.threads,
        on_step=advance,
    )
    return Contest(config, roster, evaluation)


def contest_progress() -> Progress:
    """A bar per agent, counting decisions."""
    return Progress(
        TextColumn("{task.description:<14}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        refresh_per_second=4,
    )
