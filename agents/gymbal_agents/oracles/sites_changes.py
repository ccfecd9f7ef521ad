"""Small changes of plans of moves between sites, for a local search."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from gymbal_agents.oracles.sites_plan import Floats, Places, Plan

MOST_AT_ONCE = 8
SHORTEST_S, LONGEST_S = 10.0, 400.0
"""Changes of stops and waits, log-uniform between these, rounded to the first."""
KINDS = (0.3, 0.15, 0.15, 0.05, 0.05, 0.1, 0.2)
"""How often a stop, a wait, the order, the concurrency, disk and memory reduction, or a suspension
of pre-copy are changed."""


def mutate(plan: Plan, cost: Floats, rng: np.random.Generator) -> Plan:
    """One change in every world: a stop, a wait, the order, the concurrency, what is reduced.

    Args:
        plan: of N worlds; not changed.
        cost: (N, V) what each VM suffers now: the more, the likelier it is the one to change.
        rng: where chance comes from.
    """
    n: int = plan.turn.shape[0]
    share = cost / np.maximum(cost.sum(axis=1, keepdims=True), 1e-12)
    present = cost > 0
    vm = _drawn(
        0.7 * share + 0.3 * present / np.maximum(present.sum(axis=1, keepdims=True), 1), rng
    )
    other = _drawn(present.astype(np.float64), rng)
    kind: Places = rng.choice(np.arange(len(KINDS)), size=n, p=KINDS)
    changed = Plan(*(getattr(plan, f.name).copy() for f in fields(plan)))
    w, s = _chosen(kind, vm, 0)
    changed.thirty_rounds[w, s] = False
    changed.stop_s[w, s] = np.maximum(changed.stop_s[w, s] + _seconds(w.size, rng), 0.0)
    w, s = _chosen(kind, vm, 1)
    changed.wait_s[w, s] = np.maximum(changed.wait_s[w, s] + _seconds(w.size, rng), 0.0)
    w, s = _chosen(kind, vm, 2)
    changed.turn[w, s], changed.turn[w, other[w]] = plan.turn[w, other[w]], plan.turn[w, s]
    w, s = _chosen(kind, vm, 3)
    step = rng.choice((-1.0, 1.0), size=w.size)
    changed.at_once[w] = np.clip(changed.at_once[w] + step, 1.0, MOST_AT_ONCE)
    w, s = _chosen(kind, vm, 4)
    changed.reduce_disk[w, s] ^= True
    w, s = _chosen(kind, vm, 5)
    changed.reduce_memory[w, s] ^= True
    w, s = _chosen(kind, vm, 6)
    _hold(changed, w, s, rng)
    return changed


def _hold(plan: Plan, w: Places, s: Places, rng: np.random.Generator) -> None:
    """Suspend a pre-copy near its end for some time, or for longer or less long, in place."""
    fresh = plan.hold_s[w, s] == 0.0
    step = _seconds(w.size, rng)
    last = np.maximum(plan.stop_s[w, s] - 2 * SHORTEST_S, 0.0)
    plan.hold_from_s[w, s] = np.where(fresh, last, plan.hold_from_s[w, s])
    held = np.maximum(plan.hold_s[w, s] + np.where(fresh, np.abs(step), step), 0.0)
    plan.stop_s[w, s] += held - plan.hold_s[w, s]  # what comes after it stays
    plan.hold_s[w, s] = held


def _chosen(kind: Places, vm: Places, number: int) -> tuple[Places, Places]:
    """Worlds in which this kind of change is due, and the VM of each."""
    worlds = np.flatnonzero(kind == number)
    return worlds, vm[worlds]


def _drawn(weight: Floats, rng: np.random.Generator) -> Places:
    """One column of each row, as likely as its weight; the first where all are 0."""
    reached = weight.cumsum(axis=1)
    place: Places = (reached <= rng.random((len(weight), 1)) * reached[:, -1:]).sum(axis=1)
    last: Places = np.minimum(place, weight.shape[1] - 1)
    return last


def _seconds(count: int, rng: np.random.Generator) -> Floats:
    """Changes of a time, (count,) s of either sign."""
    size = np.exp(rng.uniform(np.log(SHORTEST_S), np.log(LONGEST_S), count))
    steps: Floats = np.round(size / SHORTEST_S) * SHORTEST_S * rng.choice((-1.0, 1.0), size=count)
    return steps
