from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.heuristics.senpai import Senpai

MIB = 2.0**20


def _told(record, agent: Senpai | None = None) -> np.ndarray:
    return (agent or Senpai(period_s=6.0)).act(record).balloon_bytes[0] / MIB


@pytest.mark.parametrize(
    ("pressure", "expected"),
    [
        (0.0, 990.0),  # no stall: the largest probe, 1 %
        # 5 ms of stall in 6 s is half the target of 10 ms: 1 % * (2 / 10)^2
        (0.005 / 6, 1000 * (1 - 0.01 * 0.04)),
        # 100 ms is 10 times the target: 100 % * (10 / 20)^2
        (0.100 / 6, 1250.0),
        (0.9, 2000.0),  # far above: doubled
        (np.nan, 1000.0),
    ],
)
def test_law(one_host, pressure: float, expected: float) -> None:
    record = one_host(4000, [1000], psi_some_frac=[pressure])
    np.testing.assert_allclose(_told(record), [expected])


def test_probes_wait_for_an_interval_and_backing_off_does_not(one_host) -> None:
    agent = Senpai()
    quiet = [
        _told(one_host(4000, [1000], psi_some_frac=[0.0], time_s=t), agent)[0] for t in range(6)
    ]
    np.testing.assert_allclose(quiet, [1000] * 5 + [990])
    stalled = one_host(4000, [990], psi_some_frac=[0.02], time_s=6.0)
    # 20 ms within a second: (2 / 20)^2
    np.testing.assert_allclose(_told(stalled, agent), [990 * 1.01])


def test_rare_telemetry_keeps_the_target_a_rate(one_host) -> None:
    # 1.5 permille of 10 s is 15 ms, but 9 ms per interval of 6 s: below the target, so it probes.
    agent = Senpai()
    agent.act(one_host(4000, [1000], psi_some_frac=[0.0015], time_s=0.0))
    late = one_host(4000, [1000], psi_some_frac=[0.0015], time_s=10.0)
    assert _told(late, agent)[0] < 1000


def test_what_is_freed_goes_to_who_is_under_pressure(one_host) -> None:
    # A full host: the idle VM gives 1 % of 2000, the stalled one wants 1000 more and gets that 20.
    record = one_host(3000, [2000, 1000], psi_some_frac=[0.0, 0.5])
    np.testing.assert_allclose(_told(record), [1980, 1020])
