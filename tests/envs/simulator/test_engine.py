"""The batched engine: the same bytes however worlds are batched, threaded or compiled."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.simulator.params import GIB
from gymbal_runtime.command import Command

STATE = ("vm", "host", "pending", "visible", "outcome", "streams")
NUM_WORLDS, NUM_STEPS, TICKS = 192, 6, 10


@pytest.fixture(scope="module")
def scenarios(random_scenario):
    return [random_scenario(seed) for seed in range(NUM_WORLDS)]


@pytest.fixture(scope="module")
def commands(scenarios):
    """What each world is told, drawn per world, so that it does not depend on the batch."""
    told = np.full((NUM_STEPS, NUM_WORLDS, 6), np.nan)
    for w, scenario in enumerate(scenarios):
        rng = np.random.default_rng(w)
        drawn = rng.uniform(0, 1.2, (NUM_STEPS, 6)) * scenario.memory_max_bytes
        told[:, w] = np.where(rng.random((NUM_STEPS, 6)) < 0.5, drawn, np.nan)
    return told


@pytest.fixture(scope="module")
def together(scenarios, commands, engine_of):
    engine = engine_of(scenarios)
    for targets in commands:
        engine.step(Command(targets), TICKS)
    return engine


def assert_same_bytes(engine, reference, worlds=None):
    for table in STATE:
        expected = getattr(reference, table)
        expected = expected if worlds is None else expected[worlds]
        assert getattr(engine, table).tobytes() == expected.tobytes(), table


def test_two_threads_give_the_same_bytes(scenarios, commands, together, engine_of):
    threaded = engine_of(scenarios, num_threads=2)
    assert threaded.work.num_threads == 2
    for targets in commands:
        threaded.step(Command(targets), TICKS)
    assert_same_bytes(threaded, together)


@pytest.mark.parametrize("world", [0, 77, NUM_WORLDS - 1])
def test_a_world_alone_gives_the_same_bytes(scenarios, commands, together, engine_of, world):
    alone = engine_of([scenarios[world]])
    for targets in commands:
        alone.step(Command(targets[world : world + 1]), TICKS)
    assert_same_bytes(alone, together, [world])


def test_another_order_and_another_batch_give_the_same_bytes(
    scenarios, commands, together, engine_of
):
    order = np.random.default_rng(0).permutation(NUM_WORLDS)[:50]
    shuffled = engine_of([scenarios[w] for w in order])
    for targets in commands:
        shuffled.step(Command(targets[order]), TICKS)
    assert_same_bytes(shuffled, together, order)


def test_many_short_steps_are_one_long_step(scenarios, commands, together, engine_of):
    engine = engine_of(scenarios)
    for targets in commands:
        engine.step(Command(targets), 1)
        for _ in range(TICKS - 1):
            engine.step(Command.no_change(NUM_WORLDS, 6), 1)
    for table in ("vm", "host", "visible", "streams"):
        assert getattr(engine, table).tobytes() == getattr(together, table).tobytes()


def test_a_batch_of_512_is_512_single_worlds(random_scenario, engine_of):
    scenarios = [random_scenario(seed, num_vms=3) for seed in range(512)]
    batch = engine_of(scenarios, num_threads=2)
    batch.step(Command.no_change(512, 3))
    for world in range(0, 512, 37):
        alone = engine_of([scenarios[world]])
        alone.step(Command.no_change(1, 3))
        assert_same_bytes(alone, batch, [world])


def test_a_used_world_starts_anew_like_a_fresh_one(scenarios, together, engine_of):
    used = engine_of(scenarios[:3])
    used.step(Command(np.full((3, 6), 1 * GIB)), 50)
    used.load([1], [scenarios[100]])
    fresh = engine_of([scenarios[100]])
    used.step(Command.no_change(3, 6))
    fresh.step(Command.no_change(1, 6))
    for table in STATE:
        assert getattr(used, table)[1].tobytes() == getattr(fresh, table)[0].tobytes(), table


def test_a_twin_lives_the_same_life(scenarios, commands, together):
    origin = np.array([5, 5, 190])
    twins = Engine(3, together.num_vms, together.num_knots)
    twins.copy_worlds(together, origin)
    before = together.vm.copy()
    told = commands[0][origin]
    twins.step(Command(told), 30)
    assert together.vm.tobytes() == before.tobytes()  # the original is not touched
    again = Engine(1, together.num_vms, together.num_knots)
    again.copy_worlds(together, origin[1:2])
    again.step(Command(told[:1]), 30)
    for table in STATE:
        twin, other, single = (getattr(twins, table)[0], getattr(twins, table)[1], None)
        single = getattr(again, table)[0]
        assert twin.tobytes() == other.tobytes() == single.tobytes(), table


def test_the_original_and_its_twin_meet_the_same_future(scenarios, engine_of):
    engine = engine_of(scenarios[:4])
    engine.step(Command.no_change(4, 6))
    twins = Engine(4, 6, engine.num_knots)
    twins.copy_worlds(engine, np.arange(4))
    for one in (engine, twins):
        one.step(Command(np.full((4, 6), 1 * GIB)), 25)
    assert_same_bytes(twins, engine)


PURE_PYTHON = """
import pickle, sys
import numpy as np
import numba
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.simulator.transition import transition
from gymbal_runtime.command import Command
assert not hasattr(transition, "py_func"), "compiled after all"
with open(sys.argv[1], "rb") as file:
    scenarios, commands, ticks, names = pickle.load(file)
