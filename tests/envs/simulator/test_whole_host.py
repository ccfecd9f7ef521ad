"""All parts of a host together: conservation, determinism, phases, and what stays as it was."""

import os
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.params import MIB, Clock, PhysicsParams, SensorParams
from gymbal_runtime.command import FIELDS, Command

STATE = ("vm", "host", "active", "pending", "visible", "outcome", "streams")
NUM_WORLDS, NUM_STEPS, TICKS = 130, 5, 7
PARAMS = PhysicsParams(sensors=SensorParams(trap_s=2e-6))
CACHE = ("llc_bytes", "llc_units", "llc_class", "llc_occupancy_bytes", "llc_miss_rate",
         "instruction_rate", "stall_frac", "memory_bandwidth_bytes_s")  # fmt: skip
ANYWAY = ("host_cores", "cpu_weight", "walk_frac", "wakeup_delay_s", "monitor_level")
DEVICES = ("passthrough_slots", "io_rate_bytes_s", "io_wait_frac", "device_mode")


@pytest.fixture(scope="module", name="worlds")
def _worlds(random_scenario, random_resources):
    """Hosts with everything; every fifth has memory and CPU time only."""
    return [
        random_scenario(seed, resources=random_resources(seed) if seed % 5 else None)
        for seed in range(NUM_WORLDS)
    ]


@pytest.fixture(scope="module", name="commands")
def _commands(worlds, engine_of, random_command):
    engine, rng = engine_of(worlds, PARAMS), np.random.default_rng(0)
    return [random_command(engine, rng) for _ in range(NUM_STEPS)]


@pytest.fixture(scope="module", name="together")
def _together(worlds, commands, engine_of):
    engine = engine_of(worlds, PARAMS)
    for command in commands:
        engine.step(command, TICKS)
    return engine


def of_worlds(command, index):
    return Command(**{name: getattr(command, name)[index] for name in FIELDS})


def assert_same_bytes(engine, reference, worlds):
    for table in STATE:
        expected = getattr(reference, table)[worlds]
        assert getattr(engine, table).tobytes() == expected.tobytes(), table


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_nothing_is_handed_out_twice(
    random_scenario, random_resources, engine_of, random_command, seed
):
    rng = np.random.default_rng(seed)
    drawn = [int(s) for s in rng.integers(2**32, size=16)]
    engine = engine_of([random_scenario(s, resources=random_resources(s)) for s in drawn], PARAMS)
    for _ in range(25):
        engine.step(random_command(engine, rng), int(rng.integers(1, 4)))
        vm, host, state = engine.vm, engine.world_host, engine.host
        assert np.isfinite(vm).all()
        assert np.isfinite(engine.outcome).all()
        assert np.all(vm[:, at.OCCUPANCY : at.IO_RATE + 1] >= 0)
        assert np.all(vm[:, at.OCCUPANCY].sum(axis=1) <= host[:, at.LLC_BYTES] * (1 + 1e-12))
        assert np.all(vm[:, at.ENTITLED].sum(axis=1) <= host[:, at.LLC_UNITS] * (1 + 1e-12))
        assert np.all(vm[:, at.IO_RATE].sum(axis=1) <= host[:, at.DEVICE_BANDWIDTH] * (1 + 1e-9))
        assert np.all(vm[:, at.DEVICE_MODE].sum(axis=1) <= host[:, at.DEVICE_SLOTS])
        cores = np.maximum(host[:, at.CPU_CAPACITY] - state[:, at.IO_TAX], 0)
        assert np.all(vm[:, at.GRANTED_CORES].sum(axis=1) <= cores * (1 + 1e-9))
        assert np.all(vm[:, at.GRANTED_CORES] >= 0)
        speeds = vm[:, at.CACHE_SPEED : at.WAKE_SPEED + 1]
        assert np.all((speeds >= 0) & (speeds <= 1))
        ticks = engine.outcome[:, at.LOST]
        assert np.all((ticks >= -1e-12) & (ticks <= 3 + 1e-9))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_parts_in_force_add_up_to_what_was_told(
    plain_scenario, plain_resources, engine_of, random_command, seed
):
    """Ways at once; page colours as soon as all pages have moved."""
    rng = np.random.default_rng(seed)
    hosts = [plain_scenario(5, resources=plain_resources(5, llc_recolours=k)) for k in (0, 1)]
    engine = engine_of(hosts, PARAMS)
    for _ in range(4):
        engine.step(random_command(engine, rng), 40)
        for w in range(2):
            vm = engine.vm[w]
            assert not vm[at.PAGES_LEFT].any()
            _, first = np.unique(vm[at.LLC_CLASS], return_index=True)
            told = vm[at.UNITS, first].sum()
            assert vm[at.ENTITLED].sum() == pytest.approx(told, rel=1e-12)
            assert told <= 16


