"""Balloon, reclaim and refill on hosts that can be followed on paper."""

import numpy as np
import pytest

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.params import GIB, MIB, TIERS, MemoryParams, PhysicsParams
from gymbal_runtime.command import Command

LEAVE = np.nan
PLAIN_LRU = PhysicsParams(memory=MemoryParams(lru_error=0.0))


def state(engine, quantity, vm=0):
    return float(engine.vm[0, quantity, vm])


def tell(engine, *targets, ticks=1):
    engine.step(Command(np.array([targets], dtype=np.float64)), ticks)


def test_free_pages_leave_at_the_balloons_own_speed(plain_scenario, engine_of):
    engine = engine_of([plain_scenario(footprint_bytes=1.2 * GIB)])
    tell(engine, 1.5 * GIB, LEAVE)  # 2 GiB held, 1.26 used: all that goes is free
    assert state(engine, at.ACTUAL) == pytest.approx(2 * GIB - 400e6)
    assert engine.outcome[0, at.WRITTEN, 0] == 0


@pytest.mark.parametrize("tier", ["hdd", "nvme"])
def test_pages_in_use_leave_at_the_speed_of_the_swap_device(plain_scenario, engine_of, tier):
    scenario = plain_scenario(
        tier=TIERS[tier], working_set_bytes=0.1 * GIB, footprint_bytes=4 * GIB
    )
    engine = engine_of([scenario], PLAIN_LRU)
    tell(engine, 1 * GIB, LEAVE)
    expected = min(TIERS[tier].write_bytes_s, 400e6)
    assert 2 * GIB - state(engine, at.ACTUAL) == pytest.approx(expected, rel=1e-6)
    assert engine.outcome[0, at.WRITTEN, 0] == pytest.approx(expected, rel=1e-6)


def test_clean_pages_are_dropped_without_writing(plain_scenario, engine_of):
    scenario = plain_scenario(
        tier=TIERS["hdd"], dirty_frac=0.0, working_set_bytes=0.1 * GIB, footprint_bytes=4 * GIB
    )
    engine = engine_of([scenario])
    tell(engine, 1 * GIB, LEAVE)
    assert 2 * GIB - state(engine, at.ACTUAL) == pytest.approx(400e6)
    assert engine.outcome[0, at.WRITTEN, 0] == 0


def test_memory_is_granted_only_once_another_vm_has_given_it_up(plain_scenario, engine_of):
    scenario = plain_scenario(tier=TIERS["hdd"], footprint_bytes=4 * GIB)
    engine = engine_of([scenario])
    tell(engine, 3 * GIB, LEAVE)
    assert state(engine, at.ACTUAL) == 2 * GIB  # the host is full
    tell(engine, 3 * GIB, 1 * GIB)
    given_up = 2 * GIB - state(engine, at.ACTUAL, 1)
    assert 0 < given_up < 101e6  # the other guest must write to a disk first
    assert state(engine, at.ACTUAL) - 2 * GIB == pytest.approx(given_up)


def test_scarce_memory_is_granted_in_proportion_to_the_requests(plain_scenario, engine_of):
    scenario = plain_scenario(3, capacity_bytes=6.2 * GIB)
    engine = engine_of([scenario])
    tell(engine, 2.1 * GIB, 2.3 * GIB, LEAVE)
    got = engine.vm[0, at.ACTUAL] - 2 * GIB
    np.testing.assert_allclose(got, [0.05 * GIB, 0.15 * GIB, 0.0], rtol=1e-6, atol=1.0)


def test_cold_pages_leave_before_hot_ones_but_for_the_errors_of_lru(plain_scenario, engine_of):
    for error in (0.0, 0.05):
        params = PhysicsParams(memory=MemoryParams(lru_error=error))
        engine = engine_of([plain_scenario(footprint_bytes=1.9 * GIB)], params)
        tell(engine, 1.5 * GIB, LEAVE)
        free = 2 * GIB - 64 * MIB - 1.9 * GIB
        evicted = 400e6 - free
        assert 1 * GIB - state(engine, at.HOT) == pytest.approx(error * evicted, abs=10.0)


def test_a_shrinking_working_set_stays_resident_and_returns_without_swap_in(
    plain_scenario, engine_of
):
    sizes = np.repeat([1.0, 0.2, 0.2, 1.0, 1.0, 1.0, 1.0], 2).reshape(7, 2) * GIB
    engine = engine_of([plain_scenario(working_set_bytes=sizes, footprint_bytes=1.5 * GIB)])
    tell(engine, LEAVE, LEAVE, ticks=20)
    assert state(engine, at.HOT) == pytest.approx(0.2 * GIB)
    assert state(engine, at.COLD) == pytest.approx(1.3 * GIB)
    tell(engine, LEAVE, LEAVE, ticks=20)
    assert state(engine, at.HOT) == pytest.approx(1.0 * GIB)
    assert engine.outcome[0, at.READ, 0] == 0
    assert engine.outcome[0, at.LOST_MEMORY, 0] == 0


