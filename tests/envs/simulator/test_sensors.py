"""What a hypervisor sees: when, how well, at what cost, and what it never sees."""

from dataclasses import fields

import numpy as np
import pytest

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.params import GIB, MIB, Clock, PhysicsParams, SensorParams
from gymbal_runtime.command import Command
from gymbal_runtime.telemetry import NUM_LRU_SLICES, Telemetry

LEAVE = np.nan
SHORT = {"initial_bytes": [0.6 * GIB, 2 * GIB], "footprint_bytes": 1 * GIB}
"""The first VM of two lacks a part of its working set, the host has memory to give."""


def advance(engine, ticks=1, *targets):
    told = np.array([targets]) if targets else np.full((engine.num_worlds, engine.num_vms), LEAVE)
    engine.step(Command(told), ticks)
    return engine.telemetry()


def same(one, other):
    """Equal but for the rounding of sums taken in another order."""
    return all(
        np.allclose(getattr(one, f.name), getattr(other, f.name), rtol=1e-12, equal_nan=True)
        for f in fields(Telemetry)
    )


@pytest.mark.parametrize(
    ("sample_s", "delay_s", "steps_until"),
    [(5.0, 2.0, 7), (5.0, 0.0, 5), (5.0, 5.0, 10), (10.0, 3.0, 13), (1.0, 1.0, 2)],
)
def test_a_change_is_seen_after_the_sampling_period_and_the_delay(
    plain_scenario, engine_of, sample_s, delay_s, steps_until
):
    params = PhysicsParams(sensors=SensorParams(sample_s=sample_s, delay_s=delay_s))
    engine = engine_of([plain_scenario(footprint_bytes=1.2 * GIB)], params)
    seen = [advance(engine, 1, 1.6 * GIB, LEAVE).actual_bytes[0, 0]]
    while seen[-1] == 2 * GIB:
        seen.append(advance(engine).actual_bytes[0, 0])
    assert len(seen) == steps_until


@pytest.mark.parametrize(("sample_s", "delay_s"), [(5.0, 2.0), (5.0, 5.0), (3.0, 0.0)])
def test_the_record_knows_its_own_age(plain_scenario, engine_of, sample_s, delay_s):
    params = PhysicsParams(sensors=SensorParams(sample_s=sample_s, delay_s=delay_s))
    engine = engine_of([plain_scenario()], params)
    ages = [float(advance(engine).age_s[0]) for _ in range(60)]
    assert max(ages[20:]) == sample_s + delay_s - 1.0
    assert min(ages[20:]) == delay_s
    assert engine.telemetry().time_s[0] == 60.0


def test_rates_are_means_over_the_sampling_period(plain_scenario, engine_of):
    engine = engine_of([plain_scenario(**SHORT)])
    read = []
    for _ in range(10):
        advance(engine)
        read.append(engine.outcome[0, at.READ, 0])
    seen = advance(engine, 2)  # the sample of second 10 becomes visible at 12
    assert seen.age_s[0] == 2.0
    assert seen.swap_in_rate[0, 0] == pytest.approx(np.mean(read[5:]), rel=1e-9)


def test_a_guest_that_lacks_memory_shows_pressure_and_one_that_does_not_shows_none(
    plain_scenario, engine_of
):
    engine = engine_of([plain_scenario(**SHORT)])
    seen = advance(engine, 7)
    assert seen.psi_some_frac[0, 0] > 0.1
    assert seen.major_fault_rate[0, 0] > 100
    assert seen.swap_used_bytes[0, 0] > 0.3 * GIB
    assert [float(x[0, 1]) for x in (seen.psi_some_frac, seen.swap_in_rate)] == [0.0, 0.0]
    assert seen.swap_latency_s[0] >= 90e-6
    assert np.isnan(advance(engine_of([plain_scenario()]), 7).swap_latency_s[0])


def test_steal_is_the_part_of_the_wanted_cpu_time_that_was_not_granted(plain_scenario, engine_of):
    engine = engine_of([plain_scenario(cores=2.0, cpu_cores=3.0)])
    seen = advance(engine, 7)
    np.testing.assert_allclose(seen.steal_frac[0], 0.25)
    np.testing.assert_allclose(seen.cpu_cores[0], 1.5)


def test_the_monitor_decides_what_is_measured_at_all(plain_scenario, engine_of):
    engine = engine_of([plain_scenario(3, monitor=[0, 1, 2])])
    seen = advance(engine, 40)
    assert np.isnan(seen.active_bytes[0]).tolist() == [True, False, False]
    assert np.isnan(seen.lru_hit_rate[0]).all(axis=1).tolist() == [True, True, False]
    assert np.isfinite(seen.usable_bytes).all()


def test_monitors_cost_cpu_while_they_run(plain_scenario, engine_of):
    engine = engine_of([plain_scenario(3, monitor=[0, 1, 2])])
    advance(engine, 10)
    lost = engine.outcome[0, at.LOST] / 10
    np.testing.assert_allclose(lost, [0.0, 7e-6, 0.02 + 7e-6], atol=1e-12)
    assert not engine.outcome[0, at.LOST_MEMORY].any()


