"""Rules of placement and their codec, on records of simulated data centres."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gymbal_envs.scenarios.centre_config import placement_centres
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.tasks.config import default_task
from gymbal_envs.tasks.open import open_worlds, shape_of
from gymbal_runtime.centre.orders import SLEEP, WAKE
from gymbal_runtime.centre.telemetry import ASLEEP, NOWHERE, ON, SUSPENDING
from gymbal_runtime.placement.books import COMING, IN_USE, SLEEPING, SPARE, Books
from gymbal_runtime.placement.codec import NUM_CHOICES, NoHistory, PlacementCodec
from gymbal_runtime.placement.compatibility import (
    CompatibilityTable,
    shipped_table,
    transformed,
)
from gymbal_runtime.placement.heuristics import PLACEMENT_HEURISTICS, make_placement_heuristic
from gymbal_runtime.placement.heuristics.fits import watts
from gymbal_runtime.placement.heuristics.interference import at_bubble, completion
from gymbal_runtime.placement.queue import queue_of, queue_places, waits
from gymbal_runtime.tasks import CONSOLIDATION, PLACEMENT

SMALL = ScenarioConfig(
    centre=replace(
        placement_centres(), num_hosts=(4, 8), max_hosts=8, vms_per_host=(12.0, 16.0),
        episode_s=3600.0,
    )
)  # fmt: skip


@pytest.fixture(scope="module")
def records() -> list:
    """Telemetry of six centres, every few decisions of an hour."""
    task = default_task(PLACEMENT)
    worlds = open_worlds(task, make_source(SMALL, "train", 2), 6, shape_of(SMALL, task))
    worlds.reset(stagger=3)
    found = []
    for step in range(45):
        worlds.step_base()
        if step % 5 == 0 or waits(worlds.telemetry).sum() > 8:
            found.append(worlds.telemetry)
    assert any(waits(record).any() for record in found)
    return found


@pytest.mark.parametrize("name", PLACEMENT_HEURISTICS)
def test_every_order_is_legal(name: str, records: list) -> None:
    agent = make_placement_heuristic(name)
    agent.reset(6, records[0].num_vms)
    placed = 0
    for t in records:
        orders = agent.act(t)
        orders.check(t.shape)
        asked = orders.chosen != NOWHERE
        assert not (asked & ~waits(t)).any()
        free = np.where(t.exists, t.memory_bytes - t.held_bytes, -1.0)
        for c, v in zip(*np.nonzero(asked), strict=True):
            free[c, orders.chosen[c, v]] -= t.vm_memory_bytes[c, v]
        assert (free >= 0.0)[t.exists].all()
        c, v = np.nonzero(orders.target != NOWHERE)
        assert (t.state[c, orders.target[c, v]] == ON).all()
        woken = orders.power == WAKE
        assert np.isin(t.state[woken], (ASLEEP, SUSPENDING)).all()
        assert (orders.power == SLEEP)[~t.running].sum() == 0
        placed += int(asked.sum())
    assert placed > 10


def test_rules_rank_hosts_as_they_say(records: list) -> None:
    record = max(records, key=lambda t: waits(t).sum())
    queue = queue_of(record)
    vm = queue[:, 0]
    rows = np.flatnonzero(vm != NOWHERE)
    books = Books(record, shipped_table())
    fits = books.fits(vm)
    use = books.use_after(vm)
    first = make_placement_heuristic("worst_fit", wake=True, ceiling=9.0).choose(books, vm)
    for c in rows:
        if fits[c].any():
            assert use[c, first[c]] == use[c, fits[c]].min()
    best = make_placement_heuristic("best_fit", ceiling=9.0).choose(books, vm)
    for c in rows:
        pool = fits[c] & (books.group[c] == IN_USE)
        if pool.any():
            assert use[c, best[c]] == use[c, pool].max()
    before = books.vms.copy()
    books.book(vm, best)
    assert books.vms.sum() == before.sum() + (best[rows] != NOWHERE).sum()
    assert set(np.unique(books.group)) <= {IN_USE, SPARE, COMING, SLEEPING}


def test_following_the_proposal_is_exactly_the_rule(records: list) -> None:
    codec = PlacementCodec()
    rule = make_placement_heuristic(codec.heuristic)
    for t in records:
        base = rule.act(t)
        seen, _ = codec.encode(t, base, NoHistory())
        assert codec.decode(seen["proposed"], t, base) is base
        low, high = codec.bounds()["candidates"]
        assert ((seen["candidates"] >= low) & (seen["candidates"] <= high)).all()
        np.testing.assert_array_equal(seen["mask"][..., 1:], seen["offered"])
        np.testing.assert_array_equal(codec.mask(t, base), seen["mask"] > 0)
        proposed = seen["proposed"].astype(int)
        assert (np.take_along_axis(seen["mask"], proposed[..., None], -1) == 1).all()


def test_any_choice_is_carried_out_within_what_hosts_have(records: list) -> None:
    codec, rng = PlacementCodec(), np.random.default_rng(0)
    rule = make_placement_heuristic(codec.heuristic)
    other = 0
    for t in records:
        base = rule.act(t)
        choices = codec.choices(t, base)
        action = rng.integers(0, NUM_CHOICES + 3, choices.queue.shape)  # illegal ones, too
        orders = codec.decode(action, t, base)
        free = np.where(t.exists, t.memory_bytes - t.held_bytes, -1.0)
        for c, v in zip(*np.nonzero(orders.chosen != NOWHERE), strict=True):
            free[c, orders.chosen[c, v]] -= t.vm_memory_bytes[c, v]
        assert (free >= 0.0)[t.exists].all()
        other += int((orders.chosen != base.chosen).sum())
        waiting = codec.decode(np.zeros(choices.queue.shape), t, base)
        assert (waiting.chosen == NOWHERE).all()
    assert other > 5


def test_the_observation_does_not_grow_with_hosts_times_vms() -> None:
    assert queue_places(10) == 8
    assert queue_places(800) == 100
    inputs = PlacementCodec().signature.inputs
    assert not any(axis in ("hosts", "vms") for axes in inputs.values() for axis in axes)


def test_the_shipped_table_knows_who_suits_whom() -> None:
    table = shipped_table()
    names = list(table.names)
    sensitive, polluting, quiet = (names.index(n) for n in ("omnetpp06", "lucas00", "eon00"))
    assert table.extra[sensitive, polluting] > 20 * table.extra[sensitive, quiet]
    assert table.extra[quiet].max() < 1e-3
    assert (np.diff(table.bubble_score) >= 0).all()
    assert (np.diff(table.curve, axis=1) >= 0).all()
    marks = table.own_marks[None]
    known = np.ones(marks.shape[:2], dtype=bool)
    np.testing.assert_array_equal(table.class_of(marks, known)[0], np.arange(table.count))
    assert (table.class_of(marks, ~known) == table.count).all()
    assert CompatibilityTable.from_dict(table.to_dict()).to_dict() == table.to_dict()
    with pytest.raises(ValueError, match="extra"):
        replace(table, extra=np.full_like(table.extra, np.nan))
    plain = table.to_dict()
    del plain["score"]
    with pytest.raises(ValueError, match="score is missing"):
        CompatibilityTable.from_dict(plain)


def test_completed_rows_are_nearer_to_the_truth_than_the_mean() -> None:
    """Leave each program out, complete its row from its static profile: Paragon's claim."""
    table = shipped_table()
    errors, plain = [], []
    for out in range(table.count):
        rest = np.delete(np.arange(table.count), out)
        small = CompatibilityTable(
            names=tuple(table.names[i] for i in rest), hints=table.hints[rest],
            extra=table.extra[np.ix_(rest, rest)], bubble_score=table.bubble_score,
            curve=table.curve[rest], score=table.score[rest],
        )  # fmt: skip
        mean, weights = completion(small, 3, 0.5)
        mark = (transformed(table.hints[out]) - small._centre) / small._spread
        truth = np.concatenate([table.extra[out, rest], table.extra[rest, out]])
        errors.append(np.abs(np.maximum(mean + mark @ weights, 0.0) - truth).mean())
        plain.append(np.abs(mean - truth).mean())
    assert np.mean(errors) < 0.75 * np.mean(plain)


