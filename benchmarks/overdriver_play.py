"""Plays rules over clusters and reads the engine's books after every decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from gymbal_agents.evaluate import play
from gymbal_envs.scenarios.cluster_scenario import ClusterScenario
from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.cluster_worlds import ClusterWorlds
from gymbal_envs.tasks.config import TaskConfig
from gymbal_runtime.telemetry import Floats

BAD = 0.1
"""A VM's interval is bad when more than this part of its progress is lost."""
THREADS = 2


@dataclass(frozen=True, eq=False)
class Played:
    """What came of one rule in C clusters, over T decisions.

    Attributes:
        lost: (T, C, H * V) part of each VM's progress that was lost, by identity; float32.
        terms: name -> (C,) mean per decision, as the task measures them.
        bad: (C,) part of the VMs' intervals that were bad, weighted by shares.
        network_bytes: (C,) of the whole hour.
        move_bytes: (C,) of these, of moves.
        moves: (C,) begun.
        idle: (C,) mean part of the hosts' memory that nobody holds: pools that are not lent, what
            is reserved for arrivals, and what is free.
        set_aside: (C,) of that, pools and reservations (the engine's own count).
        lent: (C,) mean part of the hosts' memory that holds others' pages.
        taken: (T, C) bytes of hosts' memory beyond their own VMs' allotments: pools, lent or not,
            reservations, what was left behind, and VMs that came from elsewhere.
        memory: (C,) bytes of all hosts.
    """

    lost: Floats
    terms: dict[str, Floats]
    bad: Floats
    network_bytes: Floats
    move_bytes: Floats
    moves: Floats
    idle: Floats
    set_aside: Floats
    lent: Floats
    taken: Floats
    memory: Floats

    @property
    def slo(self) -> Floats:
        """(C,) share-weighted part of the progress that is lost."""
        return self.terms["progress_lost"]


def played(
    make: Callable[[Any], Any],
    scenarios: Sequence[ClusterScenario],
    shape: WorldShape,
    task: TaskConfig,
) -> Played:
    """Play the scenarios once, all at the same time, through the one evaluation loop."""
    rows: dict[str, list[Floats]] = {}
    terms: dict[str, Floats] = {}
    for worlds, transition in play(make, scenarios, shape, task, THREADS):
        for name, values in transition.terms.items():
            terms[name] = terms.get(name, 0.0) + values / shape.episode_steps
        for name, values in _read(cast(ClusterWorlds, worlds)).items():
            rows.setdefault(name, []).append(values)
    table = {name: np.stack(values) for name, values in rows.items()}
    memory = table["memory"][0]
    return Played(
        lost=table["lost"].astype(np.float32),
        terms=terms,
        bad=table["bad"].mean(axis=0),
        network_bytes=table["network"].sum(axis=0),
        move_bytes=table["move"].sum(axis=0),
        moves=table["moves"].sum(axis=0),
        idle=table["idle"].mean(axis=0) / memory,
        set_aside=table["set_aside"].mean(axis=0) / memory,
        lent=table["lent"].mean(axis=0) / memory,
        taken=table["taken"],
        memory=memory,
    )


def _read(worlds: ClusterWorlds) -> dict[str, Floats]:
    """One interval: (C, H * V) progress lost by identity, and (C,) sums in bytes."""
    engine = worlds.engine
    c, h, v = engine.num_clusters, engine.num_hosts, engine.num_vms
    member = engine.member.reshape(c, h, at.NUM_MEMBER)
    guest = engine.guest.reshape(c, h, at.NUM_GUEST, v)
    here = engine.hosts.world_vm[:, host_at.PRESENT].reshape(c, h, v) > 0
    held = np.where(here, engine.hosts.vm[:, host_at.ACTUAL].reshape(c, h, v), 0.0)
    identity = guest[:, :, at.IDENTITY].astype(np.int64)
    part = engine.hosts.outcome[:, host_at.LOST].reshape(c, h, v) / engine.interval_s
    lost = np.zeros((c, h * v))
    places = np.nonzero(here)
    lost[places[0], identity[places]] = part[places]
    stranger = here & (identity // v != np.arange(h)[None, :, None])
    shares = np.where(here, engine.hosts.world_vm[:, host_at.SHARES].reshape(c, h, v), 0.0)
    bad = (shares * (part > BAD)).sum(axis=(1, 2)) / shares.sum(axis=(1, 2))
    exists = member[:, :, at.EXISTS] > 0
    beside = member[:, :, at.LENT] + member[:, :, at.LEFT_HERE]
    memory = np.where(exists, member[:, :, at.PHYSICAL], 0.0)
    pools = member[:, :, at.POOL] + member[:, :, at.RESERVED]
    away = np.where(stranger, held, 0.0).sum(axis=2)
    seen = engine.measured(("network_bytes", "move_bytes", "moves_begun", "set_aside_byte_s"))
    return {
        "lost": lost,
        "bad": bad,
        "network": seen["network_bytes"],
        "move": seen["move_bytes"],
        "moves": seen["moves_begun"],
        "idle": np.where(exists, memory - held.sum(axis=2) - beside, 0.0).sum(axis=1),
        "set_aside": seen["set_aside_byte_s"] / engine.interval_s,
        "lent": member[:, :, at.LENT].sum(axis=1),
        "taken": np.where(exists, pools + beside + away, 0.0).sum(axis=1),
        "memory": memory.sum(axis=1),
    }
