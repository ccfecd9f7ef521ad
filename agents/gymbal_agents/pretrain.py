"""Before reinforcement learning: what the network can learn of the cache from the simulator's state.

In training, the simulator knows what every class of VMs loses with every part of the cache
(`class_losses`). A correction moves parts continuously before they are rounded, so the loss of a
whole host is differentiable in the network's answers: no exploration is needed, and no reward. The
network sees telemetry only, so it learns the best answer *on average over what it cannot see*
(learning with privileged information, Vapnik and Vashist 2009). States come from playing with the
network's own answers, in rounds (DAgger, Ross et al. 2011). What this leaves out, the changes' price
beyond an estimate, rounding and the future, is left to reinforcement learning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch as th
from numpy.typing import NDArray

from gymbal_agents.config import TrainConfig
from gymbal_agents.oracles.optimal_clusters import class_losses
from gymbal_agents.set_network import SetNetwork
from gymbal_envs.simulator import layout as at
from gymbal_envs.tasks.worlds import HostWorlds
from gymbal_runtime.codec import Observation
from gymbal_runtime.parts.cache_split import CORRECTION_GAIN, Division, division

Floats = NDArray[np.float64]
OnProgress = Callable[[int], None]
"""Told how many more decisions have been made."""

POINTS = 65
"""Largest number of units of a cache and one: losses are known for whole units, as commands are."""
ROUNDS = 3
EPOCHS = 12
BATCH = 2048
LEARNING_RATE = 2e-3
NOISE = 0.15
"""Standard deviation of what is added to the network's answers while collecting states."""
ACTION = "llc_correction"


@dataclass(frozen=True, eq=False)
class Lessons:
    """N decisions to learn from: what was seen, and what parts would cost.

    Attributes:
        vms, host, present: the observation.
        members: (N, C, V) 1 where a VM is in a class.
        proposed: (N, C) units of each class as the heuristic has it, 0 for unused numbers.
        held: (N, C) units that the class's members hold now.
        limits: (N, 3) fair part, fewest units of a class, units of the cache.
        losses: (N, C, POINTS) progress lost with 0, 1, 2, ... units.
        price: (N, C) progress lost per unit that changes hands.
    """

    vms: th.Tensor
    host: th.Tensor
    present: th.Tensor
    members: th.Tensor
    proposed: th.Tensor
    held: th.Tensor
    limits: th.Tensor
    losses: th.Tensor
    price: th.Tensor

    def take(self, index: th.Tensor) -> Lessons:
        """Some of the decisions."""
        return Lessons(**{name: getattr(self, name)[index] for name in self.__annotations__})

    @classmethod
    def joined(cls, parts: list[Lessons]) -> Lessons:
        """All decisions of several collections."""
        return cls(
            **{name: th.cat([getattr(p, name) for p in parts]) for name in cls.__annotations__}
        )

    @property
    def size(self) -> int:
        """N."""
        return int(self.vms.shape[0])


