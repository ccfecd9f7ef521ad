"""Far memory: where evicted pages go, what far faults cost, how pages come home, what is lost."""

import numpy as np
import pytest

from gymbal_envs.scenarios.cluster_scenario import FAR_TIERS
from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster.params import ClusterParams
from gymbal_envs.simulator.params import GIB, MIB, TIERS
from gymbal_runtime.cluster.orders import BORROW, RECALL
from gymbal_runtime.command import Command

GIGABIT = 125e6


@pytest.fixture
def lending(starved, plain_host, plain_cluster, cluster_engine):
    """An engine of a starved VM on host 0 and donors with 6 GiB free on hosts 1 and 2."""

    def make(params=None, hosts=None, starved_on="hdd", **changes):
        hosts = hosts or (starved(tier=TIERS[starved_on]), plain_host(), plain_host())
        cluster = plain_cluster(*hosts, **({"far": FAR_TIERS["rdma"]} | changes))
        return cluster_engine([cluster], cluster=params)

    return make


def lost(engine):
    """Progress that the starved VM lost in the last interval, s."""
    return engine.hosts.outcome[0, host_at.LOST, 0]


def test_what_a_borrower_evicts_goes_to_who_has_most(lending, tell, check_books):
    engine = lending()
    tell(engine, (0, 0, BORROW), ticks=2)
    telemetry = engine.telemetry()
    assert telemetry.borrowing[0, 0, 0]
    first = telemetry.lent_bytes[0]
    assert first[0] == 0
    for _ in range(60):
        tell(engine, ticks=5)
        check_books(engine)
    lent = engine.telemetry().lent_bytes[0]
    assert lent[1] > 0
    assert lent[2] > 0
    assert abs(lent[1] - lent[2]) <= 4 * ClusterParams().slab_bytes
    budgets = engine.telemetry().hosts.budget_bytes
    np.testing.assert_allclose(budgets, 8 * GIB - lent)


def test_without_an_order_nothing_goes_far(lending, tell):
    engine = lending()
    tell(engine, ticks=100)
    assert engine.hosts.outcome[0, host_at.READ, 0] > 0
    assert engine.telemetry().lent_bytes.sum() == 0
    assert engine.measured()["network_bytes"] == [0]


def test_memory_over_a_fast_network_is_better_than_a_disk(lending, tell):
    """Once the pages lie there; the latency of the tier decides how much better."""
    losses = {}
    for far in ("tcp_1g", "rdma"):
        engine = lending(far=FAR_TIERS[far])
        tell(engine, ticks=30)
        before = lost(engine) / 30
        tell(engine, (0, 0, BORROW), ticks=2000)
        tell(engine, ticks=30)
        losses[far] = lost(engine) / 30
        assert losses[far] < before - 0.02, far
    assert losses["rdma"] < losses["tcp_1g"]
    assert engine.telemetry().far_latency_s[0, 0] >= FAR_TIERS["rdma"].latency_s


def test_a_far_fault_is_as_good_as_its_share_and_its_wait_say(lending, tell):
    engine = lending()
    tell(engine, (0, 0, BORROW), ticks=500)
    vm = engine.hosts.vm[0, :, 0].copy()
    wait = engine.hosts.host[0, host_at.WAIT]
    misses = vm[host_at.MISS_RATE] / engine.hosts.world_vm[0, host_at.OVERLAP, 0]
    useful = TIERS["hdd"].useful_pages
    seconds = (1 - vm[host_at.FAR_SHARE]) * wait + vm[host_at.FAR_STALL]
    assert vm[host_at.SPEED] == pytest.approx(1 / (1 + misses / useful * seconds))
    assert 0 < vm[host_at.FAR_SHARE] < 1


def test_pages_never_exceed_the_link(lending, tell, check_books):
    engine = lending(nic_bytes_s=np.full(3, GIGABIT / 10), far=FAR_TIERS["tcp_1g"])
    waiting = []
    for tick in range(300):
        tell(engine, *([(0, 0, BORROW)] if tick == 0 else []))
        check_books(engine)
        waiting.append(engine.pages[0, at.QUEUE].sum())
    used = engine.member[:, (at.SENT, at.RECEIVED)].max()
    assert used <= GIGABIT / 10 * (1 + 1e-9)
    assert max(waiting[50:]) < 2 * GIGABIT / 10, "what waits is not more than what goes in a tick"
    assert engine.telemetry().far_latency_s[0, 0] > FAR_TIERS["tcp_1g"].latency_s


