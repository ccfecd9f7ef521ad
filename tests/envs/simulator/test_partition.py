"""Divisions of the cache that hardware has, and what changing them costs."""

from dataclasses import replace

import numpy as np
import pytest

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.params import GIB, CacheParams, PhysicsParams
from gymbal_envs.simulator.partition import entitle, possible_parts, recolour

NAN = np.nan
COPIES = PhysicsParams(cache=CacheParams(page_move_s=5e-6, move_duty=0.2))
PER_TICK = 0.2 / 5e-6  # pages/s that a VM may move


@pytest.fixture(name="engine")
def _engine(plain_scenario, plain_resources, engine_of):
    """Three VMs and an empty slot on 16 ways: 4 classes, at least 2 ways each."""
    resources = plain_resources(4, llc_classes=3, llc_min_units=2)
    scenario = plain_scenario(4, resources=resources)
    return engine_of([replace(scenario, present=np.array([True, True, False, True]))])


@pytest.fixture(name="coloured")
def _coloured(plain_scenario, plain_resources, engine_of):
    resources = plain_resources(2, llc_recolours=True, recolour_frac=[1.0, 0.5])
    return engine_of([plain_scenario(resources=resources)], COPIES)


def tell(engine, classes, units):
    engine.outcome[:] = 0.0
    entitle(
        engine.world_vm[0], engine.world_host[0], np.array(classes, float), np.array(units, float),
        engine.constants, engine.vm[0], engine.outcome[0],
    )  # fmt: skip


def migrate(engine):
    moved = np.zeros(engine.num_vms)
    recolour(
        engine.world_vm[0], engine.world_host[0], engine.constants, engine.vm[0],
        engine.outcome[0], moved,
    )  # fmt: skip
    return moved


@pytest.mark.parametrize(
    ("classes", "units", "possible"),
    [
        ([0, 1, 9, 2], [4, 8, 99, 4], True),  # what the empty slot is told does not matter
        ([0, 1, NAN, 0], [4, 12, NAN, 4], True),
        ([3, 3, 3, 3], [2, 2, 2, 2], True),  # some ways may be nobody's
        ([0, 0, 0, 0], [16, 16, 16, 16], True),
        ([0, 1, 0, 2], [4, 8, 0, 5], False),  # 17 ways
        ([0, 1, 0, 0], [4, 8, 0, 5], False),  # members disagree
        ([0, 1, 0, 2], [1, 8, 0, 4], False),  # fewer than the least
        ([0, 1, 0, 2], [2.5, 8, 0, 4], False),  # half a way
        ([0, 1, 0, 2], [4, 8, 0, NAN], False),
        ([0, 1, 0, 2], [4, 8, 0, np.inf], False),
        ([0, NAN, 0, 2], [4, 8, 0, 4], False),
        ([0, 0.5, 0, 2], [4, 8, 0, 4], False),
        ([0, -1, 0, 2], [4, 8, 0, 4], False),
        ([0, 4, 0, 2], [4, 8, 0, 4], False),  # classes are numbered like slots
    ],
)
def test_a_division_the_hardware_does_not_have_changes_nothing(engine, classes, units, possible):
    told = np.array(classes, float), np.array(units, float)
    assert possible_parts(engine.world_vm[0], engine.world_host[0], *told) is possible
    before = engine.vm.copy()
    tell(engine, classes, units)
    present = [0, 1, 3]
    if possible:
        assert engine.vm[0, at.LLC_CLASS, present].tolist() == told[0][present].tolist()
        assert engine.vm[0, at.UNITS, present].tolist() == told[1][present].tolist()
    else:
        assert engine.vm.tobytes() == before.tobytes()


def test_more_classes_than_there_are_change_nothing(engine):
    engine.world_host[0, at.LLC_CLASSES] = 2
    before = engine.vm.copy()
    tell(engine, [0, 1, 0, 2], [4, 8, 0, 4])
    assert engine.vm.tobytes() == before.tobytes()


