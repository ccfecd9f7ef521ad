"""Tunes `stacked`: which heuristic decides each resource of a host, with which options.

Coordinate search. One resource after the other gets the best of its candidate heuristics while all
other resources are decided as the stack so far says; TPE then varies what the winner calls
tunable. What one resource wants depends on the others, hence a second sweep. A step that finds
nothing better changes nothing, so a stack never gets worse on the scenarios that it is tuned on.

One dependence is too strong for that: rules for memory and cache that read histograms and miss
curves do nothing where no monitor runs, and where none of them is chosen no monitor pays. No
single step leads from one to the other, so the search starts from both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import create_trial

from gymbal_agents.roster import Tuned, find_tuned
from gymbal_agents.tuning import (
    OnTrial,
    Options,
    Score,
    TuneConfig,
    Tuning,
    make_score,
    open_study,
    search,
    search_space,
    study_name,
    tune,
)
from gymbal_runtime.heuristics import HEURISTICS
from gymbal_runtime.heuristics.cache import CACHE_HEURISTICS
from gymbal_runtime.heuristics.cpu_weights import CPU_HEURISTICS
from gymbal_runtime.heuristics.devices import DEVICE_HEURISTICS
from gymbal_runtime.heuristics.meb_adaptive import MebAdaptive
from gymbal_runtime.heuristics.monitors import (
    MONITOR_HEURISTICS,
    IntermittentTracking,
    Sampler,
)
from gymbal_runtime.heuristics.stacked import RESOURCE_FIELDS, Stacked
from gymbal_runtime.tasks import BALLOON, CACHE

Candidates = Mapping[str, tuple[str, ...]]
"""Resource -> names of the heuristics that may decide it."""

CANDIDATES: Candidates = {
    "memory": (*HEURISTICS, MebAdaptive.name),
    "cache": tuple(CACHE_HEURISTICS),
    "cpu": tuple(one.name for one in CPU_HEURISTICS),
    "device": tuple(one.name for one in DEVICE_HEURISTICS),
    "monitor": tuple(one.name for one in MONITOR_HEURISTICS),
}

FIRST_MONITORS = (IntermittentTracking.name, Sampler.name)
"""What watches the VMs where the searches start: one with histograms, one without."""

SWEEPS = 2
"""Times that every resource has its turn in each search."""


def tune_host(
    config: TuneConfig, known: Tuned, storage: Path | None, on_trial: OnTrial
) -> dict[str, Tuning]:
    """Tune the heuristics of a whole host; `stacked` is made of the results of the others.

    Args:
        config: what to tune on; ``trials`` counts for each heuristic alone and for each resource,
            sweep and start of `stacked`.
        known: tuned options of memory and cache heuristics; all play as published, too.
        storage: file that remembers trials, so that a killed search goes on; None for none.
        on_trial: called after every trial, also for those found in the storage.

    Raises:
        ScenarioError, TraceError: if there are no such scenarios.
    """
    single = tuple(name for name in config.names if name != Stacked.name)
    found = tune(replace(config, heuristics=single), storage, on_trial) if single else {}
    if Stacked.name in config.names:
        tuned = {**known, **{name: one.options for name, one in found.items()}}
        found[Stacked.name] = tune_stacked(config, tuned, storage, on_trial)
    return found


def tune_stacked(
    config: TuneConfig,
    tuned: Tuned,
    storage: Path | None,
    on_trial: OnTrial,
    candidates: Candidates = CANDIDATES,
) -> Tuning:
    """Find the best heuristic for each resource; arguments as of `tune_host`.

    The tuned options of a candidate are tried beside the published ones.
    """
    score = make_score(config, Stacked.name, "train", config.num_scenarios)
    steps = _StackSearch(config, tuned, candidates, storage, score, on_trial)
    published = Stacked().options()
    starts = [{**published, "monitor": {"name": name}} for name in FIRST_MONITORS]
    stack = max((published, *map(steps.run, starts)), key=steps.scored)
    check = make_score(config, Stacked.name, "validation", config.validation_scenarios)
    return Tuning(
        options={} if stack == published else stack,
        before=steps.scored(published),
        after=steps.scored(stack),
        validation_before=check(published),
        validation_after=check(stack),
        tried=steps.tried,
    )


def known_options(folder: Path) -> Tuned:
    """What `scripts/tune.py` found for memory and cache heuristics, as far as it is there.

    Raises:
        RosterError: if a file cannot be read, or names what does not exist.
    """
    files = (find_tuned("auto", folder, task) or {} for task in (BALLOON, CACHE))
    return {name: options for file in files for name, options in file.items()}


@dataclass(eq=False)
class _StackSearch:
    """The steps of one search.

    Attributes:
        config, tuned, candidates, storage, on_trial: as of `tune_stacked`.
        score: of a whole stack.
        tried: stacks so far, whether just played or found in the storage.
    """

    config: TuneConfig
    tuned: Tuned
    candidates: Candidates
    storage: Path | None
    score: Score
    on_trial: OnTrial
    tried: int = 1
    _scores: dict[str, float] = field(default_factory=dict)
    _reached: list[Options] = field(default_factory=list)

    def run(self, stack: Options) -> Options:
        """The best stack that single steps reach; the parts of earlier ones are candidates, too."""
        for sweep in range(SWEEPS):
            for resource in RESOURCE_FIELDS:
                stack = {**stack, resource: self._best_candidate(stack, resource)}
                stack = {**stack, resource: self._varied(stack, resource, sweep)}
        self._reached.append(stack)
        return stack

    def scored(self, stack: Options) -> float:
        """The score of a stack, played at most once."""
        key = _label(stack)
        if key not in self._scores:
            self._scores[key] = self.score(stack)
        return self._scores[key]

    def _best_candidate(self, stack: Options, resource: str) -> Options:
        """Who decides the resource best; who does now, if nobody does it better."""
        by_label = {_label(one): one for one in self._options(stack, resource)}
        space: dict[str, BaseDistribution] = {"candidate": CategoricalDistribution(tuple(by_label))}
        others = {other: options for other, options in stack.items() if other != resource}
        among = {"stack": others, "resource": resource, "candidates": list(by_label)}
        name = study_name(self.config, Stacked.name, **among)
        study = open_study(name, self.storage)
        seen = {trial.params["candidate"]: trial.value or 0.0 for trial in study.get_trials()}
        for label, one in by_label.items():
            if label not in seen:
                seen[label] = self.scored({**stack, resource: one})
                trial = {"candidate": label}
                study.add_trial(create_trial(params=trial, distributions=space, value=seen[label]))
            self.on_trial(Stacked.name, max(seen.values()))
        self.tried += len(by_label) - 1
        return by_label[max(by_label, key=seen.__getitem__)]

    def _options(self, stack: Options, resource: str) -> list[Options]:
        """What may decide the resource, who does now first; some more than once."""
        found = [stack[resource], *(earlier[resource] for earlier in self._reached)]
        for name in self.candidates[resource]:
            found += [{"name": name}, {"name": name, **self.tuned.get(name, {})}]
        return found

    def _varied(self, stack: Options, resource: str, sweep: int) -> Options:
        """Who decides the resource now, with the best options that TPE finds."""
        now = stack[resource]
        start = {option: value for option, value in now.items() if option != "name"}
        name = study_name(self.config, now["name"], stack=stack, resource=resource, sweep=sweep)
        _, better, _ = search(
            open_study(name, self.storage),
            now["name"],
            lambda options: self.scored({**stack, resource: {**now, **options}}),
            # The second sweep shall not try the same random points again.
            replace(self.config, seed=self.config.seed + sweep),
            lambda _, best: self.on_trial(Stacked.name, best),
            start,
        )
        self.tried += self.config.trials - 1 if search_space(now["name"]) else 0
        return {**now, **better}


def _label(options: Options) -> str:
    return json.dumps(options, sort_keys=True)