engine = Engine(len(scenarios), 6, scenarios[0].num_knots)
engine.load(range(len(scenarios)), scenarios)
for targets in commands:
    engine.step(Command(targets), ticks)
np.savez(sys.argv[2], **{name: getattr(engine, name) for name in names})
"""


def test_every_kernel_equals_its_python_form_to_the_last_bit(
    scenarios, commands, together, tmp_path
):
    """The whole engine runs in the interpreter (no kernel is compiled) and ends in the same bytes.

    The exception are NaNs, whose payload bits mean nothing; they are compared as NaN.
    """
    worlds, packed, result = 10, tmp_path / "worlds.pkl", tmp_path / "state.npz"
    told = commands[:, :worlds]
    packed.write_bytes(pickle.dumps((scenarios[:worlds], told, TICKS, STATE)))
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PURE_PYTHON, str(packed), str(result)],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        check=True,
    )
    interpreted = np.load(result)
    for table in STATE:
        compiled = getattr(together, table)[:worlds]
        np.testing.assert_array_equal(interpreted[table], compiled, err_msg=table)


def test_nan_leaves_a_target_as_it_is(plain_scenario, engine_of):
    engine = engine_of([plain_scenario()])
    engine.step(Command(np.array([[1.5 * GIB, np.nan]])), 1)
    engine.step(Command(np.array([[np.nan, 1.0 * GIB]])), 1)
    assert engine.vm[0, at.TARGET].tolist() == [1.5 * GIB, 1.0 * GIB]


def test_demand_stays_as_it_was_after_the_scenarios_end(plain_scenario, engine_of):
    sizes = np.linspace(0.2, 1.0, 7)[:, None] * GIB
    engine = engine_of([plain_scenario(working_set_bytes=sizes)])
    engine.step(Command.no_change(1, 2), 500)
    assert engine.vm[0, at.WORKING_SET].tolist() == [1.0 * GIB, 1.0 * GIB]


def test_what_does_not_fit_is_refused(plain_scenario):
    engine = Engine(1, num_vms=2, num_knots=5)
    with pytest.raises(ScenarioError, match="7 knots do not fit"):
        engine.load([0], [plain_scenario()])
    with pytest.raises(ScenarioError, match="3 VM slots"):
        Engine(1, 2, 7).load([0], [plain_scenario(3)])
