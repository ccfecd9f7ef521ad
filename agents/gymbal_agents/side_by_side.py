"""One scenario, two agents side by side: the pictures that the environment draws of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from gymbal_agents.evaluate import AgentFactory
from gymbal_envs.scenarios.source import AnyScenario
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.config import TaskConfig
from gymbal_envs.tasks.open import open_worlds

_WIDTH_INCHES, _HEIGHT_INCHES, _DPI = 14.0, 5.7, 130


def draw(
    agents: Mapping[str, AgentFactory],
    scenario: AnyScenario,
    shape: WorldShape,
    config: TaskConfig,
) -> Figure:
    """Columns: agents. In each, what the environment's viewer shows of a whole episode.

    Args:
        agents: by name.
        scenario: that each plays.
        shape: of its world.
        config: the task.
    """
    figure = Figure(figsize=(_WIDTH_INCHES, _HEIGHT_INCHES), dpi=_DPI, layout="constrained")
    columns = figure.subplots(1, len(agents), squeeze=False)[0]
    for axes, (name, make) in zip(columns, agents.items(), strict=True):
        axes.imshow(_picture(make, scenario, shape, config), interpolation="lanczos")
        axes.set_axis_off()
        axes.set_title(name, loc="left", fontsize=12)
    return figure


def _picture(
    make: AgentFactory, scenario: AnyScenario, shape: WorldShape, config: TaskConfig
) -> Any:
    """What an agent makes of the episode, (height, width, 3)."""
    worlds = open_worlds(config, lambda index: scenario, 1, shape, encode=False, propose=False)
    worlds.episode_steps += 1  # so that the episode's end is still in the picture
    worlds.reset()
    viewer, agent = worlds.viewer(), make(worlds)
    agent.reset(1, worlds.num_vms)
    for _ in range(shape.episode_steps):
        worlds.apply(agent.act(worlds.telemetry))
        viewer.record()
    return viewer.image()
