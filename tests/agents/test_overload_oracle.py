"""The oracle of clusters on the hand-written overloads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gymbal_agents.oracles import oracles_of
from gymbal_envs.scenarios.cluster_config import ClusterConfig
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.tasks.config import default_task
from gymbal_envs.tasks.open import open_worlds, shape_of
from gymbal_runtime.cluster.heuristics import make_cluster_heuristic
from gymbal_runtime.tasks import OVERLOAD


@pytest.mark.parametrize("toy", ["short-overload", "long-overload"])
def test_it_costs_no_more_than_waiting(toy: str) -> None:
    config, task = ScenarioConfig(cluster=ClusterConfig(), toy=toy), default_task(OVERLOAD)
    task = replace(task, physics=replace(task.physics, knot_s=config.knot_s))
    source, shape = make_source(config, "test", 0), shape_of(config, task)
    cost = {}
    for name in ("oracle", "never_migrate"):
        worlds = open_worlds(task, source, 1, replace(shape, episode_steps=10**6), propose=False)
        worlds.reset()
        oracle = name == "oracle"
        agent = oracles_of(OVERLOAD)[name](worlds) if oracle else make_cluster_heuristic(name)
        agent.reset(1, shape.num_vms)
        rewards = [worlds.apply(agent.act(worlds.telemetry)).reward for _ in range(60)]
        cost[name] = -float(np.sum(rewards))
    assert cost["oracle"] <= cost["never_migrate"] * 1.05
