"""What agents did about overloads: when they chose what, and how long the overloads then lasted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.evaluate import AgentFactory, play
from gymbal_agents.overload_answers import (
    Answer,
    VmAnswer,
    answers_of,
    orders_during,
    vm_answers_of,
)
from gymbal_envs.scenarios.cluster_scenario import ClusterScenario
from gymbal_envs.tasks.batch import ScenarioSource, Worlds, WorldShape
from gymbal_envs.tasks.cluster_events import Order, orders_of
from gymbal_envs.tasks.cluster_record import ClusterEpisode, ClusterRecorder
from gymbal_envs.tasks.config import TaskConfig
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.telemetry import Bools

Floats = NDArray[np.float64]

NOBODY_AT_ALL = "nobody"
"""What the play without any order is called: what hosts do by themselves."""
_BATCH = 8  # a recorded cluster takes some megabytes


@dataclass(frozen=True)
class Effort:
    """What an agent's answers took, per cluster and hour.

    Attributes:
        moves_bytes: on the network for moves.
        far_bytes: on the network for far pages.
        clones_bytes: on the network for clones.
        aside_frac: part of the memory of all hosts that was set aside and held nothing, mean.
        paused_s: VM seconds paused by moves and forks.
        refused: orders that could not be carried out.
        orders: that were carried out.
        orders_in_overload: of those, for VMs of hosts that were overloaded.
        lost_s: VM seconds of progress lost to memory.
        lost_in_overload_s: of those, on hosts that were overloaded.
    """

    moves_bytes: float
    far_bytes: float
    clones_bytes: float
    aside_frac: float
    paused_s: float
    refused: float
    orders: float
    orders_in_overload: float
    lost_s: float
    lost_in_overload_s: float


@dataclass(frozen=True)
class AgentStory:
    """All overloads of hosts and shortages of VMs that an agent met.

    Attributes:
        answers: to each overload.
        vm_answers: to each shortage.
        effort: what they took.
        hours: played, of all clusters together.
    """

    answers: tuple[Answer, ...]
    vm_answers: tuple[VmAnswer, ...]
    effort: Effort
    hours: float


def tell_story(
    agents: Mapping[str, AgentFactory],
    source: ScenarioSource,
    num_scenarios: int,
    shape: WorldShape,
    config: TaskConfig,
    num_threads: int = 1,
) -> dict[str, AgentStory]:
    """Let every agent play scenarios 0 to N - 1, and tell what it did about overloads.

    ``nobody``, who orders nothing, plays first.

    Args:
        agents: by name.
        source: scenario by number.
        num_scenarios: N.
        shape: of the worlds.
        config: the task.
        num_threads: of the engine.
    """
    parts: dict[str, list[AgentStory]] = {name: [] for name in (NOBODY_AT_ALL, *agents)}
    for first in range(0, num_scenarios, _BATCH):
        numbers = range(first, min(first + _BATCH, num_scenarios))
        scenarios = [source(i) for i in numbers]
        alone: list[dict[int, Floats]] = []
        for name, make in ((NOBODY_AT_ALL, _nobody), *agents.items()):
            played = episodes_of(make, scenarios, shape, config, num_threads)
            alone = alone or [_needs(episode) for episode in played]
            for number, episode, needs in zip(numbers, played, alone, strict=True):
                parts[name].append(_story_of(episode, needs, number))
    return {name: _joined(some) for name, some in parts.items()}


def _story_of(episode: ClusterEpisode, alone: Mapping[int, Floats], number: int) -> AgentStory:
    """Of one episode."""
    orders = orders_of(episode)
    answers = answers_of(episode, orders, alone, number)
    return AgentStory(
        answers=tuple(answers),
        vm_answers=tuple(vm_answers_of(episode, orders, number)),
        effort=_effort_of(episode, orders, answers),
        hours=float(episode.time_s[-1] - episode.time_s[0]) / 3600.0,
    )


def _joined(parts: Sequence[AgentStory]) -> AgentStory:
    """Of several episodes; efforts are means by their hours."""
    hours = np.array([part.hours for part in parts])
    efforts = np.array([astuple(part.effort) for part in parts])
    return AgentStory(
        answers=tuple(answer for part in parts for answer in part.answers),
        vm_answers=tuple(answer for part in parts for answer in part.vm_answers),
        effort=Effort(*(hours @ efforts / max(hours.sum(), 1e-9)).tolist()),
        hours=float(hours.sum()),
    )


def episodes_of(
    make: AgentFactory,
    scenarios: Sequence[ClusterScenario],
    shape: WorldShape,
    config: TaskConfig,
    num_threads: int = 1,
) -> list[ClusterEpisode]:
    """Let an agent play some scenarios at once, and write down what happens in each.

    Args:
        make: builds the agent.
        scenarios: what it plays.
        shape: of the worlds.
        config: the task.
        num_threads: of the engine.
    """
    recorders: list[ClusterRecorder] = []

    def make_watched(worlds: Worlds[Any, Any]) -> Any:
        # Agents are built when the worlds have just been reset.
        recorders.extend(ClusterRecorder(worlds, c) for c in range(worlds.num_worlds))  # type: ignore[arg-type]
        return make(worlds)

    for _ in play(make_watched, scenarios, shape, config, num_threads):
        for recorder in recorders:
            recorder.record()
    return [recorder.episode() for recorder in recorders]


class _Nobody:
    """Never orders anything."""

    name = "nobody"

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """There is nothing to forget."""

    def act(self, telemetry: ClusterTelemetry) -> Orders:
        """Wait."""
        return Orders.none(*telemetry.shape)


def _nobody(worlds: Worlds[Any, Any]) -> Any:
    return _Nobody()


def _needs(episode: ClusterEpisode) -> dict[int, Floats]:
    """What each VM needs over time, (T,) bytes by identity."""
    tracks = episode.tracks
    needed = tracks.of_vms(episode.needed_bytes, 0.0)
    return {int(vm): needed[:, column] for column, vm in enumerate(tracks.ids)}


def _effort_of(
    episode: ClusterEpisode, orders: Sequence[Order], answers: Sequence[Answer]
) -> Effort:
    """Of one episode, per hour."""
    seconds = np.diff(episode.time_s, prepend=episode.time_s[0])
    hours = max(float(seconds.sum()) / 3600.0, 1e-9)
    memory = float(episode.capacity_bytes[episode.exists].sum())
    lost_s = (episode.lost_to_memory_frac * seconds[:, None, None]).sum(axis=2)  # (T, H)
    over = np.zeros(lost_s.shape, dtype=np.bool_)
    for answer in answers:
        one = answer.overload
        over[one.first + 1 : one.last + 1, one.host] = True  # a loss stands at its interval's end
    ordered = sum(len(orders_during(orders, answer.overload)) for answer in answers)
    return Effort(
        moves_bytes=float(episode.moved_bytes.sum()) / hours,
        far_bytes=float(episode.paged_bytes.sum()) / hours,
        clones_bytes=float(episode.cloned_bytes.sum()) / hours,
        aside_frac=float(episode.idle_byte_s.sum()) / memory / (3600.0 * hours),
        paused_s=float(episode.down_s.sum()) / hours,
        refused=float(episode.refused.sum()) / hours,
        orders=len(orders) / hours,
        orders_in_overload=ordered / hours,
        lost_s=float(lost_s.sum()) / hours,
        lost_in_overload_s=float(lost_s[over].sum()) / hours,
    )
