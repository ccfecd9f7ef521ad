from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gymbal_runtime.heuristics.monitors import (
    Always,
    CountersOnly,
    IntermittentTracking,
    Sampler,
)

STEADY = {
    "walk_frac": 0.1,
    "llc_miss_rate": 1e6,
    "instruction_rate": 1e9,
    "cycle_rate": 2e9,
    "major_fault_rate": 0.0,
    "psi_some_frac": 0.0,
}
SMALL, LARGE = [100.0, *[0.0] * 7], [100.0] * 8


class _Watched:
    """One VM whose histogram is there from the window after that which asks for it."""

    def __init__(self, one_host: Any, **options: Any) -> None:
        self.one_host = one_host
        self.agent = IntermittentTracking(**options)
        self.time_s, self.level = 0.0, 1.0

    def window(self, hits: list[float] = SMALL, **counters: float) -> float:
        record = self.one_host(
            1000, [800], time_s=self.time_s, monitor_level=self.level, **{**STEADY, **counters}
        )
        if self.level == 2.0:
            record.lru_hit_rate[0] = hits
        self.level = float(self.agent.act(record).monitor_level[0, 0])
        self.time_s += 5.0
        return self.level

    def windows(self, number: int, *args: Any, **counters: float) -> list[float]:
        return [self.window(*args, **counters) for _ in range(number)]


@pytest.mark.parametrize(("heuristic", "level"), [(CountersOnly, 0), (Sampler, 1), (Always, 2)])
def test_constant_levels(one_host, heuristic, level: int) -> None:
    command = heuristic().act(one_host(1000, [800, 800], monitor_level=[0, np.nan]))
    np.testing.assert_array_equal(command.monitor_level, [[level, np.nan]])
    assert np.isnan(command.balloon_bytes).all()
    assert command.cpu_weight is None


def test_tracks_until_nothing_changes_then_stops(one_host) -> None:
    vm = _Watched(one_host, stable_windows=2)
    # Asked for, seen once, unchanged once, unchanged twice.
    assert vm.windows(4) == [2, 2, 2, 1]
    assert vm.windows(20) == [1] * 20


def test_a_changing_working_set_keeps_tracking_on(one_host) -> None:
    vm = _Watched(one_host, stable_windows=2)
    vm.window()
    assert vm.windows(1, SMALL) + vm.windows(1, LARGE) + vm.windows(1, SMALL) == [2, 2, 2]
    assert vm.windows(2, SMALL) == [2, 1]


@pytest.mark.parametrize(
    "changed",
    [
        {"walk_frac": 0.2},
        {"llc_miss_rate": 2e6},
        {"instruction_rate": 1.5e9},
        {"major_fault_rate": 200.0},
        {"psi_some_frac": 0.1},
    ],
)
def test_each_counter_can_wake(one_host, changed: dict[str, float]) -> None:
    vm = _Watched(one_host)
    vm.windows(10)
    assert vm.level == 1.0
    assert vm.window(**changed) == 2.0


def test_slowing_down_is_no_phase_change(one_host) -> None:
    # 16 % fewer cycles, instructions and misses, as monitoring itself causes.
    vm = _Watched(one_host)
    vm.windows(10)
    assert vm.window(llc_miss_rate=0.84e6, instruction_rate=0.84e9, cycle_rate=1.68e9) == 1.0


def test_wakes_after_a_while_in_any_case(one_host) -> None:
    vm = _Watched(one_host, wake_s=60.0)
    assert vm.windows(3) == [2, 2, 1]
    assert vm.windows(12) == [1] * 11 + [2]  # off for 60 s
    assert vm.windows(2) == [1, 1]  # looks the same and is left alone


def _threshold(vm: _Watched) -> np.ndarray:
    return vm.agent._state["threshold"][0, 0]


def test_false_alarms_raise_the_threshold_of_their_counter(one_host) -> None:
    vm = _Watched(one_host, threshold=4.0, adaptation=1.5)
    vm.windows(10)
    vm.window(walk_frac=0.2)
    vm.windows(4, SMALL, walk_frac=0.2)
    np.testing.assert_allclose(_threshold(vm), [6.0, 4.0, 4.0, 4.0, 4.0])


def test_true_alarms_leave_it_and_missed_changes_lower_it(one_host) -> None:
    vm = _Watched(one_host, threshold=4.0, adaptation=2.0, wake_s=100.0)
    vm.windows(10)
    vm.window(walk_frac=0.2)
    vm.windows(6, LARGE, walk_frac=0.2)
    np.testing.assert_allclose(_threshold(vm), 4.0)
    vm.windows(25, SMALL, walk_frac=0.2)  # nothing but the histogram changed
    np.testing.assert_allclose(_threshold(vm), 2.0)


def test_mostly_off_and_rarely_wrong_where_phases_last_two_minutes(one_host) -> None:
    # Benchmark B8 in small: 2 % of noise; working set and counters change together.
    rng = np.random.default_rng(1)
    vm = _Watched(one_host)
    on = []
    for k in range(600):
        phase = (k // 24) % 2
        noise = 1.0 + 0.02 * rng.standard_normal(2)
        counters = {"walk_frac": (0.1 + 0.05 * phase) * noise[0], "llc_miss_rate": 1e6 * noise[1]}
        on.append(vm.window(LARGE if phase else SMALL, **counters) == 2.0)
    assert 0.75 <= 1.0 - np.mean(on) <= 0.92


def test_a_vm_that_comes_starts_afresh(one_host) -> None:
    vm = _Watched(one_host)
    vm.windows(10)
    gone = one_host(1000, [800], time_s=vm.time_s, monitor_level=1.0)
    gone.present[0] = False
    assert np.isnan(vm.agent.act(gone).monitor_level).all()
    vm.time_s += 5.0
    assert vm.window() == 2.0


def test_without_histogram_or_counters_nothing_breaks(one_host) -> None:
    agent = IntermittentTracking()
    for k in range(5):
        record = one_host(1000, [800], time_s=5.0 * k, monitor_level=2.0)
        assert agent.act(record).monitor_level == 2.0


def test_bad_parameter() -> None:
    with pytest.raises(ValueError, match=r"itc: idle_level must lie in \[0, 1\], got 2"):
        IntermittentTracking(idle_level=2)
    assert replace(IntermittentTracking(), wake_s=10.0).wake_s == 10.0