@pytest.mark.parametrize("world", [0, 1, 77, NUM_WORLDS - 1])
def test_a_world_alone_gives_the_same_bytes(worlds, commands, together, engine_of, world):
    alone = engine_of([worlds[world]], PARAMS)
    for command in commands:
        alone.step(of_worlds(command, [world]), TICKS)
    assert_same_bytes(alone, together, [world])


def test_two_threads_give_the_same_bytes(worlds, commands, together, engine_of):
    threaded = engine_of(worlds, PARAMS, num_threads=2)
    assert threaded.work.num_threads == 2
    for command in commands:
        threaded.step(command, TICKS)
    assert_same_bytes(threaded, together, slice(None))


def test_a_used_world_starts_anew_like_a_fresh_one(worlds, commands, together, engine_of):
    used = engine_of(worlds, PARAMS)
    used.step(commands[0], 30)
    used.load(range(NUM_WORLDS), worlds)
    for command in commands:
        used.step(command, TICKS)
    for table in set(STATE) - {"active"}:  # a world without a cache does not look at it
        expected = getattr(together, table)
        assert getattr(used, table).tobytes() == expected.tobytes(), table


def test_twins_meet_the_same_future(worlds, commands, engine_of):
    engine = engine_of(worlds[:6], PARAMS)
    twins = engine_of(worlds[6:12], PARAMS)
    for command in commands[:2]:
        engine.step(of_worlds(command, slice(6)), TICKS)
    twins.copy_worlds(engine, np.arange(6))
    for one in (engine, twins):
        one.step(of_worlds(commands[2], slice(6)), TICKS)
    assert_same_bytes(twins, engine, slice(None))


PURE_PYTHON = """
import pickle, sys
import numpy as np
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.simulator.transition import transition
from gymbal_runtime.command import Command
assert not hasattr(transition, "py_func"), "compiled after all"
with open(sys.argv[1], "rb") as file:
    worlds, commands, params, ticks, names = pickle.load(file)
engine = Engine(len(worlds), 6, worlds[0].num_knots, params)
engine.load(range(len(worlds)), worlds)
for command in commands:
    engine.step(Command(**command), ticks)
np.savez(sys.argv[2], **{name: getattr(engine, name) for name in names})
"""


def test_every_kernel_equals_its_python_form_to_the_last_bit(worlds, commands, engine_of, tmp_path):
    count, packed, result = 8, tmp_path / "worlds.pkl", tmp_path / "state.npz"
    told = [{n: getattr(c, n)[:count] for n in FIELDS} for c in commands[:3]]
    packed.write_bytes(pickle.dumps((worlds[:count], told, PARAMS, TICKS, STATE)))
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PURE_PYTHON, str(packed), str(result)],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        check=True,
    )
    compiled = engine_of(worlds[:count], PARAMS)
    for command in commands[:3]:
        compiled.step(of_worlds(command, slice(count)), TICKS)
    interpreted = np.load(result)
    for table in STATE:
        np.testing.assert_array_equal(interpreted[table], getattr(compiled, table), err_msg=table)


def test_a_host_whose_parts_are_off_lives_as_if_they_did_not_exist(
    random_scenario, random_resources, engine_of, random_targets
):
    """Memory and CPU time are the same to the last bit, whatever the rest is told."""
    off = {"llc_bytes": 0.0, "device_bytes_s": 0.0, "cpu_slice_s": 0.0, "cap_cores": np.full(6, 99)}
    plain = [random_scenario(seed) for seed in range(40)]
    with_off = [replace(s, resources=random_resources(k, **off)) for k, s in enumerate(plain)]
    engines, rng = [engine_of(plain), engine_of(with_off)], np.random.default_rng(0)
    # sensors of the rest would draw from the same stream
    for _ in range(10):
        targets = random_targets(engines[0], rng)
        for engine in engines:
            engine.step(Command(targets, llc_class=targets * 0, llc_units=targets * 0 + 1), 4)
    rows = slice(0, at.SUM_IN)
    quiet = [q for q in range(at.SUM_IN) if q not in (at.SLOW_ACTIVE, at.FAST_ACTIVE)]
    np.testing.assert_array_equal(
        engines[0].vm[:, rows][:, quiet], engines[1].vm[:, rows][:, quiet]
    )
    np.testing.assert_array_equal(
        engines[0].outcome[:, : at.LOST_CACHE], engines[1].outcome[:, : at.LOST_CACHE]
    )


def test_a_host_without_the_rest_reports_none_of_it(plain_scenario, plain_resources, engine_of):
    whole = plain_resources(2)
    engine = engine_of(
        [
            plain_scenario(),
            plain_scenario(resources=whole),
            plain_scenario(resources=replace(whole, llc_bytes=0.0)),
            plain_scenario(resources=replace(whole, device_bytes_s=0.0)),
        ]
    )
    engine.step(Command.no_change(4, 2), 12)
    seen = engine.telemetry()
    there = (
        (CACHE, [False, True, False, True]),
        (DEVICES, [False, True, True, False]),
        (ANYWAY, [False, True, True, True]),
    )
    for names, hosts in there:
        for name in names:
            values = getattr(seen, name).reshape(4, -1)
            assert np.isfinite(values).all(axis=1).tolist() == hosts, name
            assert np.isnan(values).all(axis=1).tolist() == [not here for here in hosts], name


