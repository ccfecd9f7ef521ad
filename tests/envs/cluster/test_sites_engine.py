from dataclasses import replace

import numpy as np
import pytest

from gymbal_envs.demand.synthetic import SyntheticFleet
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.scenarios.sites import SitesConfig, SitesScenarios
from gymbal_envs.scenarios.sites_scenario import Wan
from gymbal_envs.scenarios.sites_toy import plain_sites
from gymbal_envs.simulator.cluster import sites_layout as at
from gymbal_envs.simulator.cluster.migration_layout import NUM_DIRTY, NUM_GROUPS, SIZE, TAU
from gymbal_envs.simulator.cluster.sites_engine import SitesEngine
from gymbal_envs.simulator.cluster.sites_params import SitesParams
from gymbal_envs.simulator.params import Clock, PhysicsParams
from gymbal_runtime.sites.orders import (
    COLD,
    CONTINUE,
    COPY,
    COPY_REDUCED,
    NUM_VERBS,
    REPLICATE,
    STOP,
    SUSPEND,
    THIRTY_ROUNDS,
    SitesOrders,
    legal,
)
from gymbal_runtime.sites.telemetry import (
    ARRIVED,
    AT_SOURCE,
    BULK,
    HAND_OVER,
    LAST_COPY,
    MIRROR,
    PRECOPY,
)

GB = 1e9
OVERHEAD = SitesParams().overhead
HAND_OVER_S = 3 * 0.02 + 0.3


def engine_of(*scenarios, threads=1, tick_s=1.0, params=None):
    physics = PhysicsParams(Clock(tick_s=tick_s))
    first = scenarios[0]
    engine = SitesEngine(
        len(scenarios), first.num_vms, first.num_knots, physics, params, threads
    )  # fmt: skip
    engine.load(range(len(scenarios)), scenarios)
    return engine


def tell(engine, *verbs, rule=0):
    """The same verbs in every world; one value for all VMs if there is only one."""
    told = np.zeros((engine.num_worlds, engine.num_vms), dtype=np.int8) + np.array(verbs, np.int8)
    engine.step(SitesOrders(told, np.full(told.shape, rule, dtype=np.int8)))
    return engine.outcome.copy()


def run_until(engine, phase, most=2000, v=0):
    """Step until VM v is in a phase; the sum of what came out."""
    total = np.zeros_like(engine.outcome)
    for _ in range(most):
        if engine.vm[0, at.PHASE, v] >= phase:
            return total
        total += tell(engine, CONTINUE)
    raise AssertionError(f"phase {phase} was not reached")


def writer(hot=0.2 * GB, tau=1.0, **changes):
    """One VM of 2 GB that writes to ``hot`` bytes of it."""
    dirty = np.zeros((1, NUM_GROUPS, NUM_DIRTY))
    dirty[0, :, TAU] = np.inf
    dirty[0, 0, SIZE], dirty[0, 0, TAU] = hot, tau
    return plain_sites(2 * GB, dirty=dirty, **changes)


@pytest.fixture(scope="module")
def drawn():
    trace = SyntheticFleet().generate(60, 1200, 3)
    return SitesScenarios(trace, SitesConfig(), "train", 0)


def random_orders(telemetry, rng, often=0.2):
    mask = legal(telemetry)
    any_legal = np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=-1)
    return SitesOrders.of(np.where(rng.random(mask.shape[:2]) < often, any_legal, CONTINUE))


