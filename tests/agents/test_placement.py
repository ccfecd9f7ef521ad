"""Placements under a known future: optimal where that can be proved, and never better than that."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_agents.oracles.placement import (
    PlacementProblem,
    pair_costs,
    placement_cost,
    step_costs,
)
from gymbal_agents.oracles.placement_descent import best_placement, best_responses, cheapest_paths
from gymbal_agents.oracles.placement_milp import optimal_placement

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, num_vms: int, num_hosts: int, steps: int) -> PlacementProblem:
    """Hosts that are full on average, and overloads of all lengths (Pareto, as models.md 5.1)."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(0.5, 2.0, num_vms)
    need = np.repeat(base[:, None], steps, axis=1)
    for vm in np.flatnonzero(rng.random(num_vms) < 0.7):
        first = rng.integers(steps)
        length = int(min(1 + 3 * rng.pareto(1.1), steps))
        need[vm, first : first + length] *= rng.uniform(1.5, 3.0)
    home = np.arange(num_vms) % num_hosts
    cores = rng.uniform(0.2, 1.0, (num_vms, 1)) * need
    mean = [(need[home == h].mean(axis=1).sum(), cores[home == h].mean(axis=1).sum())
            for h in range(num_hosts)]  # fmt: skip
    memory, cpu = np.array(mean).T
    return PlacementProblem(
        need=need,
        cores=cores,
        memory=memory * rng.uniform(1.0, 1.3),
        cpu=cpu * rng.uniform(0.9, 1.4),
        slots=np.full(num_hosts, num_vms // num_hosts + 1),
        home=home,
        move_cost=rng.uniform(0.1, 1.5) * base,
        far_price=0.5,
        swap_price=2.0,
        core_price=float(rng.choice([0.0, 0.5])),
    )


def every_placement(problem: PlacementProblem) -> list[np.ndarray]:
    v, h, t = problem.shape
    return [np.array(one).reshape(v, t) for one in itertools.product(range(h), repeat=v * t)]


def one_overload(length: int, move_cost: float) -> PlacementProblem:
    """A VM that needs 3 where there are 2, for a while; the other host has room for all of it."""
    need = np.full((1, 12), 1.0)
    need[0, 3 : 3 + length] = 3.0
    nobody = np.zeros((1, 12))
    hosts = np.array([2.0, 4.0])
    return PlacementProblem(
        need, nobody, hosts, np.ones(2), np.ones(2, int), np.zeros(1, int),
        np.array([move_cost]), far_price=0.25, swap_price=5.0,
    )  # fmt: skip


@pytest.mark.parametrize("length", range(10))
def test_one_vm_rents_or_buys(length: int) -> None:
    """min(c_r L, C_m) of models.md 12: ride out what is short, move where it lasts."""
    for move_cost in (0.1, 0.9, 1.6, 10.0):
        problem = one_overload(length, move_cost)
        cost = placement_cost(problem, best_placement(problem))
        assert cost == pytest.approx(min(0.25 * length, move_cost))
        assert optimal_placement(problem).cost == pytest.approx(cost)


@pytest.mark.parametrize("seed", range(5))
def test_the_program_is_right_about_tiny_problems(seed: int) -> None:
    problem = drawn(seed, 2, 2, 4)
    least = min(placement_cost(problem, where) for where in every_placement(problem))
    found = optimal_placement(problem)
    assert found.cost == pytest.approx(least)
    assert placement_cost(problem, found.where) == pytest.approx(least)


def test_descent_comes_close_to_the_optimum_and_never_below_it() -> None:
    ratios = []
    for seed in range(12):
        problem = drawn(seed, 6, 3, 8)
        optimum = optimal_placement(problem)
        cost = placement_cost(problem, best_placement(problem, num_pairs=15, num_kicks=10))
        assert cost >= optimum.bound * (1 - 1e-6)
        assert placement_cost(problem, optimum.where) == pytest.approx(optimum.cost)
        ratios.append(cost / optimum.cost)
    assert max(ratios) < 1.05
    assert np.mean(ratios) < 1.01


@pytest.mark.slow
def test_descent_comes_close_in_the_largest_problems_that_can_be_solved() -> None:
    for seed in range(2):
        problem = drawn(seed, 12, 4, 24)
        optimum = optimal_placement(problem)
        cost = placement_cost(problem, best_placement(problem, num_pairs=66, num_kicks=20))
        assert optimum.bound * (1 - 1e-6) <= cost <= 1.05 * optimum.cost


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_more_effort_never_costs_more(seed: int) -> None:
    problem = drawn(seed, 5, 3, 6)
    answers = (
        problem.at_home,
        best_placement(problem),
        best_placement(problem, num_pairs=10),
        best_placement(problem, num_pairs=10, num_kicks=5),
    )
    costs = [placement_cost(problem, where) for where in answers]
    assert np.all(np.diff(costs) <= 1e-9)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_costs_of_steps_are_those_of_whole_placements(seed: int) -> None:
    problem = drawn(seed, 4, 3, 3)
    rng = np.random.default_rng(seed)
    where = np.stack([rng.permutation(4) % 3 for _ in range(3)], axis=1)
    single = step_costs(problem, where, np.array([2]))[0]
    double = pair_costs(problem, where, np.array([[2, 0]]))[0]
    for one, other in itertools.product(range(3), repeat=2):
        for changed, cost in (
            ({2: one}, single[one]),
            ({2: one, 0: other}, double[one, other]),
        ):
            placed = where.copy()
            for vm, host in changed.items():
                placed[vm] = host
            moved = problem.moves(placed) @ problem.move_cost
            expected = placement_cost(problem, placed) - moved
            if np.isfinite(expected):
                assert cost.sum() == pytest.approx(expected)
            else:
                assert np.isinf(cost).any()


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_paths_are_the_cheapest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    node, move = rng.random((1, 3, 5)), rng.random(1) * 0.5
    path, cost = cheapest_paths(node, np.array([1]), move)

    def price(hosts: tuple[int, ...]) -> float:
        changes = np.count_nonzero(np.diff([1, *hosts]))
        return float(node[0, list(hosts), range(5)].sum() + changes * move[0])

    assert cost[0] == pytest.approx(min(map(price, itertools.product(range(3), repeat=5))))
    assert price(tuple(path[0])) == pytest.approx(cost[0])


def test_what_a_vm_is_promised_is_what_it_gains() -> None:
    problem = drawn(10, 6, 3, 8)
    where = problem.at_home
    paths, gains = best_responses(problem, where)
    for vm in range(6):
        changed = where.copy()
        changed[vm] = paths[vm]
        gained = placement_cost(problem, where) - placement_cost(problem, changed)
        assert gains[vm] == pytest.approx(gained, abs=1e-9)


def test_too_few_slots_are_refused() -> None:
    problem = one_overload(2, 1.0)
    full = PlacementProblem(**{**vars(problem), "slots": np.zeros(2, dtype=np.int64)})
    with pytest.raises(ValueError, match="do not fit into 0 slots"):
        optimal_placement(full)