def test_pages_of_another_site_take_longer_and_share_its_link(lending, tell, check_books):
    apart = {"site": np.array([0, 1, 1]), "wan_bytes_s": 2e6, "wan_latency_s": 0.005}
    engine = lending(**apart)
    tell(engine, (0, 0, BORROW), ticks=500)
    check_books(engine)
    assert engine.telemetry().far_latency_s[0, 0] >= FAR_TIERS["rdma"].latency_s + 0.01
    tell(engine)
    assert engine.link[0, at.LINK_USED].max() <= 2e6 * (1 + 1e-9)
    assert engine.telemetry().lent_bytes.sum() <= 501 * 2e6


def test_read_ahead_crosses_the_network_too(lending, tell):
    engine = lending(far=FAR_TIERS["tcp_10g"])  # 8 pages for 4 useful ones
    tell(engine, (0, 0, BORROW), ticks=500)
    before = engine.guest[0, at.FAR, 0]
    share = engine.hosts.vm[0, host_at.FAR_SHARE, 0]
    tell(engine)
    read = engine.hosts.outcome[0, host_at.READ, 0] * share
    placed = engine.guest[0, at.FAR, 0] - before + read
    assert engine.guest[0, at.FAR_BYTES, 0] == pytest.approx(2 * read + placed, rel=0.02)


def test_a_donor_whose_vms_want_memory_calls_it_back(
    starved, plain_host, lending, tell, check_books
):
    engine = lending(hosts=(starved(tier=TIERS["hdd"]), plain_host(2), plain_host(2)))
    tell(engine, (0, 0, BORROW), ticks=1500)
    lent = engine.telemetry().lent_bytes[0].copy()
    assert min(lent[1:]) > 200 * MIB
    wish = np.full((3, 4), np.nan)
    wish[1, :2] = 4 * GIB  # all that host 1 has
    wish[2, :1] = 4 * GIB  # half of it: nothing has to come back
    for _ in range(30):
        tell(engine, local=Command(wish))
        assert engine.member[1, at.CALLED_BACK] <= ClusterParams().home_bytes_s * (1 + 1e-9)
        check_books(engine)
    after = engine.telemetry()
    assert after.lent_bytes[0, 1] == 0
    assert after.lent_bytes[0, 2] >= lent[2]
    np.testing.assert_allclose(engine.hosts.vm[1, host_at.ACTUAL, :2], 4 * GIB)
    assert engine.measured()["called_back_bytes"] == [0]


def test_a_donor_short_of_memory_calls_back_until_enough_is_free(lending, tell, check_books):
    engine = lending()
    tell(engine, (0, 0, BORROW), ticks=1500)
    lent = engine.telemetry().lent_bytes[0, 1]
    wish = np.full((3, 4), np.nan)
    wish[1, 0] = 4 * GIB
    tell(engine, local=Command(wish), ticks=10)
    limits, physical = ClusterParams(), 4 * GIB + lent + 100 * MIB
    assert limits.low_free_frac * physical > 100 * MIB
    engine.member[1, at.PHYSICAL] = physical  # as if it had been so all along
    tell(engine, ticks=30)
    check_books(engine)
    free = physical - engine.telemetry().lent_bytes[0, 1] - 4 * GIB
    assert free == pytest.approx(limits.high_free_frac * physical, rel=0.1)


def test_recalled_pages_come_home_to_the_disk(lending, tell, check_books):
    engine = lending()
    tell(engine, (0, 0, BORROW), ticks=400)
    far = engine.guest[0, at.FAR, 0]
    assert far > 300 * MIB
    swapped = engine.hosts.vm[0, host_at.FOOTPRINT, 0] - engine.hosts.vm[0, host_at.HOT, 0]
    tell(engine, (0, 0, RECALL))
    came = engine.measured()["pulled_bytes"][0]
    write = TIERS["hdd"].write_bytes_s * ClusterParams().write_share
    assert 0 < came <= write * (1 + 1e-9)
    # while they come, the disk has less for others
    assert engine.hosts.world_host[0, host_at.TIER_WRITE] < TIERS["hdd"].write_bytes_s
    tell(engine, ticks=60)
    check_books(engine)
    telemetry = engine.telemetry()
    assert telemetry.far_bytes.sum() == 0
    assert telemetry.lent_bytes.sum() == 0
    assert not telemetry.borrowing.any()
    assert engine.hosts.world_host[0, host_at.TIER_WRITE] == TIERS["hdd"].write_bytes_s
    now = engine.hosts.vm[0, host_at.FOOTPRINT, 0] - engine.hosts.vm[0, host_at.HOT, 0]
    assert now == pytest.approx(swapped, rel=0.05)


