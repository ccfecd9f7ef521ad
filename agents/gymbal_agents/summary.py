"""What an evaluation says: levels, paired differences, shares of the gap, verdicts.

Reports speak of *cost*, minus the reward in percent: a cost of 1 is as bad as losing 1 % of the
progress that the VMs wanted to make. A *gain* is cost saved against somebody on the same scenarios.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.contest import Contest
from gymbal_agents.evaluate import Evaluation
from gymbal_agents.roster import Contender, Kind
from gymbal_agents.statistics import Estimate, gap_closed, interquartile_mean, mean
from gymbal_runtime.tasks import (
    BALLOON,
    CACHE,
    CLUSTER,
    CONSOLIDATION,
    HOST,
    OVERLOAD,
    PLACEMENT,
    SITES,
)

Floats = NDArray[np.float64]

PERCENT = 100.0
NUM_THIRDS = 3
_KINDS_OF = {
    BALLOON: ("swap tier", "load"),
    CACHE: ("cache", "VMs"),
    HOST: ("swap tier", "load", "cache"),
    OVERLOAD: ("swap tier", "far memory", "migration rule", "hosts"),
    CLUSTER: ("hosts", "load", "migration rule"),
    SITES: ("load", "VMs"),
    CONSOLIDATION: ("hosts", "load", "migration rule"),
    PLACEMENT: ("hosts", "load"),
}
"""By what scenarios are grouped in each task."""


@dataclass(frozen=True)
class Line:
    """One agent's result.

    Attributes:
        name: of the agent, or of a team of training seeds.
        kind: heuristic, oracle or policy.
        seeds: training seeds in it; 1 for everything that is not a team.
        num_scenarios: scenarios it played.
        cost: percent, mean over the scenarios that everybody played.
        cost_iqm: percent, interquartile mean over the same.
        measures: mean of every measure over the same, in its own unit.
        gains: cost saved against each heuristic, percent, over all scenarios that both played.
        gap_closed: share of the gap between the best heuristic and the oracle; None without gap.
        beats_every_heuristic: the interval of each gain lies above 0; None for a heuristic.
    """

    name: str
    kind: Kind
    seeds: int
    num_scenarios: int
    cost: Estimate
    cost_iqm: Estimate
    measures: dict[str, float]
    gains: dict[str, Estimate]
    gap_closed: Estimate | None
    beats_every_heuristic: bool | None


@dataclass(frozen=True)
class Group:
    """Scenarios that have something in common.

    Attributes:
        kind: what they have in common: ``swap tier``, ``load``, ``cache``, ``VMs``; of clusters
            also ``far memory``, ``migration rule`` or ``hosts``.
        label: which.
        num_scenarios: how many.
        cost: of the best heuristic there, percent.
        gains: cost that each other agent saves against it there, percent.
    """

    kind: str
    label: str
    num_scenarios: int
    cost: Estimate
    gains: dict[str, Estimate]


@dataclass(frozen=True)
class Summary:
    """The result of a contest.

    Attributes:
        lines: agents, best first.
        shared: number of scenarios that everybody played.
        best_heuristic: the one of least mean cost over all that it played; None if none played.
        oracle: the one that bounds the gap: ``oracle``, else ``oracle_now``, else None.
        groups: the same by what matters in the task.
    """

    lines: tuple[Line, ...]
    shared: int
    best_heuristic: str | None
    oracle: str | None
    groups: tuple[Group, ...]

    def line(self, name: str) -> Line:
        """The result of one agent."""
        return next(line for line in self.lines if line.name == name)

    @property
    def whole_lines(self) -> tuple[Line, ...]:
        """The lines without those of a team's single members."""
        teams = {line.name for line in self.lines if line.seeds > 1}
        return tuple(line for line in self.lines if line.name.rpartition("/")[0] not in teams)

    @property
    def subject(self) -> Line:
        """Whom the report is about: the best policy (a team counts as one), else the best agent."""
        policies = [line for line in self.whole_lines if line.kind == "policy"]
        return (policies or list(self.lines))[0]


def summarise(contest: Contest) -> Summary:
    """Estimate everything that the report shows.

    Args:
        contest: the outcome.
    """
    evaluation, roster = contest.evaluation, contest.roster
    shared = min(evaluation.values(name).size for name in roster)
    heuristics = [name for name, one in roster.items() if one.kind == "heuristic"]
    best = max(heuristics, key=lambda name: evaluation.values(name).mean(), default=None)
    oracle = next((name for name in ("oracle", "oracle_now") if name in roster), None)
    teams = _teams(list(roster.values()))
    lines = [
        _line(evaluation, name, members, heuristics, (best, oracle), shared)
        for name, members in teams.items()
    ]
    groups: tuple[Group, ...] = ()
    if best is not None:
        groups = tuple(_groups(evaluation, teams, best, contest.config.task.id))
    return Summary(
        tuple(sorted(lines, key=lambda line: line.cost.value)), shared, best, oracle, groups
    )


