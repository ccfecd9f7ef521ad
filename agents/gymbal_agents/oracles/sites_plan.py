"""A plan of moves between sites: who goes when, and for how long each copy runs."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.cluster import sites_layout as at
from gymbal_envs.simulator.cluster.sites_engine import SitesEngine
from gymbal_runtime.sites.heuristics import make_sites_heuristic
from gymbal_runtime.sites.orders import (
    COPY,
    COPY_REDUCED,
    REPLICATE,
    STOP,
    SUSPEND,
    THIRTY_ROUNDS,
    UNTIL_TOLD,
    SitesOrders,
)
from gymbal_runtime.sites.telemetry import ARRIVED, AT_SOURCE, MIRROR, PRECOPY

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Places = NDArray[np.int64]

_LAST = 1e5
"""Turn of a VM that a heuristic does not start within the episode."""
_FIRST = 1e6
"""Takes memories before all disks, whatever their turn is."""


@dataclass(frozen=True)
class Plan:
    """What N worlds of V VM slots do.

    Attributes:
        turn: (N, V) who goes first; only the order counts.
        at_once: (N,) VMs that copy at a time, as heuristics count.
        reduce_disk: (N, V) redundancy elimination while the disk is copied.
        reduce_memory: (N, V) the same for memory.
        wait_s: (N, V) s between a replicated disk and the start of pre-copy.
        hold_from_s: (N, V) s of pre-copy after which it is suspended.
        hold_s: (N, V) s for which it stands still; 0: never.
        stop_s: (N, V) s of pre-copy, all in all.
        thirty_rounds: (N, V) the hypervisor may stop it earlier, by Xen's rule.
    """

    turn: Floats
    at_once: Floats
    reduce_disk: Bools
    reduce_memory: Bools
    wait_s: Floats
    hold_from_s: Floats
    hold_s: Floats
    stop_s: Floats
    thirty_rounds: Bools

    def take(self, rows: Places) -> Plan:
        """The plans of some worlds."""
        return Plan(*(getattr(self, f.name)[rows] for f in fields(self)))

    def put(self, rows: Places, other: Plan) -> None:
        """Give worlds ``rows`` the plans of ``other``."""
        for f in fields(self):
            getattr(self, f.name)[rows] = getattr(other, f.name)

    def orders(self, engine: SitesEngine) -> SitesOrders:
        """What the plan says now."""
        phase, phase_s = engine.vm[:, at.PHASE], engine.vm[:, at.PHASE_S]
        present = engine.world_vm[:, at.PRESENT] > 0
        waiting = present & (phase == AT_SOURCE)
        busy = present & (phase > AT_SOURCE) & (phase < ARRIVED) & (phase != MIRROR)
        free = self.at_once - busy.sum(axis=1)
        due = present & (phase == MIRROR) & (phase_s >= self.wait_s)
        turn = np.where(waiting, self.turn, np.where(due, self.turn - _FIRST, np.inf))
        rank = np.argsort(np.argsort(turn, axis=1, kind="stable"), axis=1, kind="stable")
        starts = (waiting | due) & (rank < free[:, None])
        verb = np.where(starts, np.where(self.reduce_disk, COPY_REDUCED, REPLICATE), 0)
        due &= starts
        verb = np.where(due, self._memory_verb, verb)
        stops = present & (phase == PRECOPY) & (phase_s >= self.stop_s)
        suspended = engine.vm[:, at.SUSPENDED] > 0
        over = phase_s - self.hold_from_s
        held = present & (phase == PRECOPY) & (over >= 0.0) & (over < self.hold_s)
        verb = np.where(held & ~suspended, SUSPEND, verb)
        resume = np.where(phase == PRECOPY, self._memory_verb, REPLICATE)
        verb = np.where(present & suspended & ~held & ~due, resume, verb)
        verb = np.where(stops, STOP, verb).astype(np.int8)
        rule = np.where(self.thirty_rounds, THIRTY_ROUNDS, UNTIL_TOLD).astype(np.int8)
        return SitesOrders(verb, rule)

    @property
    def _memory_verb(self) -> NDArray[np.int64]:
        verb: NDArray[np.int64] = np.where(self.reduce_memory, COPY_REDUCED, COPY)
        return verb


def empty_plan(num_worlds: int, num_vms: int) -> Plan:
    """One after the other, nothing reduced, no waiting, stop at once."""
    rows = (num_worlds, num_vms)
    return Plan(
        turn=np.tile(np.arange(num_vms, dtype=np.float64), (num_worlds, 1)),
        at_once=np.ones(num_worlds),
        reduce_disk=np.zeros(rows, dtype=np.bool_),
        reduce_memory=np.zeros(rows, dtype=np.bool_),
        wait_s=np.zeros(rows),
        hold_from_s=np.zeros(rows),
        hold_s=np.zeros(rows),
        stop_s=np.zeros(rows),
        thirty_rounds=np.zeros(rows, dtype=np.bool_),
    )


def all_arrived(engine: SitesEngine) -> bool:
    """Whether nothing is left to be done in any world."""
    return bool((engine.vm[:, at.PHASE] == ARRIVED).all())


def plan_of(name: str, options: dict[str, Any], twin: SitesEngine, steps: int) -> Plan:
    """What a heuristic does in these worlds, as a plan; plays it to the end."""
    agent = make_sites_heuristic(name, **options)
    plan = empty_plan(twin.num_worlds, twin.num_vms)
    plan = replace(plan, at_once=np.full(twin.num_worlds, float(options.get("concurrency", 1.0))))
    plan.turn[:] += _LAST
    interval = twin.physics.clock.control_interval_s
    for step in range(steps):
        if all_arrived(twin):
            break
        before, before_s = twin.vm[:, at.PHASE].copy(), twin.vm[:, at.PHASE_S].copy()
        orders = agent.act(twin.telemetry())
        starts = (before == AT_SOURCE) & (orders.verb > 0)
        # who starts at the same moment keeps the heuristic's own order of slots
        plan.turn[starts] = step
        plan.reduce_disk[starts] = orders.verb[starts] == COPY_REDUCED
        copies = (before == MIRROR) & ((orders.verb == COPY) | (orders.verb == COPY_REDUCED))
        plan.wait_s[copies] = before_s[copies]
        plan.reduce_memory[copies] = orders.verb[copies] == COPY_REDUCED
        plan.thirty_rounds[copies] = orders.stop_rule[copies] == THIRTY_ROUNDS
        copying = before == PRECOPY
        stops = copying & (orders.verb == STOP)
        twin.step(orders)
        # where the hypervisor stops by itself, within the interval, the plan stops after it
        left = copying & (twin.vm[:, at.PHASE] > PRECOPY) & ~stops
        plan.stop_s[left] = before_s[left] + interval
        plan.stop_s[stops] = before_s[stops]
    return plan
