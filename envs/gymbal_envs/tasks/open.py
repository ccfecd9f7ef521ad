"""The worlds of any task by its configuration."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces

from gymbal_envs.scenarios.source import ScenarioConfig
from gymbal_envs.tasks.batch import ScenarioSource, Worlds, WorldShape
from gymbal_envs.tasks.config import TaskConfig
from gymbal_runtime.tasks import CENTRE_TASKS, CLUSTER, OVERLOAD, PLACEMENT, SITES


def shape_of(scenario: ScenarioConfig, config: TaskConfig) -> WorldShape:
    """The shape of worlds that these settings need."""
    steps = scenario.episode_steps(config.physics.clock.control_interval_s)
    return WorldShape(scenario.num_vms, scenario.num_knots, steps, scenario.num_hosts)


def spaces_of(config: TaskConfig, shape: WorldShape) -> tuple[spaces.Dict, spaces.Space[Any]]:
    """Observation and action space of one world."""
    return _kind_of(config).spaces_of(config, shape)


def open_worlds(
    config: TaskConfig,
    source: ScenarioSource,
    num_worlds: int,
    shape: WorldShape,
    num_threads: int = 1,
    encode: bool = True,
    propose: bool = True,
) -> Worlds[Any, Any]:
    """Worlds of the task that ``config`` names.

    Args:
        config: the task.
        source: scenario by number.
        num_worlds: B.
        shape: of each world, `shape_of` the scenarios' settings.
        num_threads: of the engine.
        encode: False leaves observations empty, for worlds that nobody learns from.
        propose: False asks no heuristic either: such worlds take decisions only.
    """
    kind = _kind_of(config)
    return kind(source, num_worlds, shape, config, num_threads, encode, propose)


def _kind_of(config: TaskConfig) -> type[Worlds[Any, Any]]:
    """The worlds that a task is played in; those of other tasks are not even imported."""
    if config.id == OVERLOAD:
        from gymbal_envs.tasks.cluster_worlds import ClusterWorlds

        return ClusterWorlds
    if config.id == CLUSTER:
        from gymbal_envs.tasks.layered_worlds import LayeredWorlds

        return LayeredWorlds
    if config.id == SITES:
        from gymbal_envs.tasks.sites_worlds import SitesWorlds

        return SitesWorlds
    if config.id == PLACEMENT:
        from gymbal_envs.tasks.placement_worlds import PlacementWorlds

        return PlacementWorlds
    if config.id in CENTRE_TASKS:
        from gymbal_envs.tasks.centre_worlds import CentreWorlds

        return CentreWorlds
    from gymbal_envs.tasks.worlds import HostWorlds

    return HostWorlds
