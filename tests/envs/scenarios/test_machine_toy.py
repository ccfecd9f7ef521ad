"""The toy's docstring is a promise: its numbers and its optimum are checked here."""

from dataclasses import replace

import numpy as np
import pytest

from gymbal_envs.scenarios.machine_toy import StreamAndLoop
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.params import MIB
from gymbal_runtime.command import Command

SHORT = StreamAndLoop(phase_s=60.0, num_phases=2)


def divided(loop_units, loop=1):
    """The looping VM gets so many ways, the other one the rest; 0: shared."""
    units = np.full((1, 2), 16.0) if loop_units == 0 else np.full((1, 2), 16.0 - loop_units)
    classes = np.zeros((1, 2))
    if loop_units:
        units[0, loop], classes[0, loop] = loop_units, 1
    return Command(np.full((1, 2), np.nan), llc_class=classes, llc_units=units)


def speeds(engine_of, loop_units, ticks=20, toy=SHORT):
    """Progress of the stream and of the loop, once the lines have settled."""
    engine = engine_of([toy()])
    engine.step(divided(loop_units), ticks)
    engine.step(Command.no_change(1, 2), 5)
    return engine.vm[0, at.CACHE_SPEED].tolist(), engine


@pytest.mark.parametrize("ways", [10, 12, 15])
def test_with_ten_ways_or_more_nobody_loses_anything(engine_of, ways):
    (stream, loop), engine = speeds(engine_of, ways)
    assert stream > 0.99
    assert loop > 0.99
    assert engine.vm[0, at.OCCUPANCY, 1] == pytest.approx(10 * MIB, rel=1e-3)


@pytest.mark.parametrize("ways", [1, 5, 9])
def test_with_fewer_the_loop_misses_as_if_it_had_none(engine_of, ways):
    (stream, loop), _ = speeds(engine_of, ways)
    assert stream > 0.98
    assert loop == pytest.approx(1 / 3, rel=0.04)


def test_shared_the_stream_flushes_the_loop(engine_of):
    (stream, loop), engine = speeds(engine_of, 0)
    assert stream > 0.98
    assert loop == pytest.approx(1 / 3, rel=0.04)  # less than a third: the bus is not idle
    instructions = engine.vm[0, at.RATE] / engine.vm[0, at.GRANTED_CORES] / 2e9
    assert instructions[1] == pytest.approx(0.67, rel=0.04)
    assert engine.vm[0, at.OCCUPANCY, 1] < 6 * MIB


def test_the_optimum_beats_every_fixed_division(engine_of):
    def lost(command_at):
        engine, total = engine_of([SHORT()]), 0.0
        for second in range(0, 120, 5):
            engine.step(command_at(second), 5)
            total += engine.outcome[0, at.LOST].sum() / 240
        return total

    best = lost(lambda second: divided(12, loop=1 if second < 60 else 0))
    fixed = [lost(lambda second, ways=ways: divided(ways)) for ways in range(16)]
    assert best < 0.04  # the monitor takes 2 %
    assert min(fixed) > best + 0.1


def test_they_change_programs_every_phase(engine_of):
    toy = StreamAndLoop()
    turns = toy().resources.phase
    assert turns[:30].tolist() == [[0, 0]] * 30
    assert turns[30:60].tolist() == [[1, 1]] * 30
    engine = engine_of([SHORT()])
    engine.step(divided(12), 59)
    assert engine.vm[0, at.CACHE_SPEED].min() > 0.98
    engine.step(Command.no_change(1, 2), 10)  # now the first one loops, in 4 ways
    assert engine.vm[0, at.CACHE_SPEED, 0] == pytest.approx(1 / 3, rel=0.04)


def test_with_page_colours_the_division_is_the_same_but_takes_time(engine_of):
    toy = replace(SHORT, recolours=True)
    engine = engine_of([toy()])
    engine.step(divided(12), 1)
    assert engine.vm[0, at.PAGES_LEFT].max() >= 0
    assert speeds(engine_of, 12, toy=toy)[0] == pytest.approx([1.0, 1.0], abs=0.01)
