from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.heuristics.cpu_weights import (
    LatencyBoost,
    OwnerWeights,
    StealFeedback,
    wanted_cores,
)


def _host(one_host, time_s=0.0, **fields):
    num_vms = len(next(iter(fields.values())))
    fields.setdefault("cpu_weight", [1000.0] * num_vms)
    return one_host(1000, [100] * num_vms, time_s=time_s, **fields)


def _weights(agent, *records) -> np.ndarray:
    for record in records:
        told = agent.act(record).cpu_weight[0]
    return told


def test_wanted_cores(one_host) -> None:
    record = _host(one_host, cpu_cores=[1, 3, 0, np.nan, 1], steal_frac=[0.5, 0, 1, 0, np.nan])
    np.testing.assert_allclose(wanted_cores(record), [[2, 3, 0, 0, 1]])


def test_owner_weights(one_host) -> None:
    record = _host(one_host, shares=[500, 2000, 1000], cpu_weight=[1, 1, np.nan])
    np.testing.assert_array_equal(_weights(OwnerWeights(), record), [500, 2000, np.nan])


def test_weight_goes_where_a_core_cures_more(one_host) -> None:
    # Both lack half of what they want, 1 and 8 cores, with equal shares. Value per core 1 and 1/8,
    # mean over the lacking cores (0.5 * 1 + 4 / 8) / 4.5 = 0.22: one step up, one down.
    fields = {"cpu_cores": [0.5, 4.0, 1.0], "steal_frac": [0.5, 0.5, 0.0], "shares": [1000.0] * 3}
    agent = StealFeedback(step=1.25)
    np.testing.assert_allclose(_weights(agent, _host(one_host, **fields)), [1250, 800, 1000])
    records = [_host(one_host, time_s=5.0 * k, **fields) for k in range(1, 30)]
    np.testing.assert_allclose(_weights(agent, *records), [4000, 250, 1000])


def test_returns_to_the_owner_when_nobody_starves(one_host) -> None:
    fields = {"cpu_cores": [0.5, 4.0], "steal_frac": [0.5, 0.5], "shares": [1000.0] * 2}
    agent = StealFeedback(smoothing_s=0.0)
    _weights(agent, *(_host(one_host, time_s=5.0 * k, **fields) for k in range(4)))
    calm = {**fields, "steal_frac": [0.0, 0.0]}
    told = _weights(agent, *(_host(one_host, time_s=20.0 + 5.0 * k, **calm) for k in range(5)))
    np.testing.assert_allclose(told, [1000, 1000])


def test_a_step_that_hurts_is_taken_back_and_none_follows_for_a_while(one_host) -> None:
    fields = {"cpu_cores": [0.5, 4.0], "steal_frac": [0.5, 0.5], "shares": [1000.0] * 2}
    agent = StealFeedback(smoothing_s=0.0, hold_s=12.0)
    assert _weights(agent, _host(one_host, **fields))[0] == pytest.approx(1250)
    worse = {**fields, "steal_frac": [0.5, 0.9]}
    told = [_weights(agent, _host(one_host, time_s=5.0 * k, **worse))[0] for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(told, [1000, 1000, 1000, 1250])


def test_latency_boost_is_for_sleepers_that_wait(one_host) -> None:
    fields = {
        "cpu_cores": [0.2, 4.0, 0.2, 0.2],
        "wakeup_delay_s": [0.02, 0.02, 0.004, np.nan],
        "shares": [1000.0] * 4,
    }
    agent = LatencyBoost(smoothing_s=0.0, step=1.5)
    np.testing.assert_allclose(_weights(agent, _host(one_host, **fields)), [1500, 1000, 1000, 1000])
    # Between half the target and the target it stays; below it returns.
    near = {**fields, "wakeup_delay_s": [0.004] * 4}
    assert _weights(agent, _host(one_host, time_s=5.0, **near))[0] == pytest.approx(1500)
    fine = {**fields, "wakeup_delay_s": [0.001] * 4}
    assert _weights(agent, _host(one_host, time_s=10.0, **fine))[0] == pytest.approx(1000)


def test_bad_parameter() -> None:
    with pytest.raises(ValueError, match=r"steal_feedback: step must lie in \[1, 4\], got 0.5"):
        StealFeedback(step=0.5)