@pytest.mark.parametrize("tier", ["hdd", "sata_ssd", "nvme", "rdma"])
def test_memory_given_back_must_be_faulted_in_at_the_tiers_speed(plain_scenario, engine_of, tier):
    device = TIERS[tier]
    scenario = plain_scenario(
        tier=device, working_set_bytes=1.5 * GIB, footprint_bytes=1.5 * GIB,
        initial_bytes=[1 * GIB, 2 * GIB], touch_rate=1e6, overlap=64.0,
    )  # fmt: skip
    engine = engine_of([scenario])
    missing = 1.5 * GIB - state(engine, at.HOT)
    assert missing > 0.5 * GIB
    tell(engine, 2 * GIB, LEAVE)  # the host has it free, so the balloon deflates at once
    assert state(engine, at.ACTUAL) > 1.9 * GIB
    useful_bytes_s = device.read_bytes_s * device.useful_pages / device.cluster_pages
    seconds = 1
    while state(engine, at.HOT) < 1.499 * GIB and seconds < 60:
        tell(engine, LEAVE, LEAVE)
        seconds += 1
    refilled = state(engine, at.HOT) - (1.5 * GIB - missing)
    assert seconds >= refilled / useful_bytes_s  # at least as long as the device needs
    assert (tier == "hdd") == (seconds == 60)  # which for a disk is more than a minute


def test_a_guest_grows_into_free_memory_without_swap(plain_scenario, engine_of):
    sizes = np.array([[0.5], [1.5], [1.5], [1.5], [1.5], [1.5], [1.5]]) * GIB
    engine = engine_of([plain_scenario(working_set_bytes=sizes, footprint_bytes=sizes)])
    tell(engine, LEAVE, LEAVE, ticks=15)
    assert state(engine, at.HOT) == pytest.approx(1.5 * GIB)
    assert engine.outcome[0, [at.READ, at.WRITTEN, at.LOST_MEMORY], 0].tolist() == [0, 0, 0]


def test_a_guest_that_outgrows_its_memory_swaps_out_and_its_swap_shows_it(
    plain_scenario, engine_of
):
    sizes = np.array([[1.5], [3.0], [3.0], [3.0], [3.0], [3.0], [3.0]]) * GIB
    engine = engine_of([plain_scenario(working_set_bytes=sizes, footprint_bytes=sizes)])
    tell(engine, LEAVE, LEAVE, ticks=300)
    assert engine.outcome[0, at.LOST_MEMORY, 0] > 0
    assert engine.outcome[0, at.WRITTEN, 0] > 0
    lacking = 3.0 * GIB - (2 * GIB - 64 * MIB)
    assert engine.telemetry().swap_used_bytes[0, 0] == pytest.approx(lacking, rel=0.01)
    assert engine.telemetry().swap_in_rate[0, 0] > 0


def test_a_process_is_killed_when_what_cannot_be_paged_out_does_not_fit(plain_scenario, engine_of):
    unswappable = 0.1
    needed = 64 * MIB + unswappable * 2 * GIB
    params = PhysicsParams(memory=MemoryParams(restart_s=5.0))
    for target, killed in ((needed + 1, 0), (needed - 1, 1)):
        scenario = plain_scenario(
            unswappable_frac=unswappable, initial_bytes=[300 * MIB, 2 * GIB], dirty_frac=0.0
        )
        engine = engine_of([scenario], params)
        tell(engine, target, LEAVE)
        assert engine.outcome[0, at.KILLED].tolist() == [killed, 0]
        tell(engine, LEAVE, LEAVE)
        lost = float(engine.outcome[0, at.LOST, 0])
        assert (lost == pytest.approx(1.0)) == bool(killed)  # nothing gets done while it restarts
        tell(engine, LEAVE, LEAVE, ticks=10)
        assert engine.outcome[0, at.KILLED, 0] == 2 * killed  # and again, each 5 s


def test_compressed_pages_take_memory_up_to_the_pools_limit(plain_scenario, engine_of):
    zswap = TIERS["zswap"]
    for footprint, images in ((2.2 * GIB, None), (16 * GIB, 0.2 * 2 * GIB)):
        engine = engine_of([plain_scenario(tier=zswap, footprint_bytes=footprint)])
        resident = state(engine, at.HOT) + state(engine, at.COLD)
        if images is None:
            images = (footprint - resident) / 3
        assert resident + images + 64 * MIB == pytest.approx(2 * GIB)
        assert images <= zswap.pool_limit_frac * 2 * GIB * (1 + 1e-9)


def test_zswap_never_gives_more_room_than_swapping_to_a_device(plain_scenario, engine_of):
    hot = {}
    for tier in ("zswap", "nvme"):
        sizes = {"working_set_bytes": 3 * GIB, "footprint_bytes": 3 * GIB}
        engine = engine_of([plain_scenario(tier=TIERS[tier], **sizes)])
        tell(engine, LEAVE, LEAVE, ticks=30)
        hot[tier] = state(engine, at.HOT)
    assert hot["zswap"] < 0.9 * hot["nvme"]