def _teams(contenders: Sequence[Contender]) -> dict[str, list[Contender]]:
    """Every agent as a team of one, and teams of several seeds beside their members."""
    teams: dict[str, list[Contender]] = {}
    for one in contenders:
        if one.team != one.name:
            teams.setdefault(one.team, []).append(one)
        teams[one.name] = [one]
    return teams


def _rewards(evaluation: Evaluation, members: Sequence[Contender]) -> Floats:
    """(S, M) rewards of a team."""
    return np.stack([evaluation.values(member.name) for member in members])


def _line(
    evaluation: Evaluation,
    name: str,
    members: Sequence[Contender],
    heuristics: Sequence[str],
    gap: tuple[str | None, str | None],
    shared: int,
) -> Line:
    rewards = _rewards(evaluation, members)
    kind = members[0].kind
    gains = {
        other: _gain(rewards, evaluation.values(other)) for other in heuristics if other != name
    }
    closed = None
    best, oracle = gap
    if best is not None and oracle is not None:
        played = min(rewards.shape[1], evaluation.values(oracle).size)
        closed = gap_closed(
            rewards[:, :played],
            evaluation.values(best)[:played],
            evaluation.values(oracle)[:played],
        )
    return Line(
        name=name,
        kind=kind,
        seeds=len(members),
        num_scenarios=rewards.shape[1],
        cost=mean(-PERCENT * rewards[:, :shared]),
        cost_iqm=interquartile_mean(-PERCENT * rewards[:, :shared]),
        measures={
            key: float(np.mean([evaluation.values(m.name, key)[:shared] for m in members]))
            for key in evaluation.measures[members[0].name]
        },
        gains=gains,
        gap_closed=closed,
        beats_every_heuristic=(
            all(gain.above_zero for gain in gains.values())
            if kind != "heuristic" and gains
            else None
        ),
    )


def _gain(ours: Floats, theirs: Floats) -> Estimate:
    """Percent of cost saved, on the scenarios that both played: (S, M) against (M',)."""
    both = min(ours.shape[1], theirs.size)
    return mean(PERCENT * (ours[:, :both] - theirs[:both]))


def _groups(
    evaluation: Evaluation, teams: dict[str, list[Contender]], best: str, task: str
) -> list[Group]:
    groups = []
    reference = evaluation.values(best)
    for kind, label, index in _partitions(evaluation, task):
        gains = {}
        for name, members in teams.items():
            rewards = _rewards(evaluation, members)
            mine = index[index < rewards.shape[1]]
            if name != best and mine.size:
                gains[name] = mean(PERCENT * (rewards[:, mine] - reference[mine]))
        cost = mean(-PERCENT * reference[index])
        groups.append(Group(kind, label, index.size, cost, gains))
    return groups


def _partitions(evaluation: Evaluation, task: str) -> list[tuple[str, str, NDArray[np.int64]]]:
    """(kind, label, scenario numbers) by what distinguishes the scenarios of a task."""
    facts = evaluation.scenarios
    kinds = {
        "swap tier": lambda: _by_label([one.tier for one in facts]),
        "load": lambda: _by_thirds(np.array([one.load for one in facts]), "{:.2f}"),
        "cache": lambda: _by_label([one.cache for one in facts]),
        "VMs": lambda: _by_thirds(np.array([float(one.num_vms) for one in facts]), "{:.0f}"),
        "far memory": lambda: _by_label([one.far for one in facts]),
        "migration rule": lambda: _by_label([one.migration for one in facts]),
        "hosts": lambda: _by_thirds(np.array([float(one.hosts) for one in facts]), "{:.0f}"),
    }
    return [
        (kind, label, index)
        for kind in _KINDS_OF[task]
        for label, index in kinds[kind]()
        if index.size
    ]


def _by_label(labels: Sequence[str]) -> list[tuple[str, NDArray[np.int64]]]:
    found = np.array(labels)
    return [(str(label), np.flatnonzero(found == label)) for label in np.unique(found)]


def _by_thirds(values: Floats, form: str) -> list[tuple[str, NDArray[np.int64]]]:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, NUM_THIRDS + 1)))
    which = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, max(edges.size - 2, 0))
    found = []
    for k in range(max(edges.size - 1, 1)):
        low, high = edges[k], edges[min(k + 1, edges.size - 1)]
        found.append((f"{form.format(low)}-{form.format(high)}", np.flatnonzero(which == k)))
    return found