def test_a_fixed_pool_is_set_aside_whether_lent_or_not(lending, tell, check_books):
    engine = lending()
    tell(engine, pool=1 * GIB)
    telemetry = engine.telemetry()
    np.testing.assert_allclose(telemetry.pool_bytes, 1 * GIB)
    np.testing.assert_allclose(telemetry.hosts.budget_bytes, 7 * GIB)
    assert engine.measured()["set_aside_byte_s"] == pytest.approx(3 * GIB)
    np.testing.assert_allclose(telemetry.lendable_bytes, 1 * GIB)
    tell(engine, (0, 0, BORROW), ticks=2000, pool=1 * GIB)
    check_books(engine)
    telemetry = engine.telemetry()
    lent = telemetry.lent_bytes[0]
    assert 0 < lent.max() <= 1 * GIB
    np.testing.assert_allclose(telemetry.pool_bytes[0] + lent, 1 * GIB)
    np.testing.assert_allclose(telemetry.hosts.budget_bytes, 7 * GIB)
    tell(engine, ticks=60, pool=0.25 * lent.max())  # a smaller one: the rest comes home
    check_books(engine)
    assert engine.telemetry().lent_bytes.max() <= 0.25 * lent.max() + 1


def test_a_pool_that_is_too_large_takes_only_what_is_free(lending, tell, check_books):
    engine = lending()
    tell(engine, pool=100 * GIB)
    check_books(engine)
    np.testing.assert_allclose(engine.telemetry().pool_bytes[0, 1], 6 * GIB)


def test_a_dead_memory_service_loses_its_pages(lending, tell, check_books):
    engine = lending(memory_service_fails_s=np.array([np.inf, 300.0, np.inf]))
    tell(engine, (0, 0, BORROW), ticks=300)
    check_books(engine)
    far = engine.guest[0, at.FAR, 0]
    lent = engine.telemetry().lent_bytes[0]
    assert lent[1] > 0
    tell(engine)
    check_books(engine)
    telemetry = engine.telemetry()
    assert telemetry.lends.tolist() == [[True, False, True]]
    assert telemetry.lent_bytes[0, 1] == 0
    assert telemetry.lendable_bytes[0, 1] == 0
    assert engine.hosts.outcome[0, host_at.KILLED, 0] == 1
    assert engine.measured()["far_bytes_lost"] == pytest.approx(lent[1])
    assert engine.guest[0, at.FAR, 0] == pytest.approx(far - lent[1], rel=1e-6, abs=1e6)
    tell(engine, ticks=29)
    assert lost(engine) == pytest.approx(29), "it restarts"
    tell(engine, ticks=100)
    assert engine.telemetry().lent_bytes[0, 1] == 0


def test_pages_behind_a_cut_link_are_waited_for(lending, tell, check_books):
    engine = lending(link_cut=np.array([[300.0, 320.0], [np.inf, np.inf], [np.inf, np.inf]]))
    tell(engine, (0, 0, BORROW), ticks=300)
    before = lost(engine) / 300
    far = engine.guest[0, at.FAR, 0]
    tell(engine, ticks=20)
    check_books(engine)
    assert lost(engine) > 19.9
    assert engine.guest[0, at.FAR, 0] == pytest.approx(far, rel=0.01)
    tell(engine, ticks=20)
    assert lost(engine) / 20 <= before + 0.1


def test_a_host_that_lends_nothing_lends_nothing(starved, plain_host, lending, tell):
    """No host has anything free above the watermark, so the order is refused."""
    full = plain_host(2, capacity_bytes=4.2 * GIB)
    engine = lending(hosts=(starved(), full, full))
    assert (engine.telemetry().lendable_bytes[0, 1:] == 0).all()
    tell(engine, (0, 0, BORROW))
    assert engine.measured()["orders_refused"] == [1]
    assert not engine.telemetry().borrowing.any()


def test_a_vm_that_ends_gives_back_what_it_borrowed(lending, tell, check_books):
    stops = np.full((3, 4), np.inf)
    stops[0, 0] = 300.0
    engine = lending(vm_stops_s=stops)
    tell(engine, (0, 0, BORROW), ticks=300)
    assert engine.telemetry().lent_bytes.sum() > 0
    tell(engine)
    check_books(engine)
    assert engine.telemetry().lent_bytes.sum() == 0
    assert engine.telemetry().present.sum() == 2