def test_curves_are_read_between_bubbles_and_beyond() -> None:
    scores = np.array([0.0, 1.0, 3.0])
    curve = np.array([[0.0, 0.5, 0.9], [0.0, 0.0, 0.2]])
    bubbles = np.array([0.5, 2.0, 5.0])
    extra = at_bubble(curve[:, None, :], scores, np.tile(bubbles, (2, 1)))
    np.testing.assert_allclose(extra, [[0.25, 0.7, 1.3], [0.0, 0.1, 0.4]])


def test_watts_lie_on_the_curve() -> None:
    curve = np.linspace(50.0, 150.0, 11)[None, None]
    np.testing.assert_allclose(watts(curve, np.array([[0.0]])), 50.0)
    np.testing.assert_allclose(watts(curve, np.array([[0.55]])), 105.0)
    np.testing.assert_allclose(watts(curve, np.array([[1.7]])), 150.0)


def test_options_and_tasks_that_make_no_sense_are_refused() -> None:
    for name, options in (
        ("best_fit", {"ceiling": -1.0}), ("bubble_up", {"allowed": -1.0}),
        ("paragon", {"ridge": 0.0}), ("compatible", {"host_cost": -1.0}), ("first_fit", {"x": 1}),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=next(iter(options))):
            make_placement_heuristic(name, **options)
    with pytest.raises(ValueError, match="Consolidation"):
        PlacementCodec(CONSOLIDATION)
    with pytest.raises(ValueError, match="no heuristic"):
        PlacementCodec(heuristic="thr_mmt")
