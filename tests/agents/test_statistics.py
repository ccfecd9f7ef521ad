from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from gymbal_agents.statistics import Estimate, estimate, gap_closed, interquartile_mean, mean

RNG = np.random.default_rng(5)


def test_mean_and_interval_of_a_normal_sample() -> None:
    values = RNG.normal(3.0, 1.0, size=400)
    found = mean(values)
    assert found.value == pytest.approx(values.mean())
    half = 1.96 * values.std(ddof=1) / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(100):
        found = mean(rng.gamma(2.0, 1.0, size=60))
        inside += found.low <= 2.0 <= found.high
    assert 88 <= inside <= 100


def test_interquartile_mean_ignores_a_disaster() -> None:
    values = np.arange(20.0)
    worse = values.copy()
    worse[0] = -1e6
    assert interquartile_mean(worse).value == interquartile_mean(values).value == 9.5
    assert interquartile_mean(worse).value == scipy.stats.trim_mean(worse, 0.25)


def test_same_data_same_interval() -> None:
    values = RNG.normal(size=30)
    assert mean(values) == mean(values.copy())


@pytest.mark.parametrize("values", [np.full(9, 0.25), np.zeros((3, 9))])
def test_ties_give_a_point(values) -> None:
    found = mean(values)
    assert found.low == found.value == found.high


def test_nearly_all_ties_still_have_an_interval() -> None:
    found = mean(np.eye(1, 40)[0])
    assert 0.0 <= found.low <= found.value <= found.high < 0.2


def test_one_scenario_has_no_interval() -> None:
    found = mean(np.array([2.0]))
    assert found.value == 2.0
    assert np.isnan(found.low)
    assert np.isnan(found.high)
    assert not found.above_zero


def test_no_scenario_is_an_error() -> None:
    with pytest.raises(ValueError, match="no scenarios"):
        mean(np.zeros(0))


def test_gap_of_heuristic_oracle_and_half_way() -> None:
    heuristic = RNG.normal(-0.1, 0.01, size=50)
    oracle = heuristic + RNG.uniform(0.04, 0.06, size=50)
    half = (heuristic + oracle) / 2
    for agent, share in ((heuristic, 0.0), (half, 0.5), (oracle, 1.0)):
        found = gap_closed(agent, heuristic, oracle)
        assert found is not None
        assert (found.value, found.low, found.high) == pytest.approx((share,) * 3, abs=1e-9)


def test_no_gap_no_share() -> None:
    heuristic = RNG.normal(size=50)
    assert gap_closed(heuristic + 1.0, heuristic, heuristic) is None
    assert gap_closed(heuristic, heuristic, heuristic - 0.1) is None


def test_training_seeds_widen_the_interval() -> None:
    scenarios = RNG.normal(0.0, 0.1, size=(1, 64))
    agree = np.repeat(scenarios, 4, axis=0)
    differ = agree + np.array([[-0.3], [-0.1], [0.1], [0.3]])
    calm, wide = mean(agree), mean(differ)
    assert calm.value == pytest.approx(wide.value)
    assert wide.high - wide.low > 2 * (calm.high - calm.low)
    single = mean(scenarios)
    assert calm.high - calm.low == pytest.approx(single.high - single.low, rel=0.15)


def test_seeds_share_the_scenarios_of_the_reference() -> None:
    hard = RNG.normal(0.0, 5.0, size=64)
    agent = np.stack([hard + 0.2, hard + 0.3, hard + 0.25])
    found = estimate(lambda a, b, axis: (a - b).mean(axis=axis), agent, hard)
    assert found.value == pytest.approx(0.25)
    assert 0.15 < found.low < found.high < 0.35


def test_scaled_turns_over() -> None:
    assert Estimate(1.0, 0.5, 2.0).scaled(-100.0) == Estimate(-100.0, -200.0, -50.0)