class TestOneMove:
    def test_a_cold_move_pauses_for_all_bytes_and_the_hand_over(self):
        engine = engine_of(plain_sites(2 * GB, disk_bytes=3 * GB))
        total = tell(engine, COLD) + run_until(engine, ARRIVED)
        # memory and disk share the line, and the disk is done last
        seconds = 5 * GB * OVERHEAD / 100e6 + HAND_OVER_S
        assert total[0, at.PAUSED, 0] == pytest.approx(seconds, rel=0.02)
        wire = total[0, at.DISK_WIRE, 0] + total[0, at.MEMORY_WIRE, 0]
        assert wire == pytest.approx(5 * GB * OVERHEAD, rel=1e-9)
        assert engine.vm[0, at.SENT, 0] == pytest.approx(wire)
        assert total[0, at.AWAY, 0] == pytest.approx(engine.vm[0, at.ARRIVED_S, 0])
        assert total[0, at.LOST, 0] == 0.0

    def test_a_live_move_of_a_vm_that_writes_nothing_pauses_for_the_hand_over_alone(self):
        engine = engine_of(plain_sites(2 * GB, disk_bytes=3 * GB))
        tell(engine, REPLICATE)
        run_until(engine, MIRROR)
        total = tell(engine, COPY)
        for _ in range(4):
            total += tell(engine, CONTINUE)
        assert engine.vm[0, at.PHASE, 0] == PRECOPY
        total += tell(engine, STOP)
        assert engine.vm[0, at.PHASE, 0] == ARRIVED
        assert total[0, at.PAUSED, 0] == pytest.approx(HAND_OVER_S, abs=1e-6)
        assert total[0, at.MEMORY_WIRE, 0] == pytest.approx(2 * GB * OVERHEAD, rel=1e-6)

    def test_stopping_at_once_pauses_for_the_memory(self):
        engine = engine_of(plain_sites(2 * GB))
        tell(engine, REPLICATE)
        assert engine.vm[0, at.PHASE, 0] == MIRROR
        total = tell(engine, COPY) + tell(engine, STOP) + run_until(engine, ARRIVED)
        left = 2 * GB * OVERHEAD / 100e6 - 10.0
        assert total[0, at.PAUSED, 0] == pytest.approx(left + HAND_OVER_S, rel=1e-3)

    def test_the_last_copy_is_what_telemetry_says_is_left(self):
        engine = engine_of(writer())
        tell(engine, REPLICATE)
        tell(engine, COPY)
        for _ in range(5):
            left = engine.telemetry().memory_left_bytes[0, 0]
            twin = engine_of(writer())
            twin.copy_worlds(engine, np.zeros(1, dtype=np.int64))
            total = tell(twin, STOP) + run_until(twin, ARRIVED)
            seconds = left * OVERHEAD / 100e6 + HAND_OVER_S
            assert total[0, at.PAUSED, 0] == pytest.approx(seconds, rel=1e-6, abs=1e-4)
            tell(engine, CONTINUE)

    def test_residuals_fall_to_what_is_written_all_the_time(self):
        engine = engine_of(writer(hot=0.2 * GB, tau=0.5))
        tell(engine, REPLICATE)
        tell(engine, COPY)
        for _ in range(6):
            tell(engine, CONTINUE)
        seen = engine.telemetry()
        assert seen.round[0, 0] > 3
        assert np.all(seen.residuals[0, 0] < 0.21 * GB)
        assert seen.residuals[0, 0, 0] > 0.1 * GB
        assert not np.isnan(seen.residuals[0, 0]).any()

    def test_xens_rule_stops_after_29_rounds(self):
        engine = engine_of(writer(hot=0.2 * GB, tau=0.5))
        tell(engine, REPLICATE)
        total = tell(engine, COPY, rule=THIRTY_ROUNDS) + run_until(engine, ARRIVED)
        assert engine.telemetry().round[0, 0] == 29
        assert total[0, at.PAUSED, 0] > HAND_OVER_S

    def test_a_quiet_vm_leaves_nothing(self):
        quiet = writer(activity=np.zeros((361, 1), dtype=np.float32))
        engine = engine_of(quiet)
        tell(engine, REPLICATE)
        tell(engine, COPY)
        for _ in range(3):
            tell(engine, CONTINUE)
        total = tell(engine, STOP)
        assert total[0, at.PAUSED, 0] == pytest.approx(HAND_OVER_S, abs=1e-3)


