"""What must hold after every tick, whatever centres are told."""

import numpy as np
import pytest

from gymbal_envs.demand.synthetic import SyntheticFleet
from gymbal_envs.scenarios.centre import CentreScenarios
from gymbal_envs.scenarios.centre_config import Arrivals, CentreConfig
from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.centre.engine import CentreEngine
from gymbal_envs.simulator.cluster import migration_layout as mig
from gymbal_runtime.centre.orders import CentreOrders
from gymbal_runtime.centre.telemetry import NOWHERE, ON

CENTRES, HOSTS, ROUNDING = 3, 6, 1e-6
CONFIG = CentreConfig(
    num_hosts=(3, HOSTS),
    max_hosts=HOSTS,
    vms_per_host=(2.0, 4.0),
    memory_load=1.0,
    mean_use=(0.3, 0.5),
    rules=("qemu", "qemu_auto_converge", "xen_modern", "postcopy", "hybrid", "stop_and_copy"),
    arrivals=Arrivals(stay_s=(600.0, 20000.0)),
    episode_s=14400.0,
)

CAUSES = ("cache", "io", "waking")


@pytest.fixture(scope="module")
def source():
    return CentreScenarios(SyntheticFleet().generate(60, 1200, 3), CONFIG, "train", 1)


def random_orders(engine, rng, busy):
    """Few orders or many, any target and any verb; half of the wild ones are withdrawn."""
    orders = CentreOrders.none(engine.num_centres, engine.num_hosts, engine.num_vms)
    shape, hosts = orders.target.shape, orders.power.shape
    told = rng.random(shape) < busy
    orders.target[told] = rng.integers(NOWHERE, engine.num_hosts, shape)[told]
    full = engine.telemetry()
    target = np.maximum(orders.target, 0)
    on = np.take_along_axis(full.running, target, axis=1)
    orders.target[~on & (rng.random(shape) < 0.7)] = NOWHERE
    orders.power[:] = np.where(rng.random(hosts) < 0.5 * busy, rng.integers(0, 3, hosts), 0)
    return orders


def check(engine, before_j, dt):
    check_places(engine)
    check_moves(engine)
    check_work(engine, dt)
    check_energy(engine, before_j, dt)


def check_places(engine):
    """Every VM that is here is on one host, which is on, or on none; memory adds up and fits."""
    vm, host = engine.vm, engine.host
    here = vm[:, at.HERE] > 0
    where, target, source = (vm[:, row].astype(int) for row in (at.HOST, at.TARGET, at.SOURCE))
    assert (where[~here] == NOWHERE).all()
    assert (where < engine.num_hosts).all()
    memory = engine.world_vm[:, at.VM_MEMORY]
    held, residents = np.zeros_like(host[:, 0]), np.zeros_like(host[:, 0])
    for c, v in np.argwhere(where >= 0):
        assert host[c, at.STATE, where[c, v]] == ON
        assert engine.world_host[c, at.EXISTS, where[c, v]] == 1
        residents[c, where[c, v]] += 1
        for h in {where[c, v], target[c, v], source[c, v]} - {NOWHERE}:
            held[c, h] += memory[c, v]
    np.testing.assert_array_equal(host[:, at.RESIDENTS], residents)
    np.testing.assert_array_equal(host[:, at.HELD], held)
    assert (held <= engine.world_host[:, at.MEMORY]).all()


def check_moves(engine):
    """A move has two hosts that are on; nobody sends or gets more than a port carries."""
    vm, phase = engine.vm, engine.move[..., mig.PHASE]
    moving = vm[:, at.TARGET] >= 0
    assert (moving == (vm[:, at.SOURCE] >= 0)).all()
    assert (moving == (phase != mig.IDLE)).all()
    busy = np.zeros_like(engine.host[:, 0])
    for c, v in np.argwhere(moving):
        for row in (at.SOURCE, at.TARGET):
            h = int(vm[c, row, v])
            busy[c, h] += 1
            assert engine.host[c, at.STATE, h] == ON
    np.testing.assert_array_equal(engine.host[:, at.BUSY_MOVES], busy)


