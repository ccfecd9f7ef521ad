"""Tunes each heuristic on training scenarios, with as many decisions as a policy learns from.

Whoever claims that a learned policy is better than a heuristic owes the heuristic good parameters.
The search is TPE (Bergstra et al., NeurIPS 2011) over the ranges that the heuristic itself calls
tunable, plus its switches. Trial 0 is the published default, so the result is never worse on the
scenarios that it was tuned on. Every trial plays the same scenarios.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from gymbal_agents.config import ConfigError
from gymbal_agents.evaluate import evaluate
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.scenarios.split import SplitName
from gymbal_envs.tasks.config import TaskConfig
from gymbal_envs.tasks.open import shape_of
from gymbal_runtime.heuristics import heuristics_of, make_heuristic

Options = dict[str, Any]
Score = Callable[[Options], float]
OnTrial = Callable[[str, float], None]
"""Told a heuristic's name and its best score so far after every trial."""

_LOG_FROM_RATIO = 10.0
"""Ranges that span more than this are searched on a logarithmic scale."""


@dataclass(frozen=True)
class TuneConfig:
    """One tuning of heuristics.

    Attributes:
        task: what is decided, how it is rewarded; its own heuristic does not matter.
        scenario: where scenarios come from.
        heuristics: names; empty for all.
        trials: parameter sets that each heuristic may try, the default among them.
        num_scenarios: training scenarios that each trial plays.
        validation_scenarios: scenarios of the validation split that check the result.
        seed: of scenarios and search.
        batch: scenarios played at once.
        threads: of the engine.
    """

    task: TaskConfig = field(default_factory=TaskConfig)
    scenario: ScenarioConfig = field(default_factory=ScenarioConfig)
    heuristics: tuple[str, ...] = ()
    trials: int = 64
    num_scenarios: int = 256
    validation_scenarios: int = 256
    seed: int = 0
    batch: int = 256
    threads: int = 2

    def __post_init__(self) -> None:
        """Check names and numbers."""
        known = heuristics_of(self.task.id)
        unknown = sorted(set(self.heuristics) - set(known))
        if unknown:
            raise ConfigError(f"no heuristic {unknown[0]!r}; there are {', '.join(known)}")
        for name in ("trials", "num_scenarios", "validation_scenarios", "batch", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The heuristics to tune."""
        return self.heuristics or tuple(heuristics_of(self.task.id))

    @property
    def decisions(self) -> int:
        """Decisions that each heuristic may be simulated for."""
        steps = shape_of(self.scenario, self.task).episode_steps
        return self.trials * self.num_scenarios * steps


@dataclass(frozen=True)
class Tuning:
    """What came out for one heuristic; scores are mean rewards per decision.

    Attributes:
        options: the best parameters; empty where the published ones are best.
        before, after: on the training scenarios, published and tuned.
        validation_before, validation_after: on scenarios that the search never saw.
        tried: parameter sets, the published ones among them.
    """

    options: Options
    before: float
    after: float
    validation_before: float
    validation_after: float
    tried: int = 1


def tune(config: TuneConfig, storage: Path | None, on_trial: OnTrial) -> dict[str, Tuning]:
    """Tune every heuristic that was asked for.

    Args:
        config: what to tune on.
        storage: file that remembers trials, so that a killed search goes on; None for none.
        on_trial: called after every trial, also for those found in the storage.

    Raises:
        ScenarioError, TraceError: if there are no such scenarios.
    """
    found = {}
    for name in config.names:
        score = make_score(config, name, "train", config.num_scenarios)
        study = open_study(study_name(config, name), storage)
        before, options, after = search(study, name, score, config, on_trial)
        check = make_score(config, name, "validation", config.validation_scenarios)
        tried = config.trials if search_space(name) else 1
        found[name] = Tuning(options, before, after, check({}), check(options), tried)
    return found


def make_score(config: TuneConfig, name: str, split: SplitName, num_scenarios: int) -> Score:
    """The mean reward of a heuristic by its options, always on the same scenarios."""
    source = make_source(config.scenario, split, config.seed)
    drawn = [source(index) for index in range(num_scenarios)]
    shape = shape_of(config.scenario, config.task)

    def score(options: Options) -> float:
        played = evaluate(
            {name: lambda worlds: make_heuristic(name, **options)},
            lambda index: drawn[index],
            num_scenarios,
            shape,
            config.task,
            batch=config.batch,
            num_threads=config.threads,
        )
        return float(played.values(name).mean())

    return score


def search_space(name: str) -> dict[str, BaseDistribution]:
    """What may be varied: the heuristic's tunable ranges, its switches and its choices."""
    heuristic: Any = type(make_heuristic(name))
    space: dict[str, BaseDistribution] = {}
    for option, (low, high) in heuristic.TUNABLE.items():
        log = low > 0 and high / low > _LOG_FROM_RATIO
        space[option] = FloatDistribution(low, high, log=log)
    hints = get_type_hints(heuristic)
    for option in (f.name for f in fields(heuristic) if f.init):
        if hints[option] is bool:
            space[option] = CategoricalDistribution((False, True))
        elif get_origin(hints[option]) is Literal:
            space[option] = CategoricalDistribution(get_args(hints[option]))
    return space


def open_study(study_name: str, storage: Path | None) -> optuna.Study:
    """The search for one heuristic, new or as a killed one left it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = None
    if storage is not None:
        storage.parent.mkdir(parents=True, exist_ok=True)
        backend = JournalStorage(JournalFileBackend(str(storage)))
    study = optuna.create_study(
        study_name=study_name, storage=backend, direction="maximize", load_if_exists=True
    )
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)  # the process that ran it is gone
    return study


def search(
    study: optuna.Study,
    name: str,
    score: Score,
    config: TuneConfig,
    on_trial: OnTrial,
    start: Options | None = None,
) -> tuple[float, Options, float]:
    """Run the trials that are still to run.

    Trial 0 are the options ``start``, which ``score`` knows; None for the published ones.

    The sampler is seeded by the number of finished trials: a search that was killed and resumed
    finds what an uninterrupted one finds.

    Returns:
        Score of trial 0, best options (empty for those of trial 0), their score.
    """
    space = search_space(name)
    finished = study.get_trials(states=(TrialState.COMPLETE,))
    for _ in finished:
        on_trial(name, study.best_value)
    if not finished:
        first = _default(name, start or {})
        study.add_trial(create_trial(params=first, distributions=space, value=score({})))
        on_trial(name, study.best_value)
    # Where nothing can be varied there is nothing to try.
    for number in range(max(len(finished), 1), config.trials if space else 1):
        study.sampler = optuna.samplers.TPESampler(seed=config.seed + 1000 * number)
        trial = study.ask(space)
        study.tell(trial, score(_rounded(trial.params)))
        on_trial(name, study.best_value)
    before = float(study.get_trials(states=(TrialState.COMPLETE,))[0].value or 0.0)
    if study.best_value <= before:
        return before, {}, before
    return before, _rounded(study.best_trial.params), study.best_value


def study_name(config: TuneConfig, name: str, **also: Any) -> str:
    """Names every setting that a score depends on, so that only the same search is resumed."""
    same = {k: v for k, v in asdict(config).items() if k not in ("heuristics", "trials", "threads")}
    same |= {"default": _default(name, {}), "space": str(search_space(name)), **also}
    return f"{name}-{hashlib.sha256(msgspec.json.encode(same)).hexdigest()[:16]}"


def _default(name: str, start: Options) -> Options:
    heuristic = make_heuristic(name, **start)
    return {option: getattr(heuristic, option) for option in search_space(name)}


def _rounded(options: Options) -> Options:
    """Six digits are all that a file should show, and what is played is what the file shows."""
    return {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in options.items()}