class TestDisk:
    def test_what_is_written_behind_the_copy_is_sent_again(self):
        written = plain_sites(GB, disk_bytes=5 * GB, write_bytes_s=10e6, write_set_bytes=4 * GB)
        engine = engine_of(written)
        total = tell(engine, REPLICATE) + run_until(engine, MIRROR)
        assert total[0, at.DISK_WIRE, 0] > 5 * GB * OVERHEAD
        for _ in range(20):
            tell(engine, CONTINUE)
        assert engine.telemetry().disk_left_bytes[0, 0] < 1e6
        again = tell(engine, CONTINUE)
        assert again[0, at.DISK_WIRE, 0] == pytest.approx(10e6 * 10 * OVERHEAD, rel=0.01)

    def test_a_disk_that_is_written_faster_than_the_line_never_follows(self):
        fast = plain_sites(GB, disk_bytes=5 * GB, write_bytes_s=200e6, write_set_bytes=4 * GB)
        engine = engine_of(fast)
        tell(engine, REPLICATE)
        run_until(engine, MIRROR)
        for _ in range(50):
            tell(engine, CONTINUE)
        assert engine.telemetry().disk_left_bytes[0, 0] > GB

    def test_synchronous_writes_throttle_such_a_vm_and_then_it_follows(self):
        fast = plain_sites(GB, disk_bytes=5 * GB, write_bytes_s=200e6, write_set_bytes=GB)
        engine = engine_of(fast)
        tell(engine, REPLICATE)
        run_until(engine, MIRROR)
        total = tell(engine, COPY)
        for _ in range(30):
            total += tell(engine, CONTINUE)
        assert engine.telemetry().disk_left_bytes[0, 0] < 1e6
        assert total[0, at.LOST_SYNC, 0] > 100.0  # of 310 s
        assert total[0, at.LOST, 0] <= 310.0

    def test_commits_cost_a_round_trip_each(self):
        engine = engine_of(plain_sites(20 * GB, disk_bytes=GB, commit_rate=10.0))
        tell(engine, REPLICATE)
        run_until(engine, MIRROR)
        total = tell(engine, COPY)
        wait = engine.telemetry().commit_s[0]
        assert wait > 0.02  # the line is full
        assert total[0, at.LOST_SYNC, 0] == pytest.approx(10 * (1 - 1 / (1 + 10 * wait)), rel=0.05)

    def test_a_suspended_copy_stands_still_while_writes_pile_up(self):
        engine = engine_of(
            plain_sites(GB, disk_bytes=5 * GB, write_bytes_s=10e6, write_set_bytes=2 * GB)
        )
        tell(engine, REPLICATE)
        run_until(engine, MIRROR)
        for _ in range(20):
            tell(engine, CONTINUE)
        before = engine.telemetry()
        total = tell(engine, SUSPEND)
        after = engine.telemetry()
        assert after.suspended[0, 0]
        assert total[0, at.DISK_WIRE, 0] == 0.0
        assert after.disk_left_bytes[0, 0] - before.disk_left_bytes[0, 0] > 50e6
        tell(engine, REPLICATE)
        assert not engine.telemetry().suspended[0, 0]
        assert engine.telemetry().disk_left_bytes[0, 0] < after.disk_left_bytes[0, 0]

    def test_suspended_precopy_goes_on_where_it_was(self):
        engine = engine_of(writer())
        tell(engine, REPLICATE)
        tell(engine, COPY)
        left = engine.telemetry().memory_left_bytes[0, 0]
        total = tell(engine, SUSPEND)
        assert total[0, at.MEMORY_WIRE, 0] == 0.0
        assert engine.telemetry().memory_left_bytes[0, 0] >= left
        assert engine.vm[0, at.PHASE, 0] == PRECOPY
        assert tell(engine, COPY)[0, at.MEMORY_WIRE, 0] > 0.5e9