def test_ways_change_hands_at_once_and_members_share_them_equally(engine):
    assert engine.vm[0, at.ENTITLED].tolist() == [16 / 3, 16 / 3, 0, 16 / 3]
    tell(engine, [0, 1, 0, 1], [4, 12, 0, 12])
    assert engine.vm[0, at.ENTITLED].tolist() == [4.0, 6.0, 0.0, 6.0]
    assert engine.vm[0, at.UNITS].tolist() == [4.0, 12.0, 0.0, 12.0]
    np.testing.assert_allclose(
        engine.outcome[0, at.UNITS_MOVED], [0, 6 - 16 / 3, 0, 6 - 16 / 3], atol=1e-12
    )
    assert not migrate(engine).any()


def test_saying_the_same_again_moves_nothing(coloured):
    tell(coloured, [0, 1], [12, 4])
    left = coloured.vm[0, at.PAGES_LEFT].copy()
    migrate(coloured)
    tell(coloured, [0, 1], [12, 4])
    assert not coloured.outcome[0, at.UNITS_MOVED].any()
    np.testing.assert_allclose(coloured.vm[0, at.PAGES_LEFT, 1], left[1] - PER_TICK)


def test_recolouring_takes_as_long_as_copying_the_pages(coloured):
    """1 GiB hot; the first moves 4/16 of it, the second 12/16 of half of it."""
    tell(coloured, [0, 1], [12, 4])
    pages = GIB / 4096 * np.array([0.25, 0.375])
    np.testing.assert_allclose(coloured.vm[0, at.PAGES_LEFT], pages)
    moved, ticks = np.zeros(2), 0
    while coloured.vm[0, at.PAGES_LEFT].any():
        entitled = coloured.vm[0, at.ENTITLED]
        assert entitled.sum() == pytest.approx(16.0)
        assert np.all(np.abs(entitled - [12, 4]) > 1e-3)
        step = migrate(coloured)
        assert step.max() <= PER_TICK * (1 + 1e-12)
        moved += step
        ticks += 1
    assert ticks == np.ceil(pages.max() / PER_TICK)
    np.testing.assert_allclose(moved, pages)
    np.testing.assert_allclose(coloured.outcome[0, at.PAGES_MOVED], pages)
    assert coloured.vm[0, at.ENTITLED].tolist() == [12.0, 4.0]


def test_recoloured_pages_lose_their_lines(coloured):
    coloured.vm[0, at.OCCUPANCY] = 8 * 2**20
    tell(coloured, [0, 1], [8, 8])  # from all 16 together: half of the pages move
    while coloured.vm[0, at.PAGES_LEFT].any():
        migrate(coloured)
    left = coloured.vm[0, at.OCCUPANCY] / (8 * 2**20)
    np.testing.assert_allclose(left, np.exp(-0.5), rtol=0.1)  # some pages are hit twice


def test_a_change_of_mind_moves_pages_again_but_never_more_than_there_are(coloured):
    for units in ([12, 4], [4, 12], [12, 4], [4, 12], [12, 4]):
        tell(coloured, [0, 1], units)
    np.testing.assert_allclose(coloured.vm[0, at.PAGES_LEFT], GIB / 4096 * np.array([1.0, 0.5]))


def test_without_hot_pages_colours_change_at_once(coloured):
    coloured.vm[0, at.HOT] = 0.0
    tell(coloured, [0, 1], [12, 4])
    migrate(coloured)
    assert coloured.vm[0, at.ENTITLED].tolist() == [12.0, 4.0]


def test_regrouping_moves_the_pages_that_do_not_find_their_colours(
    plain_scenario, plain_resources, engine_of
):
    """{A, B}, {C, D} become {A, C}, {B, D}: half of each new part is new to each of its VMs."""
    resources = plain_resources(4, llc_recolours=True, recolour_frac=[1.0] * 4)
    coloured = engine_of([plain_scenario(4, resources=resources)])
    tell(coloured, [0, 0, 1, 1], [8, 8, 8, 8])
    coloured.vm[0, at.PAGES_LEFT] = 0.0
    tell(coloured, [0, 1, 0, 1], [8, 8, 8, 8])
    half = 0.5 * coloured.vm[0, at.HOT] / 4096
    np.testing.assert_allclose(coloured.vm[0, at.PAGES_LEFT], half)
