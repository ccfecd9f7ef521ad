"""Lines stay until others need their place, and nobody has more than its part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.occupancy import NUM_SCRATCH, move_lines, tend_to_share
from gymbal_envs.simulator.params import MIB

LLC, WAY = 16 * MIB, 1 * MIB
FLAT = np.full(at.NUM_LLC_SEGMENTS + 1, 0.01)


@pytest.fixture(name="host")
def _host(plain_scenario, plain_resources, engine_of):
    """An engine whose cache kernels are called by hand: ``host(units=..., occupancy=..., ...)``."""

    def host(classes, units, occupancy, rate, mpi=FLAT):
        n = len(classes)
        engine = engine_of([plain_scenario(n, resources=plain_resources(n, mpi=mpi))])
        vm = engine.vm[0]
        sizes = [classes.count(c) for c in classes]
        vm[at.LLC_CLASS] = classes
        vm[at.UNITS] = units
        vm[at.ENTITLED] = np.array(units) / sizes
        vm[at.OCCUPANCY] = np.array(occupancy) * WAY
        vm[at.RATE] = rate
        return engine

    return host


def tick(engine, count=1):
    """Occupancy in ways, after some ticks."""
    wants = np.zeros((NUM_SCRATCH, engine.num_vms))
    for _ in range(count):
        members = np.zeros(engine.num_vms, dtype=np.int64)
        tend_to_share(
            engine.world_vm[0], engine.world_host[0], engine.active[0], engine.vm[0], wants, members
        )
        move_lines(
            engine.world_vm[0], engine.world_host[0], engine.active[0], engine.constants,
            engine.vm[0], wants,
        )  # fmt: skip
    return engine.vm[0, at.OCCUPANCY] / WAY


def test_alone_in_its_part_a_program_fills_it(host):
    assert tick(host([0, 1], [12, 4], [0, 0], 1e9)).tolist() == [12.0, 4.0]


def test_it_grows_no_faster_than_it_misses(host):
    slow = 1e6  # instructions/s; 1 of 100 misses, 64 bytes each
    held = tick(host([0, 1], [12, 4], [0, 0], slow))
    np.testing.assert_allclose(held * WAY, slow * 0.01 * 64)


def test_a_part_that_shrinks_keeps_its_lines_until_the_new_owner_misses(host):
    engine = host([0, 1], [4, 12], [12, 4], [1e9, 0.0])
    assert tick(engine, 20).tolist() == [12.0, 4.0]  # the new owner stands still
    engine.vm[0, at.RATE, 1] = 1e6
    held = tick(engine)
    assert held[1] == pytest.approx(4.0 + 1e6 * 0.01 * 64 / WAY)
    assert held.sum() == pytest.approx(16.0)
    engine.vm[0, at.RATE, 1] = 1e9
    np.testing.assert_allclose(tick(engine), [4.0, 12.0])


def test_lines_in_units_that_nobody_owns_stay(host):
    engine = host([0, 1], [4, 4], [12, 4], 1e9)
    assert tick(engine, 20).tolist() == [12.0, 4.0]


def test_a_class_does_not_grow_into_the_free_room_of_others(host):
    """Two share 4 ways while 12 lie idle: what one gains there the other one loses."""
    engine = host([0, 0, 1], [4, 4, 12], [3, 1, 0], [1e9, 3e9, 0.0])
    held = tick(engine)
    assert held[:2].sum() == pytest.approx(4.0)
    np.testing.assert_allclose(held[:2], [1.0, 3.0], rtol=1e-3)


def test_a_refill_costs_the_misses_of_its_own_time(host):
    falling = np.where(np.arange(at.NUM_LLC_SEGMENTS + 1) < 20, 0.01, 0.0)
    engine = host([0, 1], [12, 4], [0, 4], 1e9, falling)
    tick(engine)
    lines = 10 * MIB / 64  # from 10 of its 12 ways on it never misses
    assert engine.vm[0, at.MPI, 0] == pytest.approx(lines / 1e9, rel=1e-4)
    assert engine.vm[0, at.OCCUPANCY, 0] == pytest.approx(10 * MIB, rel=1e-4)
    tick(engine)
    assert engine.vm[0, at.MPI].tolist() == [0.0, 0.01]


def test_shared_occupancy_is_the_natural_partition(host):
    held = tick(host([0, 0], [16, 16], [8, 8], [3e9, 1e9]))
    np.testing.assert_allclose(held, [12.0, 4.0], rtol=1e-3)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_nobody_ever_has_more_than_there_is(host_of_random, seed):
    rng = np.random.default_rng(seed)
    engine = host_of_random(rng)
    vm, llc = engine.vm[0], engine.world_host[0, at.LLC_BYTES]
    unit = llc / engine.world_host[0, at.LLC_UNITS]
    here = engine.world_vm[0, at.PRESENT] > 0
    for _ in range(10):
        _random_parts(engine, rng)
        vm[at.RATE] = here * 10.0 ** rng.uniform(2, 11, here.size) * (rng.random(here.size) < 0.8)
        before = vm[at.OCCUPANCY].copy()
        tick(engine)
        assert vm[at.OCCUPANCY].min() >= 0
        assert vm[at.OCCUPANCY].sum() <= llc * (1 + 1e-12)
        assert vm[at.MPI].min() >= 0
        for c in np.unique(vm[at.LLC_CLASS, here]):
            mine = here & (vm[at.LLC_CLASS] == c)
            most = max(vm[at.ENTITLED, mine].sum() * unit, before[mine].sum())
            assert vm[at.OCCUPANCY, mine].sum() <= most * (1 + 1e-9)


@pytest.fixture(scope="session", name="host_of_random")
def _host_of_random(random_scenario, random_resources, engine_of):
    def make(rng):
        seed = int(rng.integers(2**32))
        return engine_of([random_scenario(seed, resources=random_resources(seed))])

    return make


def _random_parts(engine, rng):
    """Any classes, whose parts add up to the cache or less."""
    vm, units = engine.vm[0], engine.world_host[0, at.LLC_UNITS]
    classes = rng.integers(0, 6, engine.num_vms)
    sizes = rng.dirichlet(np.ones(6)) * units * rng.choice([0.5, 1.0])
    here = engine.world_vm[0, at.PRESENT] > 0
    counts = np.bincount(classes[here], minlength=6)
    vm[at.LLC_CLASS] = np.where(here, classes, 0)
    vm[at.ENTITLED] = np.where(here, sizes[classes] / np.maximum(counts[classes], 1), 0)
