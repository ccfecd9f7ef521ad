"""What to do if the future were as simple as the placement problem: plans without trials.

Each VM follows its path through hosts and time (`placement_descent`), and moves early enough
to be there when it is due. What hosts lack all the same is ridden out: their VMs borrow from just
before they lack memory until they do not any more, where remote memory is cheaper than the disk.
"""

from __future__ import annotations

import numpy as np

from gymbal_agents.oracles.cluster_foresight import Foresight
from gymbal_agents.oracles.cluster_plans import PATIENCE, Item, Plan
from gymbal_agents.oracles.placement import Places, load_of
from gymbal_agents.oracles.placement_descent import best_placement
from gymbal_runtime.cluster.orders import BORROW, MIGRATE, RECALL
from gymbal_runtime.cluster.telemetry import NOBODY

PAIRS = 40
"""Pairs of VMs that are looked at to change places."""


def clairvoyant_plan(foresight: Foresight, steps: int, num_hosts: int) -> Plan:
    """The plan of one cluster for ``steps`` decisions from now on."""
    where = best_placement(foresight.problem, num_pairs=PAIRS)
    items = [*moves_of(foresight, where), *_borrowed(foresight, where)]
    due = (item for item in items if item.step < steps)
    return Plan.nothing(steps, num_hosts).with_items(*due)


def moves_of(foresight: Foresight, where: Places, first: int = 0) -> list[Item]:
    """The moves of a placement (V, T), each begun early enough to be over when it is due.

    Args:
        foresight: of now.
        where: hosts of the problem.
        first: decision of now.
    """
    problem = foresight.problem
    before = np.concatenate([problem.home[:, None], where[:, :-1]], axis=1)
    items = []
    for vm, knot in np.argwhere(where != before):
        due = knot * foresight.knot_steps - foresight.move_steps[vm]
        step = first + max(int(due), 0)
        target = int(foresight.hosts[where[vm, knot]])
        items.append(Item(step, int(foresight.vms[vm]), MIGRATE, target, step + PATIENCE))
    return items


def _borrowed(foresight: Foresight, where: Places) -> list[Item]:
    """Orders to borrow and to stop it to all VMs of hosts that lack memory."""
    problem = foresight.problem
    if not problem.far_price < problem.swap_price:
        return []
    lacks = load_of(problem, where).memory > problem.memory[:, None]
    mine = np.take_along_axis(lacks, where, axis=0)  # (V, T)
    before = np.concatenate([np.zeros((len(mine), 1), dtype=np.bool_), mine[:, :-1]], axis=1)
    items = []
    for vm, knot in np.argwhere(mine != before):
        begins = bool(mine[vm, knot])
        # demand is linear between knots: it exceeds what there is somewhere before the first
        step = max(int((knot - begins) * foresight.knot_steps), 0)
        verb = BORROW if begins else RECALL
        items.append(Item(step, int(foresight.vms[vm]), verb, NOBODY, step + PATIENCE))
    return items