def pretrain(
    network: SetNetwork, config: TrainConfig, worlds: HostWorlds, on_progress: OnProgress
) -> list[float]:
    """Teach the network's corrections of cache parts.

    Args:
        network: changed in place.
        config: ``ppo.pretrain_decisions`` are collected, in rounds.
        worlds: hosts to play; they are reset.
        on_progress: told of decisions collected.

    Returns:
        Mean loss of the last epoch of each round, as fractions of progress.
    """
    column = worlds.config.codec.actions.index(ACTION)
    generator = th.Generator().manual_seed(config.seed)
    optimiser = th.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    steps = max(config.ppo.pretrain_decisions // (ROUNDS * worlds.num_worlds), 1)
    observation = worlds.reset(stagger=8)
    lessons: list[Lessons] = []
    history = []
    for _ in range(ROUNDS):
        for _ in range(steps):
            lesson, action = _prepare(network, worlds, observation, column, generator)
            lessons.append(lesson)
            observation = worlds.step(action).observation
            on_progress(worlds.num_worlds)
        history.append(_learn(network, Lessons.joined(lessons), column, optimiser, generator))
    return history


def host_loss(correction: th.Tensor, lessons: Lessons) -> th.Tensor:
    """Progress lost (N,) with corrections (N, V), rounding left out.

    The arithmetic of `gymbal_runtime.parts.cache_split.corrected_partition` with *follow* at 0.
    """
    size = lessons.members.sum(-1)
    used = (size > 0).float()
    mean = (lessons.members @ correction.unsqueeze(-1)).squeeze(-1) / size.clamp(min=1.0)
    fair, least, units = (lessons.limits[:, k : k + 1] for k in range(3))
    wanted = lessons.proposed + mean * (0.5 * CORRECTION_GAIN) * (lessons.proposed + fair)
    above = th.relu(wanted - least) * used + 1e-6 * used
    free = lessons.proposed.sum(1, keepdim=True) - least * used.sum(1, keepdim=True)
    part = (least + above * free / above.sum(1, keepdim=True).clamp(min=1e-6)) * used
    place = part.clamp(min=0.0).minimum(units)
    lower = place.detach().floor().minimum(units - 1.0)
    left = lessons.losses.gather(2, lower.long().unsqueeze(-1)).squeeze(-1)
    right = lessons.losses.gather(2, lower.long().unsqueeze(-1) + 1).squeeze(-1)
    lost = (left + (place - lower) * (right - left)) * used
    moved = (part - lessons.held).abs() * lessons.price * used
    return (lost + moved).sum(1)


@th.no_grad()
def _prepare(
    network: SetNetwork,
    worlds: HostWorlds,
    observation: Observation,
    column: int,
    generator: th.Generator,
) -> tuple[Lessons, NDArray[np.float32]]:
    """What every host could know now, and the action to play."""
    seen = tuple(th.as_tensor(observation[key]) for key in ("vms", "host", "present"))
    action, _ = network(*seen)
    chosen = th.zeros((*action.shape[:2], len(worlds.config.codec.actions)))
    noise = NOISE * th.randn(action.shape[:2], generator=generator)
    chosen[..., column] = action[..., column] + noise
    return _lesson(worlds, seen), chosen.clamp(-1.0, 1.0).numpy()


def _lesson(worlds: HostWorlds, seen: tuple[th.Tensor, ...]) -> Lessons:
    engine, telemetry, base = worlds.engine, worlds.telemetry, worlds.base
    assert base.llc_class is not None
    assert base.llc_units is not None
    split: Division = division(telemetry, base.llc_class, base.llc_units)
    b, v = telemetry.present.shape
    groups = np.where(split.members, split.groups, np.nan)
    most = int(split.limits.units.max()) + 1
    losses = np.zeros((b, v, max(most, POINTS)))
    latency = np.ascontiguousarray(engine.host[:, at.LATENCY_FACTOR])
    class_losses(
        engine.world_vm, engine.world_host, engine.active, engine.vm, latency, groups, losses
    )
    members = groups[:, None, :] == np.arange(v)[None, :, None]
    limits = np.stack([split.fair, split.limits.min_units, split.limits.units], axis=1)
    arrays = (members, split.proposed, split.held, limits, losses, _price(worlds, members))
    return Lessons(*seen, *(th.as_tensor(np.asarray(a, dtype=np.float32)) for a in arrays))


def _price(worlds: HostWorlds, members: NDArray[np.bool_]) -> Floats:
    """(B, C) progress lost per unit that changes hands: the reward's price and copying pages."""
    engine, config = worlds.engine, worlds.config
    units = np.maximum(engine.world_host[:, at.LLC_UNITS], 1.0)
    shares = engine.world_vm[:, at.SHARES]
    pages = engine.world_vm[:, at.RECOLOUR_FRAC] * engine.vm[:, at.HOT] / 4096.0
    copying = pages * config.physics.cache.page_move_s / config.physics.clock.control_interval_s
    copying *= engine.world_host[:, at.LLC_RECOLOURS, None]
    weighted = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12) * copying
    held = np.maximum(engine.vm[:, at.UNITS], 1.0)
    by_class = (members * (weighted / held)[:, None, :]).sum(axis=2)
    return np.asarray(by_class + 0.5 * config.weights.cache_moved / units[:, None])


def _learn(
    network: SetNetwork,
    lessons: Lessons,
    column: int,
    optimiser: th.optim.Optimizer,
    generator: th.Generator,
) -> float:
    mean = float("nan")
    for _ in range(EPOCHS):
        order = th.randperm(lessons.size, generator=generator)
        losses = []
        for chosen in order.split(BATCH):
            batch = lessons.take(chosen)
            action, _ = network(batch.vms, batch.host, batch.present)
            loss = host_loss(action[..., column], batch).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(loss.item())
        mean = float(np.mean(losses))
    return mean
