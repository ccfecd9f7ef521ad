"""Good placements by block coordinate descent: one VM, or two, at a time, over the whole future.

The cheapest path of one VM through hosts and time, given all others, is found exactly by dynamic
programming; the VM that gains most changes its path, until nobody gains. Then pairs of VMs do the
same together, so that they can change places. From a local optimum random kicks lead on.
"""

from __future__ import annotations

from itertools import combinations, islice

import numpy as np

from gymbal_agents.oracles.placement import (
    Floats,
    PlacementProblem,
    Places,
    load_of,
    pair_costs,
    placement_cost,
    step_costs,
)

GAIN = 1e-9
"""Relative to the cost: less is rounding."""
ROUNDS = 8
"""Changes of a VM's path until it counts as settled, mean over the VMs at most."""


def best_placement(
    problem: PlacementProblem,
    num_pairs: int = 0,
    num_kicks: int = 0,
    seed: int = 0,
) -> Places:
    """A placement (V, T) that no VM could improve by any other path of its own.

    Args:
        problem: any.
        num_pairs: pairs of VMs that are improved together, those with most to gain first.
        num_kicks: times that the placement is disturbed at random and settled again.
        seed: of the kicks.
    """
    best = _settle_pairs(problem, _settle(problem, problem.at_home), num_pairs)
    cost, rng = placement_cost(problem, best), np.random.default_rng(seed)
    for _ in range(num_kicks):
        found = _settle_pairs(problem, _kicked(problem, best, rng), num_pairs)
        found_cost = placement_cost(problem, found)
        if found_cost < cost:
            best, cost = found, found_cost
    return best


def _kicked(problem: PlacementProblem, where: Places, rng: np.random.Generator) -> Places:
    """Some VM is somewhere else for a part of the time, and all others follow; then it may, too."""
    v, h, t = problem.shape
    changed, vm = where.copy(), int(rng.integers(v))
    first, last = np.sort(rng.integers(0, t + 1, 2))
    changed[vm, first:last] = rng.integers(h)
    return _settle(problem, _settle(problem, changed, but=vm))


def _least_gain(problem: PlacementProblem, where: Places) -> float:
    cost = placement_cost(problem, where)
    return GAIN * cost if np.isfinite(cost) else 0.0


def _settle(problem: PlacementProblem, where: Places, but: int | None = None) -> Places:
    """Let the VM that gains most change its path, as long as one gains; ``but`` one stays."""
    where = where.copy()
    least = _least_gain(problem, where)
    for _ in range(ROUNDS * problem.shape[0]):
        paths, gains = best_responses(problem, where)
        if but is not None:
            gains[but] = 0.0
        vm = int(gains.argmax())
        if not gains[vm] > least:
            break
        where[vm] = paths[vm]
    return where


def _settle_pairs(problem: PlacementProblem, where: Places, num_pairs: int) -> Places:
    """The same for pairs, each time followed by all single VMs."""
    for _ in range(ROUNDS * problem.shape[0] if num_pairs else 0):
        pairs = _pairs(problem, where, num_pairs)
        if not len(pairs):
            break
        paths, gains = best_pair_responses(problem, where, pairs)
        best = int(gains.argmax())
        if not gains[best] > _least_gain(problem, where):
            break
        where = where.copy()
        where[pairs[best]] = paths[best]
        where = _settle(problem, where)
    return where


def best_responses(problem: PlacementProblem, where: Places) -> tuple[Places, Floats]:
    """For each VM the cheapest path given all others, (V, T), and what it gains by it, (V,)."""
    everyone = np.arange(problem.shape[0])
    node = step_costs(problem, where, everyone)
    present = np.take_along_axis(node, where[:, None, :], axis=1)[:, 0].sum(axis=1)
    present += problem.moves(where) * problem.move_cost
    paths, cost = cheapest_paths(node, problem.home, problem.move_cost)
    return paths, _gains(present, cost)