class TestReduction:
    @pytest.mark.parametrize("verb", [REPLICATE, COPY_REDUCED])
    def test_it_spares_what_the_other_site_has(self, verb):
        engine = engine_of(
            plain_sites(2 * GB, disk_bytes=3 * GB, memory_redundancy=0.5, disk_redundancy=0.25)
        )
        total = tell(engine, verb) + run_until(engine, MIRROR)
        total += tell(engine, COPY if verb == REPLICATE else COPY_REDUCED)
        for _ in range(4):
            total += tell(engine, CONTINUE)
        total += tell(engine, STOP) + run_until(engine, ARRIVED)
        reduced = verb == COPY_REDUCED
        disk = 3 * GB * OVERHEAD * (0.75 if reduced else 1.0)
        memory = 2 * GB * OVERHEAD * (0.5 if reduced else 1.0)
        assert total[0, at.DISK_WIRE, 0] == pytest.approx(disk, rel=1e-6)
        assert total[0, at.MEMORY_WIRE, 0] == pytest.approx(memory, rel=1e-6)
        assert (total[0, at.LOST_HASH, 0] > 0) == reduced

    def test_it_can_be_switched_in_the_midst_of_a_copy(self):
        engine = engine_of(plain_sites(20 * GB, disk_bytes=0.0, memory_redundancy=0.5))
        tell(engine, REPLICATE)
        plain = tell(engine, COPY)
        reduced = tell(engine, COPY_REDUCED)
        assert engine.telemetry().reduced[0, 0]
        left = engine.telemetry().memory_left_bytes[0, 0]
        again = tell(engine, COPY)
        assert plain[0, at.MEMORY_WIRE, 0] == pytest.approx(1e9)
        assert reduced[0, at.MEMORY_WIRE, 0] == pytest.approx(1e9)
        sent = left - engine.telemetry().memory_left_bytes[0, 0]
        assert sent == pytest.approx(1e9 / OVERHEAD, rel=1e-6)
        assert again[0, at.LOST_HASH, 0] == 0.0

    def test_hashing_limits_the_rate_of_a_fast_line(self):
        fast = Wan(2e9, 0.02, loss=0.0)
        engine = engine_of(plain_sites(50 * GB, wan=fast, disk_bytes=20 * GB, disk_redundancy=0.5))
        total = tell(engine, COPY_REDUCED)
        content = total[0, at.DISK_WIRE, 0] / OVERHEAD / 0.5 / 10.0
        assert content == pytest.approx(SitesParams().hash_bytes_s, rel=1e-6)


class TestTheLine:
    def test_copies_share_it_max_min(self):
        engine = engine_of(plain_sites((2 * GB, 2 * GB), disk_bytes=50 * GB))
        total = tell(engine, REPLICATE)
        np.testing.assert_allclose(total[0, at.DISK_WIRE], 0.5e9, rtol=1e-9)

    def test_others_take_their_part_first(self):
        busy = np.full(361, 0.6, dtype=np.float32)
        engine = engine_of(plain_sites(2 * GB, disk_bytes=50 * GB, background=busy))
        total = tell(engine, REPLICATE)
        assert total[0, at.DISK_WIRE, 0] == pytest.approx(0.4e9, rel=1e-6)
        assert engine.telemetry().wan_free_bytes_s[0] == pytest.approx(40e6, rel=1e-6)

    def test_distance_and_loss_limit_one_copy(self):
        far = Wan(100e6, 0.1, loss=1e-4, connections=4)
        assert far.flow_limit_bytes_s == pytest.approx(4 * 1.22 * 1460 / (0.1 * 0.01), rel=1e-6)
        engine = engine_of(plain_sites(2 * GB, wan=far, disk_bytes=50 * GB))
        total = tell(engine, REPLICATE)
        assert total[0, at.DISK_WIRE, 0] == pytest.approx(10 * far.flow_limit_bytes_s, rel=1e-6)

    def test_after_the_deadline_being_away_counts_as_late(self):
        engine = engine_of(plain_sites(2 * GB, deadline_s=15.5))
        late = [tell(engine, CONTINUE)[0, at.AWAY_LATE, 0] for _ in range(3)]
        assert late == pytest.approx([0.0, 4.5, 10.0])


