from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.codec import default_codec
from gymbal_runtime.heuristics import make_heuristic
from gymbal_runtime.heuristics.stacked import Stacked, with_pinned_memory

NOTHING = {"memory": None, "cache": None, "cpu": None, "device": None, "monitor": None}
MIB = 2.0**20


def _record(one_host, time_s=0.0, **fields):
    measured = {
        "psi_some_frac": 0.0,
        "cpu_weight": 1000.0,
        "shares": [500.0, 2000.0],
        "io_rate_bytes_s": [3e8, 2e8],
        "device_mode": 0.0,
        "monitor_level": 1.0,
        "active_bytes": 800 * MIB,
    }
    record = one_host(2000, [800, 800], time_s=time_s, **{**measured, **fields})
    return replace(record, passthrough_slots=np.array([1.0]))


def test_each_resource_is_decided_by_its_own(one_host) -> None:
    record = _record(one_host)
    command = Stacked(cache=None).act(record)
    codec = default_codec()
    memory = make_heuristic(codec.heuristic, **codec.options).act(record)
    np.testing.assert_array_equal(command.balloon_bytes, memory.balloon_bytes)
    np.testing.assert_array_equal(command.cpu_weight, [[500, 2000]])
    np.testing.assert_array_equal(command.device_mode, [[0, 1]])
    np.testing.assert_array_equal(command.monitor_level, [[2, 2]])
    assert command.llc_class is None
    assert command.llc_units is None


def test_none_leaves_everything_alone(one_host) -> None:
    command = Stacked(**NOTHING).act(_record(one_host))
    assert np.isnan(command.balloon_bytes).all()
    assert command.cpu_weight is command.device_mode is command.monitor_level is None


def test_only_the_fields_of_the_resource_are_taken(one_host) -> None:
    memory_alone = Stacked(**{**NOTHING, "memory": {"name": "meb_adaptive"}})
    assert memory_alone.act(_record(one_host)).monitor_level is None
    monitors_alone = Stacked(**{**NOTHING, "monitor": {"name": "meb_adaptive"}})
    command = monitors_alone.act(_record(one_host))
    np.testing.assert_array_equal(command.monitor_level, [[2, 2]])
    assert np.isnan(command.balloon_bytes).all()


def test_memory_hears_of_pinned_vms(one_host) -> None:
    # The busy VM is pinned at 800 MiB of 2000: all that is left goes to the other.
    chosen = {**NOTHING, "memory": {"name": "proportional"}}
    fields = {"used_mib": [800.0, 100.0], "max_mib": 1900.0}
    loose = Stacked(**chosen).act(_record(one_host, **fields)).balloon_bytes / MIB
    pinned = Stacked(**chosen).act(_record(one_host, device_mode=[1.0, 0.0], **fields))
    assert loose[0, 0] > 1000
    np.testing.assert_allclose(pinned.balloon_bytes / MIB, [[800, 1200]])


def test_pinned_memory_stays_within_what_was_provisioned(one_host) -> None:
    record = _record(one_host, device_mode=[1.0, np.nan], max_mib=700.0, min_mib=100.0)
    pinned = with_pinned_memory(record)
    np.testing.assert_allclose(pinned.memory_min_bytes / MIB, [[700, 100]])
    np.testing.assert_allclose(pinned.memory_max_bytes / MIB, [[700, 700]])


def test_memory_sees_the_last_histogram(one_host) -> None:
    still = {
        "swap_in_rate": 0.0,
        "swap_out_rate": 0.0,
        "swap_used_bytes": 0.0,
        "major_fault_rate": 0.0,
    }
    seen, off = (_record(one_host, time_s=t, **still) for t in (0.0, 5.0))
    seen.lru_hit_rate[0] = [[100, 0, 0, 0, 0, 0, 0, 0], [100] * 8]
    chosen = {**NOTHING, "memory": {"name": "meb", "dead_band_frac": 0.0}}
    for remember, expected in ((True, [222.2, 1777.8]), (False, [1000, 1000])):
        agent = Stacked(**chosen, remember_curves=remember)
        agent.act(seen)
        told = agent.act(off).balloon_bytes[0] / MIB
        np.testing.assert_allclose(told, expected, rtol=1e-3)


def test_options_build_the_same_agent_again() -> None:
    agent = Stacked(cache=None, monitor={"name": "itc", "wake_s": 100.0})
    again = make_heuristic("stacked", **json.loads(json.dumps(agent.options())))
    assert again.options() == agent.options()
    assert again.options()["memory"]["name"] == default_codec().heuristic


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cpu": {"step": 2.0}}, "stacked: cpu needs the name of a heuristic"),
        ({"cpu": {"name": "nobody"}}, "stacked: cpu: no heuristic 'nobody'"),
        ({"monitor": {"name": "itc", "x": 1}}, "stacked: monitor: heuristic 'itc' has no option"),
    ],
)
def test_errors_name_the_resource(options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Stacked(**{**NOTHING, **options})