def check_work(engine, dt):
    """Nobody gets more than it wants; hosts give no more than they have; losses have causes."""
    vm, out, fixed = engine.vm, engine.outcome, engine.world_host
    parts = [out[:, row] for row in (at.GOT_WORK, at.LOST_WAITING, at.LOST_MOVING)]
    assert (np.sum(parts, axis=0) <= out[:, at.WANTED_WORK] + ROUNDING).all()
    assert all((part >= 0).all() for part in parts)
    assert (vm[:, at.RAN] >= 0).all()
    assert (vm[:, at.RAN] <= 1).all()
    assert (engine.host[:, at.USED] <= fixed[:, at.CPU] * (1 + 1e-12)).all()
    got = out[:, at.GOT_WORK].sum(axis=1) + engine.host_outcome[:, at.COPY_WORK].sum(axis=1)
    np.testing.assert_allclose(engine.host_outcome[:, at.USED_WORK].sum(axis=1), got, atol=1e-6)
    for row in (at.SENT, at.RECEIVED):
        carried = engine.host_outcome[:, row]
        assert (carried <= fixed[:, at.NIC] * dt * (1 + 1e-9)).all()
        np.testing.assert_allclose(
            carried.sum(axis=1), out[:, at.MOVE_BYTES].sum(axis=1), rtol=1e-9
        )


def check_energy(engine, before_j, dt):
    """The energy of a host is the integral of its watts, and every second is in one state."""
    out = engine.host_outcome
    joules = out[:, at.ENERGY : at.ENERGY + at.NUM_STATES].sum(axis=1)
    np.testing.assert_allclose(joules, engine.host[:, at.WATTS] * dt, rtol=1e-9, atol=1e-9)
    seconds = out[:, at.STATE_TIME : at.STATE_TIME + at.NUM_STATES].sum(axis=1)
    exists = engine.world_host[:, at.EXISTS] > 0
    np.testing.assert_allclose(seconds[exists], dt)
    assert (seconds[~exists] == 0).all()
    assert (out[:, at.FULL_S] <= out[:, at.ACTIVE_S]).all()
    assert (out[:, at.ACTIVE_S] <= out[:, at.STATE_TIME + ON] + 1e-9).all()
    before_j += joules


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("busy", [0.02, 0.3])
def test_books_balance_after_every_tick(source, seed, busy):
    rng = np.random.default_rng(seed)
    engine = CentreEngine(CENTRES, HOSTS, CONFIG.max_vms, CONFIG.num_knots)
    engine.load(range(CENTRES), [source(seed * CENTRES + c) for c in range(CENTRES)])
    total = np.zeros((CENTRES, HOSTS))
    counts = np.zeros(3)
    for tick in range(300):
        orders = CentreOrders.none(CENTRES, HOSTS, CONFIG.max_vms)
        if tick % 5 == 0:
            orders = random_orders(engine, rng, busy)
        engine.step(orders, 1)
        check(engine, total, 10.0)
        names = ("moves_begun", "moves_finished", "moves_failed")
        counts += [engine.measured([name])[name].sum() for name in names]
    under_way = (engine.vm[:, at.TARGET] >= 0).sum()
    assert counts[0] == counts[1] + counts[2] + under_way
    assert counts[1] > 0
    assert (total > 0).any()


def test_random_orders_reach_every_corner(source):
    rng = np.random.default_rng(0)
    engine = CentreEngine(CENTRES, HOSTS, CONFIG.max_vms, CONFIG.num_knots)
    engine.load(range(CENTRES), [source(c) for c in range(CENTRES)])
    seen = dict.fromkeys(engine.measured(), 0.0)
    for _ in range(48):
        engine.step(random_orders(engine, rng, 0.2))
        for name, value in engine.measured().items():
            seen[name] += value.sum()
    # Without programs VMs share nothing but CPU time.
    alone = {f"lost_{cause}_mips_s" for cause in CAUSES} | {f"{cause}_weight" for cause in CAUSES}
    never = {name for name, value in seen.items() if value == 0.0} - alone
    assert never <= {"moves_failed"}  # a VM would have to leave within its ten seconds of move
