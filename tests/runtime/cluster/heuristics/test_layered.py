"""The stack of layers: what each does, what corrections change, and that orders are legal."""

from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.centre.orders import LEAVE, SLEEP, WAKE
from gymbal_runtime.centre.telemetry import ASLEEP, ON, WAKING
from gymbal_runtime.cluster.heuristics import CLUSTER_HEURISTICS, make_cluster_heuristic
from gymbal_runtime.cluster.heuristics.corrections import LayerCorrections
from gymbal_runtime.cluster.heuristics.layered import Layered
from gymbal_runtime.cluster.heuristics.rooms import Rooms, Sizes, clearing
from gymbal_runtime.cluster.orders import BORROW, MIGRATE, PLACE, WAIT, legal
from gymbal_runtime.cluster.telemetry import NOBODY

GIB = 2.0**30


def told(orders, verb):
    """Where the orders with a verb lead: (host, slot, target)."""
    return [
        (int(h), int(v), int(orders.target[0, h, v]))
        for h, v in np.argwhere(orders.verb[0] == verb)
    ]


def decide(record, *earlier, **options):
    rule = make_cluster_heuristic("layered", **options)
    for before in earlier:
        rule.act(before)
    return rule.act(record)


@pytest.fixture
def idle(two_hosts, powered):
    """Three hosts of 8 GiB: two VMs of 1 GiB on the first, one on the second, none on the third."""
    actual = np.full((3, 3), np.nan)
    actual[0, :2] = actual[1, 0] = 1.0 * GIB

    def make(**changes):
        record = two_hosts(
            3, actual_bytes=actual, usable_bytes=0.5 * actual, size_bytes=actual[None],
            memory_max_bytes=np.where(np.isnan(actual), 0.0, 2.0 * GIB),
            room_bytes=np.array([[6.0, 7.0, 8.0]]) * GIB,
        )  # fmt: skip
        return powered(record, **changes)

    return make


class TestConsolidation:
    def test_the_least_used_host_is_emptied_and_empty_ones_sleep(self, idle):
        orders = decide(idle())
        assert told(orders, MIGRATE) == [(1, 0, 0)], "best fit: the host that is fuller"
        assert orders.power[0].tolist() == [LEAVE, SLEEP, SLEEP]

    def test_the_last_host_stays_on(self, idle):
        record = idle(state=np.array([[ASLEEP, ASLEEP, ON]]))
        assert not decide(record).power.any(), "it is empty, and there is no other"

    def test_nobody_is_emptied_whose_vms_do_not_all_fit(self, idle):
        orders = decide(idle(), fill_frac=0.1)
        assert not told(orders, MIGRATE)
        assert orders.power[0, 1] == LEAVE

    def test_a_host_stays_on_for_a_while(self, idle):
        fresh = idle(state_s=np.array([[1e4, 10.0, 10.0]]))
        orders = decide(fresh, least_on_s=300.0)
        assert told(orders, MIGRATE) == [(0, 0, 1), (0, 1, 1)]
        assert orders.power[0].tolist() == [SLEEP, LEAVE, LEAVE]

    def test_a_host_that_drains_goes_on_and_takes_nobody(self, idle):
        orders = decide(idle(draining=np.array([[True, False, False]])))
        assert told(orders, MIGRATE) == [(0, 0, 1), (0, 1, 1)]
        assert orders.power[0].tolist() == [LEAVE, LEAVE, SLEEP]

    def test_a_host_that_drains_stays_on_when_its_vms_fit_nowhere(self, idle):
        orders = decide(idle(draining=np.array([[True, False, False]])), fill_frac=0.1)
        assert orders.power[0, 0] == WAKE

    def test_moves_have_limits(self, idle):
        orders = decide(idle(draining=np.array([[True, False, False]])), clear_moves=1)
        assert len(told(orders, MIGRATE)) == 1

    def test_a_host_is_woken_when_the_others_fill_up(self, idle):
        record = idle(state=np.array([[ON, ASLEEP, ASLEEP]]))
        assert decide(record, fill_frac=0.1, wake_gap=0.0).power[0].tolist().count(WAKE) == 1
        assert not decide(record).power.any()

    def test_but_not_another_one_while_it_wakes(self, idle):
        record = idle(state=np.array([[ON, WAKING, ASLEEP]]))
        assert not decide(record, fill_frac=0.2, wake_gap=0.0).power.any()

    def test_hosts_with_overloads_are_no_targets(self, idle, with_vm):
        record = idle()
        hurt = with_vm(record, 0, 0, psi_some_frac=0.5, swap_in_rate=1e9)
        orders = decide(hurt)
        assert not [move for move in told(orders, MIGRATE) if move[2] == 0]


