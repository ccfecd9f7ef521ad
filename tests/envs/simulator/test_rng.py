"""The random numbers of the worlds: the published generator, one stream each."""

import numpy as np
import pytest

from gymbal_envs.simulator.excursions import exponential
from gymbal_runtime.random_numbers import normal, uniform


def draw(kernel, count, seed=0, *more):
    streams = np.array([seed], dtype=np.uint64)
    return np.array([kernel(streams, 0, *more) for _ in range(count)])


def test_it_is_splitmix64():
    """First outputs for seed 0 of the reference implementation (Vigna, splitmix64.c)."""
    reference = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    expected = [(z >> 11) * 2.0**-53 for z in reference]
    assert draw(uniform, 3).tolist() == expected


def test_uniform_numbers_are_uniform():
    u = np.sort(draw(uniform, 20_000, 7))
    assert u[0] >= 0
    assert u[-1] < 1
    steps = np.arange(1, u.size + 1) / u.size
    assert np.abs(u - steps).max() < 1.63 / np.sqrt(u.size)  # Kolmogorov-Smirnov, 1 %


def test_normal_numbers_are_normal():
    z = draw(normal, 20_000, 11)
    assert z.mean() == pytest.approx(0, abs=0.03)
    assert z.std() == pytest.approx(1, abs=0.02)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.05, abs=0.006)


def test_exponential_numbers_have_their_mean_and_no_memory():
    x = draw(exponential, 20_000, 3, 45.0)
    assert x.mean() == pytest.approx(45.0, rel=0.03)
    assert np.mean(x > 90.0) == pytest.approx(np.mean(x > 45.0) ** 2, abs=0.01)


def test_streams_do_not_touch_each_other():
    streams = np.array([1, 2, 3], dtype=np.uint64)
    alone = draw(uniform, 5, 2)
    uniform(streams, 0)
    together = [uniform(streams, 1) for _ in range(5)]
    assert together == alone.tolist()
    assert streams[2] == 3


def test_nearby_seeds_are_unrelated():
    first = np.array([draw(uniform, 200, seed) for seed in range(40)])
    correlation = np.corrcoef(first)[~np.eye(40, dtype=bool)]
    assert np.abs(correlation).max() < 0.35  # 5 standard errors of 200 pairs