class TestOrders:
    def test_illegal_orders_are_counted_and_change_nothing(self):
        engine = engine_of(plain_sites(2 * GB, disk_bytes=GB))
        for verb in (COPY, STOP, SUSPEND):
            total = tell(engine, verb)
            assert total[0, at.REFUSED, 0] == 1.0
            assert engine.vm[0, at.PHASE, 0] == AT_SOURCE

    def test_legal_orders_are_never_refused(self, drawn):
        engine = engine_of(*(drawn(i) for i in range(16)))
        rng = np.random.default_rng(0)
        for _ in range(300):
            engine.step(random_orders(engine.telemetry(), rng))
            assert engine.outcome[:, at.REFUSED].sum() == 0.0

    @pytest.mark.slow
    def test_no_order_is_refused_in_a_million_random_masked_steps(self, drawn):
        engine = engine_of(*(drawn(i) for i in range(256)))
        rng = np.random.default_rng(1)
        for _ in range(500):
            telemetry = engine.telemetry()
            assert legal(telemetry).any(axis=-1).all()
            engine.step(random_orders(telemetry, rng, often=0.05))
            assert engine.outcome[:, at.REFUSED].sum() == 0.0

    @pytest.mark.parametrize("phase", [LAST_COPY, HAND_OVER, ARRIVED])
    def test_a_paused_or_arrived_vm_can_only_go_on(self, phase):
        engine = engine_of(plain_sites(2 * GB))
        engine.vm[0, at.PHASE, 0] = phase
        assert legal(engine.telemetry())[0, 0].tolist() == [True] + [False] * (NUM_VERBS - 1)

    def test_orders_of_another_shape_are_refused(self):
        engine = engine_of(plain_sites(2 * GB))
        with pytest.raises(ValueError, match="orders are for"):
            engine.step(SitesOrders.none(1, 3))
        with pytest.raises(ValueError, match="verb is not one of"):
            engine.step(SitesOrders.of(np.array([[9]])))