def test_the_histogram_sums_to_the_rate_of_hits(plain_scenario, engine_of):
    quiet = PhysicsParams(sensors=SensorParams(lru_noise=0.0))
    engine = engine_of([plain_scenario(**SHORT)], quiet)
    seen = advance(engine, 7)
    assert seen.lru_hit_rate.shape == (1, 2, NUM_LRU_SLICES)
    assert seen.lru_hit_rate[0, 1].sum() == pytest.approx(20_000.0)  # everything hits
    advance(engine, 3)
    touches = 20_000.0 * engine.vm[0, at.SPEED, 0]
    hits = touches * engine.vm[0, at.HOT, 0] / GIB  # the curve is a straight line
    histogram = engine.pending[0, at.SENSED_LRU : at.NUM_MEMORY_SENSED, 0]
    assert histogram.sum() == pytest.approx(hits, rel=1e-9)


def test_the_histogram_is_as_accurate_as_published(plain_scenario, engine_of):
    engine = engine_of([plain_scenario(seed=seed) for seed in range(200)])
    totals = advance(engine, 7).lru_hit_rate
    used = totals[:, 0, 1:4]  # slices that lie wholly within the hot pages
    assert (used / used.mean(axis=0)).std() == pytest.approx(0.05, rel=0.15)


def test_the_active_sampler_has_the_error_of_a_hundred_pages(plain_scenario, engine_of):
    """B2: the standard error of f is at most 5 percentage points (n = 100)."""
    at_once = PhysicsParams(sensors=SensorParams(slow_gain=1.0, fast_gain=1.0))
    for actual, fraction in ((2 * GIB, 0.5), (1.25 * GIB, 0.8)):
        one = {"working_set_bytes": GIB, "footprint_bytes": GIB, "initial_bytes": actual}
        scenarios = [plain_scenario(seed=seed, **one) for seed in range(400)]
        engine = engine_of(scenarios, at_once)
        seen = advance(engine, 37)
        f = seen.active_bytes[:, 0] / seen.actual_bytes[:, 0]
        assert f.mean() == pytest.approx(fraction, abs=0.01)
        assert f.std() == pytest.approx(np.sqrt(fraction * (1 - fraction) / 100), rel=0.15)
        assert f.std() <= 0.05 * 1.1


def sampled_activity(plain_scenario, engine_of, before, after):
    """Mean estimate of f at the end of each 30 s period, the working set jumping after 30 s."""
    sizes = np.array([before, before, before, before, after, after, after])[:, None] * GIB
    one = {"working_set_bytes": sizes, "footprint_bytes": 1.9 * GIB, "monitor": 1.0}
    engine = engine_of([plain_scenario(seed=seed, **one) for seed in range(64)])
    estimates = []
    for _ in range(10):
        advance(engine, 30)
        fast, slow = engine.vm[:, at.FAST_ACTIVE, 0], engine.vm[:, at.SLOW_ACTIVE, 0]
        estimates.append(float(np.maximum(fast, slow).mean()))
    return estimates


def test_the_active_sampler_goes_up_fast_and_down_slowly(plain_scenario, engine_of):
    """B2: up within two periods, down in three or more."""
    low, high = 0.1 / 2, 1.5 / 2
    up = sampled_activity(plain_scenario, engine_of, 0.1, 1.5)
    assert up[0] == pytest.approx(low, abs=0.05)
    assert up[1] > high - 0.05  # the change came 10 s into the second period
    down = sampled_activity(plain_scenario, engine_of, 1.5, 0.1)
    halfway = 0.5 * (low + high)
    assert down[2] > halfway  # 50 s after the fall
    assert down[3] > halfway - 0.1
    assert down[-1] < halfway


def test_the_working_set_is_not_visible(plain_scenario, engine_of):
    """Two guests that differ in their working set alone look the same until it hurts."""
    assert not [f.name for f in fields(Telemetry) if "working" in f.name]
    sees_nothing = {"monitor": 0.0, "footprint_bytes": 1.5 * GIB}
    records = []
    for size in (0.25, 1.375):
        engine = engine_of([plain_scenario(working_set_bytes=size * GIB, **sees_nothing)])
        records.append(advance(engine, 20))
    assert same(*records)


def test_what_a_guest_could_give_is_free_memory_and_clean_cold_pages(plain_scenario, engine_of):
    engine = engine_of([plain_scenario(2, footprint_bytes=1.5 * GIB, dirty_frac=[1.0, 0.4])])
    free = 2 * GIB - 64 * MIB - 1.5 * GIB
    usable = advance(engine, 7).usable_bytes[0]
    np.testing.assert_allclose(usable, [free, free + 0.6 * 0.5 * GIB])


def test_clocks_and_sensors_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="whole multiple"):
        Clock(tick_s=3.0, control_interval_s=10.0)
    with pytest.raises(ValueError, match="tick_s must be positive"):
        Clock(tick_s=0.0)
    with pytest.raises(ValueError, match="delay_s"):
        SensorParams(sample_s=5.0, delay_s=6.0)
    assert Clock(0.1, 10.0).ticks_per_decision == 100