def test_a_weight_counts_at_once_and_nonsense_does_not(plain_scenario, plain_resources, engine_of):
    scenario = plain_scenario(4, resources=plain_resources(4), cores=2.0, cpu_cores=5.0)
    engine = engine_of([scenario])
    told = np.array([[2.0, np.nan, np.inf, -1.0]])
    engine.step(Command(np.full((1, 4), np.nan), cpu_weight=told), 1)
    assert engine.vm[0, at.WEIGHT].tolist() == [2.0, 1.0, 1.0, 1.0]
    np.testing.assert_allclose(engine.vm[0, at.GRANTED_CORES], [2.0, 1.0, 1.0, 1.0])
    assert engine.telemetry().cpu_weight[0].tolist() == [2.0, 1.0, 1.0, 1.0]


def test_a_phase_begins_at_its_knot(plain_scenario, plain_resources, engine_of):
    """Also where a tick is no exact binary fraction."""
    phase = np.array([0, 1, 1, 2, 0, 0, 0])[:, None]
    params = replace(PARAMS, clock=Clock(tick_s=0.1))
    resources = plain_resources(1, phase=phase, cpi_base=[[0.5, 1.0, 2.0]])
    engine = engine_of([plain_scenario(1, resources=resources)], params)
    begun = []
    for tick in range(1, 601):
        before = engine.active[0, 0, at.CPI_BASE]
        engine.step(Command.no_change(1, 1), 1)
        if engine.active[0, 0, at.CPI_BASE] != before:
            begun.append((tick, engine.active[0, 0, at.CPI_BASE]))
    assert begun == [(100, 1.0), (300, 2.0), (400, 0.5)]


def test_an_episode_starts_with_the_cache_shared_for_long(
    plain_scenario, plain_resources, engine_of
):
    curves = np.stack([np.full(at.NUM_LLC_SEGMENTS + 1, m) for m in (0.02, 0.005)])[:, None]
    resources = plain_resources(2, mpi=np.repeat(curves, at.NUM_PHASES, axis=1))
    engine = engine_of([plain_scenario(resources=resources)])
    vm = engine.vm[0]
    filling = vm[at.RATE] * vm[at.MPI]
    np.testing.assert_allclose(vm[at.OCCUPANCY], 16 * MIB * filling / filling.sum(), rtol=1e-3)
    before = vm.copy()
    engine.step(Command.no_change(1, 2), 5)
    for row in (at.OCCUPANCY, at.RATE, at.MPI, at.CPI):
        np.testing.assert_allclose(vm[row], before[row], rtol=1e-3)


def test_a_killed_program_stands_still_and_comes_back(plain_scenario, plain_resources, engine_of):
    scenario = plain_scenario(2, resources=plain_resources(2), unswappable_frac=[0.9, 0.02])
    scenario = replace(scenario, initial_bytes=np.full(2, 0.5 * scenario.initial_bytes[0]))
    engine = engine_of([scenario])
    engine.step(Command.no_change(1, 2), 2)
    assert engine.vm[0, at.STALL_S, 0] > 0
    engine.step(Command.no_change(1, 2), 2)
    assert engine.vm[0, at.RATE, 0] == 0.0
    assert engine.vm[0, at.RATE, 1] > 0
    assert np.isfinite(engine.vm).all()
    assert engine.outcome[0, at.LOST, 0] == pytest.approx(2.0)
    assert engine.vm[0, at.OCCUPANCY, 1] > 15 * MIB  # its lines are the other's now


def test_caps_on_cpu_time_are_not_simulated(plain_scenario, plain_resources, engine_of):
    scenario = plain_scenario(2, resources=plain_resources(2), cores=2.0, cpu_cores=2.0)
    left, told = (engine_of([scenario]) for _ in range(2))
    left.step(Command.no_change(1, 2), 12)
    told.step(Command(np.full((1, 2), np.nan), cpu_cap_cores=np.full((1, 2), 0.1)), 12)
    assert_same_bytes(told, left, [0])
    assert np.isnan(told.telemetry().cpu_cap_cores).all()


@pytest.mark.parametrize("field", ["llc_units", "cpu_weight", "device_mode", "monitor_level"])
def test_what_is_not_there_cannot_be_commanded(plain_scenario, engine_of, field):
    """A host of memory and CPU time alone ignores the rest of a command."""
    left, told = (engine_of([plain_scenario(monitor=1.0)]) for _ in range(2))
    ones = np.ones((1, 2))
    said = {field: ones * 2} | ({"llc_class": ones} if field == "llc_units" else {})
    left.step(Command.no_change(1, 2), 12)
    told.step(Command(np.full((1, 2), np.nan), **said), 12)
    assert_same_bytes(told, left, [0])
