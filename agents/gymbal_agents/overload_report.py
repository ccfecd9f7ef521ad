"""What only the report of a contest about overloads has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from gymbal_agents import cluster_timeline
from gymbal_agents.charts import group_agents
from gymbal_agents.contest import Contest
from gymbal_agents.overload_story import NOBODY_AT_ALL, AgentStory, episodes_of, tell_story
from gymbal_agents.overload_tables import (
    answers_table,
    effort_table,
    ends_table,
    overloads_table,
    shortages_table,
)
from gymbal_agents.roster import Contender
from gymbal_agents.summary import PERCENT, Summary
from gymbal_agents.tables import Table
from gymbal_envs.scenarios.source import make_source
from gymbal_envs.tasks.open import shape_of

STORY_SCENARIOS = 16
"""The first so many scenarios are played again to tell what agents did about overloads."""


def story_of(contest: Contest) -> dict[str, AgentStory]:
    """What all agents of a contest but the oracles, which are slow, did about overloads."""
    config = contest.config
    return tell_story(
        {name: one.make for name, one in contest.roster.items() if one.kind != "oracle"},
        make_source(config.scenario, config.split, config.seed),
        min(config.num_scenarios, STORY_SCENARIOS),
        shape_of(config.scenario, config.task),
        config.task,
        config.threads,
    )


def story_tables(summary: Summary, story: Mapping[str, AgentStory]) -> dict[str, Table]:
    """Tables about overloads by short names; none without a story."""
    if not story:
        return {}
    strong = frozenset(line.name for line in summary.lines if line.kind == "policy")
    return {
        "overloads": overloads_table(story, strong),
        "answers": answers_table(story, strong),
        "shortages": shortages_table(story, strong),
        "ends": ends_table(story, strong),
        "effort": effort_table(story, strong),
    }


def shown_agents(summary: Summary, story: Mapping[str, AgentStory]) -> list[str]:
    """Agents by how much they matter in a picture: best heuristic, policies, other heuristics."""
    found = [summary.best_heuristic or ""]
    for line in group_agents(summary):
        found += [name for name in story if line.name in (name, name.rpartition("/")[0])]
    known = [name for name in dict.fromkeys([*found, *story]) if name in story]
    return [name for name in known if name != NOBODY_AT_ALL]


def draw_pair(contest: Contest, pair: Sequence[Contender], number: int) -> Figure:
    """Two agents side by side in one scenario.

    Args:
        contest: that they played.
        pair: the agents.
        number: of the scenario.
    """
    config = contest.config
    scenario = make_source(config.scenario, config.split, config.seed)(number)
    shape = shape_of(config.scenario, config.task)
    return cluster_timeline.draw(
        {one.name: episodes_of(one.make, [scenario], shape, config.task)[0] for one in pair},
        {one.name: -PERCENT * float(contest.evaluation.values(one.name)[number]) for one in pair},
    )