class TestLayers:
    @pytest.mark.parametrize("name", sorted(CLUSTER_HEURISTICS))
    def test_only_the_last_lets_hosts_sleep(self, idle, name):
        orders = make_cluster_heuristic(name).act(idle())
        assert orders.power.any() == (name == "layered")
        assert bool(told(orders, MIGRATE)) == (name == "layered")

    def test_each_answers_overloads_with_more(self, idle, with_vm):
        record = idle(lendable_bytes=np.full((1, 3), GIB))
        hurt = with_vm(record, 0, 0, psi_some_frac=0.5, swap_in_rate=1e9, swap_used_bytes=9e9)
        verbs = {}
        for name in CLUSTER_HEURISTICS:
            rule = make_cluster_heuristic(name, least_speedup=0.0)
            for seconds in (0.0, 60.0, 600.0):
                clock = np.full(3, seconds)
                now = replace(hurt, hosts=replace(hurt.hosts, time_s=clock))
                orders = rule.act(now)
            verbs[name] = set(orders.verb[orders.verb != WAIT].tolist())
        assert verbs["layered_local"] == set()
        assert verbs["layered_remote"] == {BORROW}
        assert MIGRATE in verbs["layered_migration"]

    def test_an_unknown_layer_is_named(self):
        with pytest.raises(ValueError, match="layers must be one of"):
            Layered(layers="all")

    def test_it_needs_to_know_of_power(self, two_hosts):
        with pytest.raises(TypeError, match="PoweredTelemetry"):
            Layered().act(two_hosts())


class TestPlacing:
    def waiting(self, sizes):
        waiting = np.zeros((1, 3, 3), dtype=bool)
        waiting[0, 2, : len(sizes)] = True
        return waiting

    def record(self, idle, *sizes):
        """The third place is a lobby; who is in its first slot waits longest."""
        base = idle()
        size = base.size_bytes.copy()
        size[0, 2, : len(sizes)] = np.array(sizes) * GIB
        return replace(
            base,
            exists=np.array([[True, True, False]]),
            room_bytes=np.array([[6.0, 7.0, 0.0]]) * GIB,
            waiting=self.waiting(sizes),
            waited_s=np.where(self.waiting(sizes), 100.0 - np.arange(3), 0.0),
            size_bytes=size,
        )

    def test_it_starts_where_least_is_left_over(self, idle):
        orders = decide(self.record(idle, 1.0), layers="local")
        assert told(orders, PLACE) == [(2, 0, 0)]

    def test_one_counts_with_the_other(self, idle):
        orders = decide(self.record(idle, 4.0, 4.0), layers="local")
        assert told(orders, PLACE) == [(2, 0, 0), (2, 1, 1)]

    def test_where_nobody_has_room_within_limits_the_emptiest_takes_it(self, idle):
        orders = decide(self.record(idle, 6.5), layers="local")
        assert told(orders, PLACE) == [(2, 0, 1)]

    def test_who_fits_nowhere_waits_and_wakes_a_host(self, idle):
        record = self.record(idle, 7.5)
        assert not told(decide(record), PLACE)
        room = np.array([[6.0, 0.0, 0.0]]) * GIB
        asleep = replace(record, state=np.array([[ON, ASLEEP, ON]]), room_bytes=room)
        orders = decide(asleep)
        assert orders.power[0].tolist() == [LEAVE, WAKE, LEAVE]

    def test_nobody_starts_on_a_host_that_drains(self, idle):
        record = replace(self.record(idle, 1.0), draining=np.array([[True, False, False]]))
        assert told(decide(record, layers="local"), PLACE) == [(2, 0, 1)]