def _gains(present: Floats, cost: Floats) -> Floats:
    """What is gained where the cost becomes another; leaving a full host gains without end."""
    gains: Floats = np.where(np.isfinite(cost), present, 0.0) - np.where(
        np.isfinite(cost), cost, 0.0
    )
    return gains


def cheapest_paths(node: Floats, home: Places, move_cost: Floats) -> tuple[Places, Floats]:
    """Cheapest path of each of N VMs through H hosts and T steps, by dynamic programming.

    Args:
        node: (N, H, T) cost of each step on each host.
        home: (N,) where it comes from.
        move_cost: (N,) of each change of hosts.

    Returns:
        (N, T) hosts, and (N,) costs.
    """
    n, h, t = node.shape
    value = np.zeros((n, h))
    onward = np.empty((t, n, h), dtype=np.int64)
    hosts, rows = np.arange(h), np.arange(n)
    for step in range(t - 1, -1, -1):
        value = node[:, :, step] + value
        goal = value.argmin(axis=1)
        least = (value[rows, goal] + move_cost)[:, None]
        moves = least < value
        onward[step] = np.where(moves, goal[:, None], hosts)
        value = np.where(moves, least, value)
    path, place = np.empty((n, t), dtype=np.int64), home
    for step in range(t):
        place = path[:, step] = onward[step, rows, place]
    return path, value[rows, home]


def best_pair_responses(
    problem: PlacementProblem, where: Places, pairs: Places
) -> tuple[Places, Floats]:
    """For each pair (P, 2) the two cheapest paths given all others, (P, 2, T), and the gain."""
    t = problem.shape[2]
    node = pair_costs(problem, where, pairs)
    one, two = where[pairs[:, 0]], where[pairs[:, 1]]
    present = node[np.arange(len(pairs))[:, None], one, two, np.arange(t)].sum(axis=1)
    present += (problem.moves(where) * problem.move_cost)[pairs].sum(axis=1)
    paths, cost = _cheapest_pairs(node, problem.home[pairs], problem.move_cost[pairs])
    return paths, _gains(present, cost)


def _cheapest_pairs(node: Floats, home: Places, move_cost: Floats) -> tuple[Places, Floats]:
    """As `cheapest_paths`, for two: node (P, H, H, T), home and move_cost (P, 2)."""
    p, h, _, t = node.shape
    one, two = np.divmod(np.arange(h * h), h)
    apart = (one[:, None] != one) * move_cost[:, 0, None, None]
    apart = apart + (two[:, None] != two) * move_cost[:, 1, None, None]
    value = np.zeros((p, h * h))
    onward = np.empty((t, p, h * h), dtype=np.int64)
    for step in range(t - 1, -1, -1):
        ahead = (node[..., step].reshape(p, h * h) + value)[:, None] + apart
        onward[step] = ahead.argmin(axis=2)
        value = np.take_along_axis(ahead, onward[step][..., None], axis=2)[..., 0]
    rows, place = np.arange(p), home[:, 0] * h + home[:, 1]
    cost, path = value[rows, place], np.empty((p, 2, t), dtype=np.int64)
    for step in range(t):
        place = onward[step, rows, place]
        path[:, 0, step], path[:, 1, step] = one[place], two[place]
    return path, cost


def _pairs(problem: PlacementProblem, where: Places, count: int) -> Places:
    """Pairs of VMs (P, 2), those first that are on the hosts that lack most; at most ``count``."""
    load = load_of(problem, where)
    lack = np.maximum(load.memory - problem.memory[:, None], 0.0) * problem.swap_price
    lack += np.maximum(load.cores - problem.cpu[:, None], 0.0) * problem.core_price
    burden = np.take_along_axis(lack, where, axis=0).sum(axis=1)
    order = np.argsort(-burden, kind="stable").tolist()
    some = list(islice(combinations(order, 2), count))
    return np.array(some, dtype=np.int64).reshape(-1, 2)
