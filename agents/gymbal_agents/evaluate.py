"""The one evaluation loop: heuristics, oracles and learned policies play the same scenarios.

Scenario number i of a source is the same host, demand and sensor noise for whoever plays it, so
agents are compared pair by pair. Every command passes the guard, as it does on a real host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.measures import counted_in, measured, measures_from
from gymbal_envs.scenarios.centre_scenario import CentreScenario
from gymbal_envs.scenarios.cluster_scenario import GIGABIT, ClusterScenario
from gymbal_envs.scenarios.sites_scenario import SitesScenario
from gymbal_envs.scenarios.source import AnyScenario
from gymbal_envs.tasks.batch import ScenarioSource, Transition, Worlds, WorldShape
from gymbal_envs.tasks.config import TaskConfig
from gymbal_envs.tasks.open import open_worlds
from gymbal_runtime.agent import Agent

Floats = NDArray[np.float64]
AgentFactory = Callable[[Worlds[Any, Any]], Agent]
"""Builds an agent for some worlds; all but oracles ignore them."""
OnStep = Callable[[str, int], None]
"""Told an agent's name and how many decisions it has just made."""


@dataclass(frozen=True)
class ScenarioFacts:
    """What distinguishes a scenario, for tables by group.

    Attributes:
        name: says where it was drawn from.
        tier: name of the swap tier.
        num_vms: VMs present.
        load: peak of the summed working sets over the memory that guests' programs can have; of
            moves between sites, all that is to be copied over what the line can carry.
        cache: kind of the last-level cache, ``ways`` or ``page colours``; empty where none is.
        hosts: hosts of a cluster; 1 where the scenario is one host.
        far: how other hosts' memory is reached, the preset's name; empty for one host.
        migration: rule by which VMs move, the preset's name; empty for one host.
        nic_gbit_s: of each host's network port, or of the line between sites; 0 for one host.
    """

    name: str
    tier: str
    num_vms: int
    load: float
    cache: str = ""
    hosts: int = 1
    far: str = ""
    migration: str = ""
    nic_gbit_s: float = 0.0

    @classmethod
    def of(cls, scenario: AnyScenario) -> ScenarioFacts:
        """The facts of one scenario; a cluster's load is that of its most loaded host."""
        if isinstance(scenario, ClusterScenario):
            return cls._of_cluster(scenario)
        if isinstance(scenario, SitesScenario):
            line = scenario.wan.bytes_s / GIGABIT
            num_vms = int(scenario.present.sum())
            return cls(scenario.name, "", num_vms, scenario.load, nic_gbit_s=line)
        if isinstance(scenario, CentreScenario):
            return cls._of_centre(scenario)
        room = scenario.capacity_bytes - float(scenario.kernel_bytes[scenario.present].sum())
        peak = float(scenario.working_set_bytes.sum(axis=1, dtype=np.float64).max())
        num_vms, cache, resources = int(scenario.present.sum()), "", scenario.resources
        if resources is not None and resources.llc_bytes > 0:
            cache = "page colours" if resources.llc_recolours else "ways"
        load = float(peak / room)  # a plain number, for JSON
        return cls(scenario.name, scenario.tier.name, num_vms, load, cache)

    @classmethod
    def _of_centre(cls, scenario: CentreScenario) -> ScenarioFacts:
        """The load is that of the centre: what its VMs want at most together over all MIPS."""
        wanted = (scenario.demand * scenario.vm_mips).sum(axis=1, dtype=np.float64)
        load = float(wanted.max() / scenario.cpu_mips.sum())
        num_vms, hosts = int(scenario.present.sum()), int(scenario.exists.sum())
        line = float(scenario.nic_bytes_s[scenario.exists].min() / GIGABIT)
        rule = scenario.migration.name
        return cls(scenario.name, "", num_vms, load, "", hosts, "", rule, nic_gbit_s=line)

    @classmethod
    def _of_cluster(cls, scenario: ClusterScenario) -> ScenarioFacts:
        each = [cls.of(host) for host in scenario.hosts if host is not None]
        return cls(
            name=scenario.name,
            tier=each[0].tier,
            num_vms=sum(one.num_vms for one in each),
            load=max(one.load for one in each),
            cache=each[0].cache,
            hosts=len(each),
            far=scenario.far.name,
            migration=scenario.migration.name,
            nic_gbit_s=float(scenario.nic_bytes_s[scenario.exists].min()) / GIGABIT,
        )


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Who did how well where.

    Attributes:
        scenarios: the N scenarios, in order.
        measures: agent -> measure -> (M,), mean per decision in each of the first M <= N scenarios.
        steps: decisions of each scenario, T.
    """

    scenarios: tuple[ScenarioFacts, ...]
    measures: dict[str, dict[str, Floats]]
    steps: int

    def values(self, agent: str, measure: str = "reward") -> Floats:
        """(M,) of one agent, by scenario."""
        return self.measures[agent][measure]

    def gains(self, agent: str, reference: str, measure: str = "reward") -> Floats:
        """Agent minus reference on the scenarios that both played, (M,)."""
        ours, theirs = self.values(agent, measure), self.values(reference, measure)
        both = min(ours.size, theirs.size)
        return ours[:both] - theirs[:both]

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types."""
        return {
            "steps": self.steps,
            "scenarios": [asdict(facts) for facts in self.scenarios],
            "measures": {
                agent: {name: values.tolist() for name, values in measures.items()}
                for agent, measures in self.measures.items()
            },
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Evaluation:
        """What `to_dict` gave."""
        return cls(
            scenarios=tuple(ScenarioFacts(**facts) for facts in plain["scenarios"]),
            measures={
                agent: {name: np.array(values) for name, values in measures.items()}
                for agent, measures in plain["measures"].items()
            },
            steps=int(plain["steps"]),
        )


def evaluate(
    agents: Mapping[str, AgentFactory],
    source: ScenarioSource,
    num_scenarios: int,
    shape: WorldShape,
    config: TaskConfig | None = None,
    *,
    batch: int = 64,
    limits: Mapping[str, int] | None = None,
    num_threads: int = 1,
    on_step: OnStep | None = None,
) -> Evaluation:
    """Let every agent play scenarios 0 to N - 1.

    The answer does not depend on ``batch`` (for networks up to the rounding of float32 sums).

    Args:
        agents: by name.
        source: scenario by number.
        num_scenarios: N.
        shape: of the worlds; `shape_of` the scenarios' settings.
        config: the task; its codec is not used, agents bring their own.
        batch: scenarios played at once.
        limits: agents that shall play fewer scenarios, because they are slow.
        num_threads: of the engine.
        on_step: called after every decision of a batch.

    Raises:
        ValueError: if there is nothing to play.
    """
    if num_scenarios < 1 or batch < 1:
        raise ValueError(f"num_scenarios ({num_scenarios}) and batch ({batch}) must be at least 1")
    config = config or TaskConfig()
    limits = limits or {}
    facts: list[ScenarioFacts] = []
    parts: dict[str, list[dict[str, Floats]]] = {name: [] for name in agents}
    for first in range(0, num_scenarios, batch):
        drawn = [source(i) for i in range(first, min(first + batch, num_scenarios))]
        facts += [ScenarioFacts.of(scenario) for scenario in drawn]
        for name, make in agents.items():
            mine = drawn[: max(limits.get(name, num_scenarios) - first, 0)]
            if mine:
                played = play(make, mine, shape, config, num_threads)
                parts[name].append(_means(name, played, shape, on_step))
    means = {
        name: {key: np.concatenate([part[key] for part in some]) for key in some[0]}
        for name, some in parts.items()
        if some
    }
    measures = {n: measures_from(config.id, m, shape.episode_steps) for n, m in means.items()}
    return Evaluation(tuple(facts), measures, shape.episode_steps)


def play(
    make: AgentFactory,
    scenarios: Sequence[Any],
    shape: WorldShape,
    config: TaskConfig,
    num_threads: int = 1,
) -> Iterator[tuple[Worlds[Any, Any], Transition]]:
    """Play each scenario once, all at the same time; yields after every decision.

    Args:
        make: builds the agent.
        scenarios: B of them.
        shape: of the worlds.
        config: the task.
        num_threads: of the engine.
    """
    worlds = open_worlds(
        config,
        source=lambda index: scenarios[index],
        num_worlds=len(scenarios),
        shape=replace(shape, episode_steps=shape.episode_steps + 1),  # no world starts over
        num_threads=num_threads,
        encode=False,  # an agent that needs an observation encodes its own
        propose=False,
    )
    worlds.reset()
    agent = make(worlds)
    agent.reset(worlds.num_worlds, worlds.num_vms)
    for _ in range(shape.episode_steps):
        yield worlds, worlds.apply(agent.act(worlds.telemetry))


def _means(
    name: str,
    played: Iterator[tuple[Worlds[Any, Any], Transition]],
    shape: WorldShape,
    on_step: OnStep | None,
) -> dict[str, Floats]:
    """Mean over the decisions of each world of all that is counted, (B,)."""
    sums: dict[str, Floats] = {}
    for worlds, transition in played:
        now = measured(worlds, transition)
        for key in counted_in(worlds.config.id):
            sums[key] = sums.get(key, 0.0) + now[key]
        if on_step is not None:
            on_step(name, worlds.num_worlds)
    return {key: total / shape.episode_steps for key, total in sums.items()}