class TestWorlds:
    def test_a_world_does_not_depend_on_its_batch_or_on_threads(self, drawn):
        scenarios = [drawn(i) for i in range(130)]
        many = engine_of(*scenarios, threads=2)
        alone = engine_of(scenarios[77])
        rng = np.random.default_rng(2)
        for _ in range(100):
            orders = random_orders(many.telemetry(), rng)
            many.step(orders)
            alone.step(SitesOrders(orders.verb[77:78], orders.stop_rule[77:78]))
            for table in ("vm", "move", "link", "outcome", "streams"):
                np.testing.assert_array_equal(
                    getattr(many, table)[77], getattr(alone, table)[0], err_msg=table
                )

    def test_a_copy_lives_through_the_same(self, drawn):
        engine = engine_of(*(drawn(i) for i in range(4)))
        rng = np.random.default_rng(3)
        for _ in range(60):
            engine.step(random_orders(engine.telemetry(), rng))
        origin = np.array([3, 1, 1])
        twin = SitesEngine(3, engine.num_vms, engine.num_knots)
        twin.copy_worlds(engine, origin)
        for name in ("memory_left_bytes", "rate_bytes_s", "dirty_bytes_s"):
            np.testing.assert_array_equal(
                getattr(engine.telemetry(), name)[origin], getattr(twin.telemetry(), name)
            )
        for _ in range(60):
            orders = random_orders(engine.telemetry(), rng)
            engine.step(orders)
            twin.step(SitesOrders(orders.verb[origin], orders.stop_rule[origin]))
        for table in ("vm", "move", "link", "outcome", "streams"):
            np.testing.assert_array_equal(getattr(engine, table)[origin], getattr(twin, table))

    def test_finer_ticks_change_little(self):
        vm = writer(disk_bytes=3 * GB, write_bytes_s=5e6, write_set_bytes=GB, commit_rate=2.0)
        found = []
        for tick_s in (1.0, 0.25):
            engine = engine_of(vm, tick_s=tick_s)
            total = tell(engine, REPLICATE) + run_until(engine, MIRROR) + tell(engine, COPY)
            for _ in range(8):
                total += tell(engine, CONTINUE)
            total += tell(engine, STOP) + run_until(engine, ARRIVED)
            rows = (at.PAUSED, at.LOST, at.DISK_WIRE, at.MEMORY_WIRE)
            found.append([total[0, row, 0] for row in rows])
        np.testing.assert_allclose(found[0], found[1], rtol=0.03)

    def test_time_adds_up(self, drawn):
        engine = engine_of(*(drawn(i) for i in range(8)))
        rng = np.random.default_rng(4)
        total = np.zeros_like(engine.outcome)
        for _ in range(720):
            engine.step(random_orders(engine.telemetry(), rng, often=0.02))
            outcome = engine.outcome
            assert (outcome >= 0).all()
            assert (outcome[:, at.PAUSED] + outcome[:, at.LOST] <= 10 + 1e-9).all()
            assert (outcome[:, at.AWAY] <= 10 + 1e-9).all()
            parts = outcome[:, [at.LOST_SYNC, at.LOST_COPY, at.LOST_HASH]].sum(axis=1)
            np.testing.assert_allclose(parts, outcome[:, at.LOST], atol=1e-9)
            wire = outcome[:, at.DISK_WIRE] + outcome[:, at.MEMORY_WIRE]
            assert (wire.sum(axis=1) <= engine.world[:, at.WAN] * 10 * (1 + 1e-9)).all()
            total += outcome
        arrived = (engine.vm[:, at.PHASE] == ARRIVED) & (engine.world_vm[:, at.PRESENT] > 0)
        assert arrived.any()
        np.testing.assert_allclose(
            total[:, at.AWAY][arrived], engine.vm[:, at.ARRIVED_S][arrived], rtol=1e-9
        )
        assert (total[:, at.PAUSED][arrived] > 0.3).all()
        np.testing.assert_allclose(
            (total[:, at.DISK_WIRE] + total[:, at.MEMORY_WIRE]), engine.vm[:, at.SENT], rtol=1e-9
        )

    def test_absent_slots_stay_empty(self, drawn):
        engine = engine_of(*(drawn(i) for i in range(8)))
        absent = engine.world_vm[:, at.PRESENT] == 0
        assert absent.any()
        for verb in range(NUM_VERBS):
            tell(engine, verb)
        assert (engine.vm[:, at.SENT][absent] == 0).all()
        assert legal(engine.telemetry())[absent].sum() == absent.sum()

    def test_scenarios_that_do_not_fit_are_refused(self):
        engine = SitesEngine(1, 1, 100)
        with pytest.raises(ScenarioError, match="do not fit"):
            engine.load([0], [plain_sites(GB)])
        with pytest.raises(ScenarioError, match="s apart"):
            SitesEngine(1, 1, 361, PhysicsParams(knot_s=5.0)).load([0], [plain_sites(GB)])

    def test_phases_in_bulk_are_what_they_say(self):
        engine = engine_of(plain_sites(GB, disk_bytes=50 * GB))
        tell(engine, REPLICATE)
        assert engine.vm[0, at.PHASE, 0] == BULK
        seen = engine.telemetry()
        assert seen.disk_new_bytes[0, 0] == pytest.approx(50 * GB - 1e9 / OVERHEAD)
        assert seen.move_s[0, 0] == 10.0
        assert seen.phase_s[0, 0] == 10.0


def test_params_that_make_no_sense_are_refused():
    for wrong in ({"overhead": 0.0}, {"resync_share": 1.0}, {"copy_tax": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            replace(SitesParams(), **wrong)
