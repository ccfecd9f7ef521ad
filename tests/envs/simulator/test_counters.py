"""Hardware counters: means of the sampling period, curves with noise, NaN where nothing runs."""

import numpy as np
import pytest

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.counters import page_walks
from gymbal_envs.simulator.params import (
    GIB,
    MIB,
    CacheParams,
    DeviceParams,
    PhysicsParams,
    SensorParams,
)
from gymbal_runtime.command import Command

QUIET = PhysicsParams(
    sensors=SensorParams(counter_noise=0.0, llc_noise=0.0, walk_per_doubling=0.01),
    cache=CacheParams(write_back=0.3),
    devices=DeviceParams(emulated_bytes_s=1.2e9),
)


@pytest.fixture(name="host")
def _host(plain_scenario, plain_resources, engine_of):
    def host(num_vms=2, params=QUIET, worlds=1, scenario=None, **changes):
        resources = plain_resources(num_vms, **changes)
        hosts = [
            plain_scenario(num_vms, resources=resources, seed=w, **(scenario or {}))
            for w in range(worlds)
        ]
        return engine_of(hosts, params)

    return host


def run(engine, ticks=12):
    engine.step(Command.no_change(engine.num_worlds, engine.num_vms), ticks)
    return engine.telemetry()


def test_counters_are_the_mean_of_the_period(host):
    engine = host()
    seen = run(engine)
    vm = engine.vm[0]
    np.testing.assert_allclose(seen.instruction_rate[0], vm[at.RATE], rtol=1e-3)
    np.testing.assert_allclose(seen.cycle_rate[0], 2e9 * vm[at.GRANTED_CORES], rtol=1e-9)
    np.testing.assert_allclose(seen.llc_miss_rate[0], vm[at.RATE] * vm[at.MPI], rtol=1e-3)
    np.testing.assert_allclose(seen.llc_reference_rate[0], 0.02 * vm[at.RATE], rtol=1e-3)
    np.testing.assert_allclose(seen.llc_occupancy_bytes[0], 8 * MIB, rtol=1e-3)
    traffic = seen.llc_miss_rate * 64 * 1.3
    np.testing.assert_allclose(seen.memory_bandwidth_bytes_s, traffic)


def test_the_penalty_of_a_miss_can_be_read_off(host):
    engine = host(penalty_cycles=[[10.0], [60.0]])
    seen = run(engine)
    penalty = seen.stall_frac * seen.cycle_rate / seen.llc_miss_rate
    np.testing.assert_allclose(penalty[0] / engine.host[0, at.LATENCY_FACTOR], [10, 60], rtol=1e-3)


def test_the_first_record_already_shows_the_host_as_it_runs(host):
    engine = host(io_bytes_s=[1e9, 0.0], scenario={"cores": 2.0, "cpu_cores": 3.0}, cap_cores=8.0)
    first, later = engine.telemetry(), run(engine)
    for name in ("instruction_rate", "llc_miss_rate", "stall_frac", "io_rate_bytes_s",
                 "wakeup_delay_s"):  # fmt: skip
        values = getattr(first, name)[0]
        np.testing.assert_allclose(values, getattr(later, name)[0], rtol=0.02, err_msg=name)
    assert first.io_rate_bytes_s[0].tolist() == [1e9, 0.0]
    assert np.all(first.wakeup_delay_s > 0)


def test_io_that_is_not_served_shows_as_waiting(host):
    seen = run(host(io_bytes_s=[2.4e9, 0.1e9]))
    np.testing.assert_allclose(seen.io_wait_frac[0], [0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(seen.io_rate_bytes_s[0], [1.2e9, 0.1e9], rtol=1e-6)


def test_page_walks_tell_that_the_working_set_grew(host):
    engine = host(scenario={"working_set_bytes": [0.1 * GIB, 1.6 * GIB], "touch_rate": 20_000.0})
    shares = [page_walks(engine.world_vm[0], engine.constants, engine.vm[0], v) for v in range(2)]
    assert shares[1] - shares[0] == pytest.approx(4 * 0.01, rel=0.1)  # four doublings
    np.testing.assert_allclose(run(engine).walk_frac[0], shares)
    engine.world_vm[0, at.TOUCH_RATE] = 1e9
    assert page_walks(engine.world_vm[0], engine.constants, engine.vm[0], 1) == 0.5


def test_the_miss_curve_is_the_programs_own_at_its_present_rate(host):
    engine = host()
    run(engine, 15)
    curve = engine.pending[0, at.SENSED_LLC :, 0]
    sizes = np.arange(1, at.NUM_LLC_POINTS + 1) / at.NUM_LLC_POINTS
    np.testing.assert_allclose(curve, engine.vm[0, at.RATE, 0] * (0.02 - 0.016 * sizes), rtol=1e-9)


def test_noise_is_as_large_as_told(host):
    noisy = PhysicsParams(sensors=SensorParams(counter_noise=0.02, llc_noise=0.05))
    seen = run(host(params=noisy, worlds=200))
    curves = seen.llc_miss_curve[:, 0] / seen.llc_miss_curve[:, 0].mean(axis=0)
    assert curves.std() == pytest.approx(0.05, rel=0.1)
    assert seen.walk_frac.std() / seen.walk_frac.mean() == pytest.approx(0.02, rel=0.15)


def test_curves_are_there_while_the_histogram_monitor_runs(host):
    engine = host(3, scenario={"monitor": [0, 1, 2]})
    assert np.isnan(engine.telemetry().llc_miss_curve[0]).all(axis=1).tolist() == [1, 1, 0]
    command = Command(np.full((1, 3), np.nan), monitor_level=np.array([[2.0, 0.0, 1.0]]))
    engine.step(command, 12)
    seen = engine.telemetry()
    assert np.isnan(seen.llc_miss_curve[0]).all(axis=1).tolist() == [False, True, True]
    assert np.isnan(seen.lru_hit_rate[0]).all(axis=1).tolist() == [False, True, True]
    assert np.isnan(seen.active_bytes[0]).tolist() == [False, True, False]
    assert seen.monitor_level[0].tolist() == [2.0, 0.0, 1.0]
    assert np.isfinite(seen.llc_miss_rate).all()  # counters need no monitor
