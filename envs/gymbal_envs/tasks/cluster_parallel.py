"""``gymbal/Cluster-v0`` for PettingZoo: every host an agent, and nobody in the centre."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gymbal_envs.scenarios.source import ScenarioConfig, default_scenario, make_source
from gymbal_envs.scenarios.split import SplitName
from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as of
from gymbal_envs.simulator.host_power import ENERGY, NUM_STATES
from gymbal_envs.tasks.config import TaskConfig, default_task
from gymbal_envs.tasks.env import check_id
from gymbal_envs.tasks.layered_worlds import LayeredWorlds
from gymbal_envs.tasks.open import shape_of, spaces_of
from gymbal_envs.tasks.recording import Viewer
from gymbal_runtime.tasks import CLUSTER

try:
    from pettingzoo import ParallelEnv
except ImportError as missing:
    raise ImportError(
        f'{__name__} needs {missing.name}: install it with  pip install "gymbal[multi]"'
    ) from missing

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]
Share = Literal["common", "local"]

Step = tuple[
    dict[str, Rows], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
]


class ClusterParallelEnv(ParallelEnv[str, Rows, Rows]):  # type: ignore[misc]
    """A cluster whose hosts decide for themselves and hear of the others only in summary.

    ## Description
    The world, the stack of layers that actions correct and the terms of the reward are those of
    ``gymbal/Cluster-v0`` (`gymbal_envs.tasks.cluster.ClusterEnv`). Agents are the hosts,
    ``host_0``, ``host_1``, ...; who is there changes with the scenario. The stack itself knows all
    hosts: it stands for the protocol by which they agree on moves.

    ## Action Space
    `Box(-1, 1, (5,), float32)` for each: fill, relief, keep, haste, exchange of its own host. 0 is
    what the stack says.

    ## Observation Space
    `Box((3 F,), float32)` for each: its own row of F numbers, then the mean and the largest of each
    over the other hosts (0 where it is alone).

    ## Rewards
    ``common``: every host gets the reward of the cluster. ``local``: what its own VMs lost and what
    it drew and sent, in units of the whole cluster, and of what VMs lost that wait for a host an
    equal part; the sum over the hosts is the cluster's reward.

    ## Episode End
    All at once, by truncation; agents then is empty.

    Args:
        scenario: where scenarios come from; the task's own by default.
        config: the task; its defaults where None.
        split: train, validation or test.
        episode_steps: decisions in an episode; by default the scenario's length.
        reward: ``common`` or ``local``.
        render_mode: ``rgb_array`` or None.

    Raises:
        ValueError: the configuration is of another task, or there is no such reward or render mode.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "gymbal_cluster_v0",
        "render_modes": ["rgb_array"],
        "render_fps": 10,
        "is_parallelizable": True,
    }

    def __init__(
        self,
        scenario: ScenarioConfig | None = None,
        config: TaskConfig | None = None,
        split: SplitName = "train",
        episode_steps: int | None = None,
        reward: Share = "common",
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be rgb_array or None, not {render_mode!r}")
        if reward not in ("common", "local"):
            raise ValueError(f"reward must be common or local, not {reward!r}")
        self.scenario = scenario or default_scenario(CLUSTER)
        self.config = config or default_task(CLUSTER)
        check_id(self.config, CLUSTER)
        self.split: SplitName = split
        self.reward, self.render_mode = reward, render_mode
        shape = shape_of(self.scenario, self.config)
        self.shape = replace(shape, episode_steps=episode_steps or shape.episode_steps)
        observed, acted = spaces_of(self.config, self.shape)
        rows, actions = observed["hosts"], acted
        assert isinstance(rows, spaces.Box)
        assert isinstance(actions, spaces.Box)
        self._place = {f"host_{h}": h for h in range(self._num_places)}
        self.possible_agents = list(self._place)
        self.observation_spaces = {
            name: spaces.Box(np.tile(rows.low[h], 3), np.tile(rows.high[h], 3))
            for h, name in enumerate(self.possible_agents)
        }
        self.action_spaces = {
            name: spaces.Box(actions.low[h], actions.high[h])
            for h, name in enumerate(self.possible_agents)
        }
        self.agents: list[str] = []
        self._worlds: LayeredWorlds | None = None
        self._viewer: Viewer | None = None
        self._rng = np.random.default_rng()
        self._next = self._steps = 0

    @property
    def _num_places(self) -> int:
        """Places in which a host may be."""
        cluster = self.scenario.cluster
        drawn = cluster is not None and not self.scenario.toy
        return cluster.max_hosts if cluster and drawn else self.shape.num_hosts

    def observation_space(self, agent: str) -> spaces.Space[Rows]:
        """Of one host."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Rows]:
        """Of one host."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Rows], dict[str, dict[str, Any]]]:
        """Start a new scenario.

        Args:
            seed: of the draw of this and all later scenarios.
            options: ``{"scenario": n}`` plays scenario number n of the seed.
        """
        if self._worlds is None or seed is not None:
            self._rng = np.random.default_rng(seed)
            drawn = int(self._rng.integers(2**31)) if seed is None else seed
            source = make_source(self.scenario, self.split, drawn)
            endless = replace(self.shape, episode_steps=self.shape.episode_steps + 1)
            self._worlds = LayeredWorlds(source, 1, endless, self.config)  # it never starts over
            self._next = 0
        number = int((options or {}).get("scenario", self._next))
        observation = self._worlds.reset(number)
        self._next, self._steps = number + 1, 0
        there = self._worlds.telemetry.exists[0]
        self.agents = [name for h, name in enumerate(self.possible_agents) if there[h]]
        if self.render_mode == "rgb_array":
            self._viewer = self._worlds.viewer()
        info = {"scenario": number, "split": self.split}
        return self._views(observation), {name: dict(info) for name in self.agents}

    def step(self, actions: dict[str, Rows]) -> Step:
        """Apply the corrections of all hosts and let one interval pass; who says nothing: 0.

        Raises:
            RuntimeError: before ``reset`` and after the episode's end.
        """
        if self._worlds is None or not self.agents:
            raise RuntimeError("call reset() before step()")
        told = np.zeros((1, self.shape.num_hosts, len(self.config.codec.actions)))
        for name in self.agents:
            if name in actions:
                told[0, self._place[name]] = actions[name]
        result = self._worlds.step(told)
        if self._viewer is not None:
            self._viewer.record()
        self._steps += 1
        ended, there = self._steps >= self.shape.episode_steps, self.agents
        terms = {name: float(value[0]) for name, value in result.terms.items()}
        views, rewards = self._views(result.observation), self._rewards(float(result.reward[0]))
        self.agents = [] if ended else there
        truncated = dict.fromkeys(there, ended)
        infos = {name: {"reward_terms": dict(terms)} for name in there}
        return views, rewards, dict.fromkeys(there, False), truncated, infos

    def render(self) -> NDArray[np.uint8] | None:
        """Picture of the episode so far."""
        return None if self._viewer is None else self._viewer.image()

    def close(self) -> None:
        """Forget the picture."""
        self._viewer = None

    def _views(self, observation: Any) -> dict[str, Rows]:
        """What each host sees: itself, and the mean and the largest of the others."""
        rows, views = observation["hosts"][0], {}
        for name in self.agents:
            others = np.array([rows[self._place[o]] for o in self.agents if o != name])
            if not others.size:
                others = np.zeros((1, rows.shape[1]), np.float32)
            views[name] = np.concatenate([rows[self._place[name]], others.mean(0), others.max(0)])
        return views

    def _rewards(self, common: float) -> dict[str, float]:
        if self.reward == "common":
            return dict.fromkeys(self.agents, common)
        assert self._worlds is not None
        local = local_rewards(self._worlds)
        waiting = float(local.sum() - sum(local[self._place[name]] for name in self.agents))
        each = waiting / len(self.agents)
        return {name: float(local[self._place[name]]) + each for name in self.agents}


def local_rewards(worlds: LayeredWorlds) -> Floats:
    """(H,) parts of a single cluster's reward, by place; those of a lobby are of who waits."""
    engine, weights = worlds.engine, worlds.config.weights
    shares, outcome = engine.hosts.world_vm[:, host_at.SHARES], engine.hosts.outcome
    total, seconds = max(float(shares.sum()), 1e-12), engine.interval_s
    exists = engine.member[:, of.EXISTS] > 0
    most_j = max(float((engine.watts.max(axis=1) * exists).sum()) * seconds, 1e-12)
    energy = engine.power_outcome[:, ENERGY : ENERGY + NUM_STATES].sum(axis=1) / most_j
    lost = (shares * outcome[:, host_at.LOST]).sum(axis=1) / total / seconds
    killed = (shares * outcome[:, host_at.KILLED]).sum(axis=1) / total
    memory = max(float(engine.member[:, of.PHYSICAL].sum()), 1.0)
    sent = engine.member[:, of.SENT] / memory
    costs: Floats = (
        weights.energy * energy
        + weights.progress_lost * lost
        + weights.processes_killed * killed
        + weights.network_traffic * sent
    )
    return -costs


def parallel_env(**options: Any) -> ClusterParallelEnv:
    """The environment, as PettingZoo names its factories; options of `ClusterParallelEnv`."""
    return ClusterParallelEnv(**options)
