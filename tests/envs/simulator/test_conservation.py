"""Physics that no demand and no command may break, on hosts and commands drawn at random."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.params import TIERS, MemoryParams
from gymbal_runtime.command import Command

NUM_WORLDS, NUM_TICKS = 16, 40
ROUNDING = 0.01  # bytes, of hosts with up to 1e11

UNUSED = (at.TARGET, at.SPEED, at.CACHE_SPEED, at.IO_SPEED, at.WAKE_SPEED)
"""Rows that mean nothing where there is no VM, and need not be 0."""

seeds = st.integers(0, 2**32 - 1)
many = settings(max_examples=20, deadline=None)


@pytest.fixture(scope="session")
def played(random_scenario, engine_of, random_targets):
    """Yields (tables before, engine) after each tick of random hosts under random commands."""

    def play(seed, **changes):
        rng = np.random.default_rng(seed)
        drawn = rng.integers(2**32, size=NUM_WORLDS)
        engine = engine_of([random_scenario(int(s), **changes) for s in drawn])
        for _ in range(NUM_TICKS):
            before = engine.vm.copy()
            engine.step(Command(random_targets(engine, rng)), 1)
            yield before, engine

    return play


def swapped(engine):
    vm = engine.vm
    resident = vm[:, at.HOT] + vm[:, at.COLD] + vm[:, at.UNBORN]
    return np.maximum(vm[:, at.FOOTPRINT] - resident, 0.0)


@many
@given(seed=seeds)
def test_every_page_is_in_one_place(played, seed):
    for _, engine in played(seed):
        vm = engine.vm
        hot, cold, unborn = vm[:, at.HOT], vm[:, at.COLD], vm[:, at.UNBORN]
        assert min(hot.min(), cold.min(), unborn.min()) >= -ROUNDING
        assert np.all(hot <= vm[:, at.WORKING_SET] + ROUNDING)
        assert np.all(vm[:, at.WORKING_SET] <= vm[:, at.FOOTPRINT])
        assert np.all(hot + cold + unborn <= vm[:, at.FOOTPRINT] + ROUNDING)


@many
@given(seed=seeds, tier=st.sampled_from(["any", "zswap"]))
def test_guests_use_no_more_than_they_hold_and_hold_no_more_than_there_is(played, seed, tier):
    changes = {} if tier == "any" else {"tier": TIERS[tier]}
    for _, engine in played(seed, **changes):
        vm, host = engine.vm, engine.world_host
        actual = vm[:, at.ACTUAL]
        images = host[:, at.TIER_POOL, None] * swapped(engine)
        images = np.minimum(images, host[:, at.TIER_POOL_LIMIT, None] * actual)
        used = engine.world_vm[:, at.KERNEL] + vm[:, at.HOT] + vm[:, at.COLD] + images
        assert np.all(used <= actual + ROUNDING)
        assert np.all(actual.sum(axis=1) <= host[:, at.CAPACITY] + ROUNDING)
        assert np.all(actual <= engine.world_vm[:, at.MEMORY_MAX] + ROUNDING)


@many
@given(seed=seeds)
def test_a_balloon_has_a_finite_speed_and_grants_only_what_was_given_up(played, seed):
    limits = MemoryParams()
    for before, engine in played(seed):
        change = engine.vm[:, at.ACTUAL] - before[:, at.ACTUAL]
        assert np.all(change <= limits.deflate_bytes_s + ROUNDING)
        assert np.all(change >= -limits.inflate_bytes_s - ROUNDING)
        free = engine.world_host[:, at.CAPACITY] - before[:, at.ACTUAL].sum(axis=1)
        given_up = -np.minimum(change, 0.0).sum(axis=1)
        granted = np.maximum(change, 0.0).sum(axis=1)
        assert np.all(granted <= free + given_up + ROUNDING)
        moved = engine.outcome[:, at.MOVED]
        np.testing.assert_allclose(moved, np.abs(change), atol=ROUNDING)


@many
@given(seed=seeds)
def test_the_swap_device_has_a_finite_bandwidth(played, seed):
    """Writes in every tick; reads but for the tick of a sudden load, see test_tiers."""
    fetched = np.zeros((NUM_TICKS, NUM_WORLDS))
    for tick, (_, engine) in enumerate(played(seed)):
        host, outcome = engine.world_host, engine.outcome
        read = outcome[:, at.READ].sum(axis=1)
        fetched[tick] = read * host[:, at.TIER_CLUSTER] / host[:, at.TIER_USEFUL]
        written = outcome[:, at.WRITTEN].sum(axis=1)
        assert np.all(written <= host[:, at.TIER_WRITE] + ROUNDING), tick
    bandwidth = engine.world_host[:, at.TIER_READ]
    assert np.all(fetched.mean(axis=0) <= bandwidth)
    assert np.all(fetched <= 6 * bandwidth)
    assert np.mean(fetched > bandwidth) <= 0.01


@many
@given(seed=seeds)
def test_cpu_time_is_conserved(played, seed):
    for _, engine in played(seed):
        granted, wanted = engine.vm[:, at.GRANTED_CORES], engine.vm[:, at.WANTED_CORES]
        cores = engine.world_host[:, at.CPU_CAPACITY]
        assert np.all(granted <= wanted)
        assert np.all(granted.sum(axis=1) <= cores * (1 + 1e-12))
        assert np.all(wanted <= np.maximum(engine.world_vm[:, at.VCPUS], 0.01))


@many
@given(seed=seeds)
def test_everything_stays_finite_and_losses_are_fractions(played, seed):
    for _, engine in played(seed):
        assert np.isfinite(engine.vm).all()
        assert np.isfinite(engine.outcome).all()
        lost, by_memory = engine.outcome[:, at.LOST], engine.outcome[:, at.LOST_MEMORY]
        assert np.all((lost >= 0) & (lost <= 1 + 1e-12))
        assert np.all((by_memory >= 0) & (by_memory <= 1 + 1e-12))
        speed = engine.vm[:, at.SPEED]
        assert np.all((speed > 0) | (engine.world_vm[:, at.PRESENT] == 0))
        assert np.all(speed <= 1)


@many
@given(seed=seeds)
def test_an_empty_slot_holds_wants_and_loses_nothing(played, seed):
    for _, engine in played(seed):
        empty = engine.world_vm[:, at.PRESENT] == 0
        state = np.moveaxis(engine.vm, 1, 2)[empty]  # (slots, NUM_VM)
        kept = [q for q in range(at.NUM_VM) if q not in UNUSED]
        assert not state[:, kept].any()
        assert not np.moveaxis(engine.outcome, 1, 2)[empty].any()
