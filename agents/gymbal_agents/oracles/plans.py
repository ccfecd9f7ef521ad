"""Which plans an oracle tries in which task, and the optimum of the moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gymbal_agents.oracles.host_plans import HostPlans, best_modes, efficient_weights
from gymbal_agents.oracles.part_plans import PartPlans, best_clusters
from gymbal_agents.oracles.plan import Planner, Window
from gymbal_agents.oracles.split_plans import SplitPlans, best_split
from gymbal_envs.simulator.engine import Engine
from gymbal_runtime.command import Command
from gymbal_runtime.tasks import BALLOON, CACHE, HOST

PLANNERS: dict[str, Callable[[], Planner]] = {
    BALLOON: SplitPlans,
    CACHE: PartPlans,
    HOST: HostPlans,
}


def plan_now(engine: Engine, task: str, window: Window = (0.0, 10.0)) -> Command:
    """The optimum for the true demand of the next seconds, all resources of the task."""
    whole = np.ones(engine.num_worlds)
    start, end = whole * window[0], whole * window[1]
    command = Command.no_change(engine.num_worlds, engine.num_vms)
    if task in (BALLOON, HOST):
        command = replace(command, balloon_bytes=best_split(engine, start, end))
    if task in (CACHE, HOST):
        classes, units = best_clusters(engine, start)
        command = replace(command, llc_class=classes, llc_units=units)
    if task == HOST:
        command = replace(
            command,
            cpu_weight=efficient_weights(engine),
            device_mode=best_modes(engine),
            monitor_level=np.zeros((engine.num_worlds, engine.num_vms)),
        )
    return command