class TestCorrections:
    def corrected(self, record, **changes):
        none = LayerCorrections.none(*record.exists.shape)
        arrays = {name: np.array([values]) for name, values in changes.items()}
        return Layered().act_corrected(record, replace(none, **arrays))

    def test_none_is_the_stack_to_the_last_bit(self, random_cluster, powered, later):
        for seed in range(5):
            one, other = Layered(), Layered()
            record = random_cluster(seed)
            for step in range(3):
                now = powered(record, seed)
                a = one.act(now)
                b = other.act_corrected(now, LayerCorrections.none(*now.exists.shape))
                again = one.act(now)
                for name in ("verb", "target", "power", "pool_bytes"):
                    np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
                    np.testing.assert_array_equal(getattr(a, name), getattr(again, name))
                record = later(record, seed + 10 * step, 60.0)

    def test_a_host_that_is_kept_is_neither_emptied_nor_put_to_sleep(self, idle):
        orders = self.corrected(idle(), keep=[0.0, 0.6, 0.6])
        assert orders.power[0].tolist() == [SLEEP, LEAVE, LEAVE]
        assert {move[0] for move in told(orders, MIGRATE)} == {0}

    def test_a_host_that_is_called_wakes(self, idle):
        record = idle(state=np.array([[ON, ON, ASLEEP]]))
        assert self.corrected(record, keep=[0.0, 0.0, 0.8]).power[0, 2] == WAKE

    def test_a_host_that_is_avoided_is_the_last_choice(self, idle):
        orders = self.corrected(idle(), keep=[-0.6, 0.0, 0.0])
        assert {move[2] for move in told(orders, MIGRATE)} == {1}

    def test_less_is_filled(self, idle):
        full = self.corrected(idle(), fill=[0.1, 0.1, 0.1])
        assert not told(full, MIGRATE)

    def test_who_hoards_lends_nothing(self, idle):
        pools = self.corrected(idle(), exchange=[-0.6, 0.0, 0.6]).pool_bytes[0]
        assert pools[0] == 0.0
        assert np.isnan(pools[1:]).all()

    def test_haste_makes_overloads_older(self):
        none = LayerCorrections.none(1, 2)
        assert replace(none, haste=np.array([[1.0, -1.0]])).age.tolist() == [[4.0, 0.25]]
        assert none.nothing
        assert not replace(none, haste=np.array([[0.1, 0.0]])).nothing


class TestOrders:
    @pytest.mark.parametrize("seed", range(12))
    def test_every_one_is_legal(self, random_cluster, powered, later, seed):
        rule, record = make_cluster_heuristic("layered"), random_cluster(seed, 6, 5, 4)
        rng = np.random.default_rng(seed)
        for step in range(4):
            now = powered(record, seed + step)
            shape = (*now.exists.shape,)
            corrections = LayerCorrections(
                *(rng.uniform(0.7, 1.3, shape) for _ in range(2)),
                *(rng.uniform(-1.0, 1.0, shape) for _ in range(4)),
            )
            orders = rule.act_corrected(now, corrections)
            orders.check(now.shape)
            placed = orders.verb == PLACE
            assert (placed <= now.waiting).all()
            assert legal(now).of(orders)[~placed].all()
            goals = orders.target[placed]
            rows = np.nonzero(placed)[0]
            assert now.open_hosts[rows, goals].all()
            assert (orders.target[orders.verb == WAIT] == NOBODY).all()
            assert not (orders.power[~now.exists]).any()
            record = later(record, seed + 100 * step, 60.0)

    def test_clusters_do_not_depend_on_each_other(self, random_cluster, powered):
        record = powered(random_cluster(3, 5), 3)
        whole = Layered().act(record)
        for c in range(5):
            alone = Layered().act(record.take_clusters(np.array([c])))
            for name in ("verb", "target", "power"):
                np.testing.assert_array_equal(getattr(alone, name)[0], getattr(whole, name)[c])


class TestRooms:
    def test_what_is_tried_is_not_taken(self):
        rooms = Rooms(
            memory_bytes=np.array([[4.0, 4.0, 4.0]]),
            headroom_bytes=np.array([[4.0, 2.0, 4.0]]),
            cores=np.full((1, 3), 8.0),
            slots=np.full((1, 3), 2),
            capacity_bytes=np.full((1, 3), 8.0),
            avoided=np.zeros((1, 3), dtype=bool),
        )
        each = np.zeros((1, 3, 3))
        each[0, 2] = [1.5, 2.0, 0.0]
        sizes, movable = Sizes(each, each, each), each > 0.0
        goals, complete, tried = clearing(rooms, np.array([0]), np.array([2]), sizes, movable)
        assert goals.tolist() == [[0, 1, -1]], "the larger one fits best where 2 are left"
        assert complete.tolist() == [True]
        assert rooms.headroom_bytes.tolist() == [[4.0, 2.0, 4.0]]
        assert tried.headroom_bytes.tolist() == [[2.5, 0.0, 4.0]]
        rooms.adopt(np.array([0]), tried)
        assert rooms.slots.tolist() == [[1, 1, 2]]
