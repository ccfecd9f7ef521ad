"""Memory latency and instruction rates that fit each other, and what counters make of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.bandwidth import (
    LONGEST_LATENCY,
    progress_of_programs,
    settle_latency,
)
from gymbal_envs.simulator.cache import CURVE
from gymbal_envs.simulator.params import CacheParams, PhysicsParams
from gymbal_envs.simulator.whole_host import NUM_ACTIVE

CACHE = CacheParams(queue=0.4, write_back=0.3, page_move_s=5e-6)
CONSTANTS = PhysicsParams(cache=CACHE).constants()
PER_MISS = 64 * 1.3  # bytes, a third of a line written back
GHZ = 2e9


class Host:
    """Programs with 0.5 cycles per instruction on one core each, unless told otherwise."""

    def __init__(self, mpi, penalty=50.0, cores=1.0, bandwidth=60e9, latency=1.0):
        n = len(mpi)
        self.world_vm = np.zeros((at.NUM_WORLD_VM, n))
        self.world_vm[at.PRESENT] = 1.0
        self.world_host = np.zeros(at.NUM_WORLD_HOST)
        self.world_host[[at.MEMORY_BANDWIDTH, at.FREQUENCY]] = bandwidth, GHZ
        self.active = np.zeros((n, NUM_ACTIVE))
        self.active[:, at.CPI_BASE], self.active[:, at.PENALTY] = 0.5, penalty
        self.active[:, CURVE] = 0.03  # references; no misses with the whole cache
        self.vm, self.host = np.zeros((at.NUM_VM, n)), np.zeros(at.NUM_HOST)
        self.vm[at.MPI], self.vm[at.GRANTED_CORES], self.vm[at.SPEED] = mpi, cores, 1.0
        self.host[at.LATENCY_FACTOR] = latency

    def settle(self):
        wants = np.zeros((3, self.vm.shape[1]))
        settle_latency(
            self.world_vm, self.world_host, self.active, CONSTANTS, self.vm, self.host, wants
        )
        return self

    def progress(self, pages=0.0):
        moved = np.full(self.vm.shape[1], pages)
        progress_of_programs(self.world_vm, self.active, CONSTANTS, self.vm, moved)
        return self.vm[at.CACHE_SPEED]

    @property
    def latency(self):
        return self.host[at.LATENCY_FACTOR]

    @property
    def load(self):
        traffic = (self.vm[at.RATE] * self.vm[at.MPI]).sum() * PER_MISS
        return traffic / self.world_host[at.MEMORY_BANDWIDTH]


def test_without_misses_programs_run_at_their_own_speed():
    host = Host([0.0, 0.0]).settle()
    assert host.latency == 1.0
    assert host.vm[at.RATE].tolist() == [GHZ / 0.5] * 2
    assert host.progress().tolist() == [1.0, 1.0]


def test_a_miss_costs_its_penalty_where_the_bus_is_idle():
    host = Host([0.02], bandwidth=1e15).settle()
    assert host.vm[at.CPI, 0] == pytest.approx(1.5)
    assert host.progress()[0] == pytest.approx(1 / 3)


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), latency=st.floats(0, 3))
def test_latency_and_traffic_fit_each_other_from_any_start(seed, latency):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 17))
    host = Host(
        10 ** rng.uniform(-6, -1.3, n),
        penalty=rng.uniform(0.5, 200, n),
        cores=rng.uniform(0, 8, n) * (rng.random(n) < 0.8),
        bandwidth=10 ** rng.uniform(9.5, 11.5),
        latency=10**latency,
    ).settle()
    for tolerance in (0.03, 1e-6):  # one tick may not be enough from far away
        queued = host.latency - 1
        assert host.load == pytest.approx(queued / (queued + CACHE.queue), abs=tolerance)
        host.settle()
    assert host.load < 1


def test_a_neighbours_traffic_slows_a_program_down():
    speeds = [Host([0.02] * n, bandwidth=30e9).settle().progress()[0] for n in (1, 4, 16)]
    assert speeds[0] > speeds[1] > speeds[2] > 0


def test_programs_that_no_miss_delays_cannot_break_the_search():
    host = Host([0.02] * 8, penalty=0.0, bandwidth=1e9)
    for _ in range(30):
        host.settle()
    assert host.latency == LONGEST_LATENCY
    assert host.vm[at.RATE].tolist() == [GHZ / 0.5] * 8
    host.vm[at.GRANTED_CORES] = 1e-3  # and it finds back
    assert host.settle().latency < 2.0


def test_a_killed_program_executes_nothing():
    host = Host([0.02, 0.02])
    host.vm[at.STALL_S, 0] = 5.0
    host.settle()
    assert host.vm[at.RATE, 0] == 0.0
    assert host.vm[at.RATE, 1] > 0
    assert 0 < host.progress()[0] < 1


def test_waiting_for_pages_and_cores_executes_less():
    host = Host([0.0, 0.0, 0.0], cores=[1.0, 0.5, 1.0])
    host.vm[at.SPEED, 2] = 0.25
    np.testing.assert_allclose(host.settle().vm[at.RATE] / (GHZ / 0.5), [1.0, 0.5, 0.25])


def test_recolouring_takes_its_time_from_the_program():
    pages = 0.2 / CACHE.page_move_s
    host = Host([0.02], bandwidth=1e15).settle()
    assert host.progress(pages)[0] == pytest.approx(0.8 / 3)
    assert host.vm[at.SUM_INSTRUCTIONS, 0] == pytest.approx(0.8 * GHZ / 1.5)
    assert host.vm[at.SUM_CYCLES, 0] == pytest.approx(GHZ)


def test_the_counters_tell_the_penalty_of_a_miss():
    host = Host([0.02, 0.001], penalty=[10.0, 60.0]).settle()
    host.progress()
    vm = host.vm
    assert (vm[at.SUM_STALL_CYCLES] / vm[at.SUM_MISSES]).tolist() == pytest.approx(
        [10 * host.latency, 60 * host.latency]
    )
    np.testing.assert_allclose(vm[at.SUM_CYCLES], GHZ)
    np.testing.assert_allclose(vm[at.SUM_REFERENCES], 0.03 * vm[at.SUM_INSTRUCTIONS])
