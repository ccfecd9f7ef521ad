"""What is filled in between the samples of a trace."""

import numpy as np
import pytest

from gymbal_envs.simulator.excursions import add_excursions, fill_levels, fill_window

STEP_S, KNOT_S = 300.0, 10.0


def filled_from(levels, seed=0, height=0.0, gap_s=300.0, hold_s=45.0, ceiling=1e9):
    """Columns at knots from levels (S, V) at samples."""
    num_samples, num_vms = levels.shape
    knots = int((num_samples - 1) * STEP_S / KNOT_S) + 1
    filled = np.zeros((knots, num_vms), dtype=np.float32)
    streams = np.arange(seed, seed + num_vms, dtype=np.uint64) * np.uint64(977) + np.uint64(1)
    gaps, ceilings = np.full(num_vms, gap_s), np.full(num_vms, ceiling)
    fill_window(levels, STEP_S, KNOT_S, gaps, hold_s, height, ceilings, streams, filled)
    return filled


def test_between_two_samples_the_level_moves_once_from_one_to_the_other():
    levels = np.random.default_rng(0).uniform(1, 10, (13, 50))
    filled = filled_from(levels)
    per_step = int(STEP_S / KNOT_S)
    for k in range(12):
        part = filled[k * per_step : (k + 1) * per_step + 1]
        low, high = np.minimum(levels[k], levels[k + 1]), np.maximum(levels[k], levels[k + 1])
        assert np.all((part >= low - 1e-5) & (part <= high + 1e-5))
        direction = np.sign(levels[k + 1] - levels[k])
        assert np.all(np.diff(part, axis=0) * direction >= -1e-5)
        np.testing.assert_allclose(part[-1], levels[k + 1], rtol=1e-5)
    np.testing.assert_allclose(filled[0], levels[0], rtol=1e-6)


def test_the_change_comes_at_any_time_and_lasts_about_twenty_seconds():
    levels = np.tile([[0.0], [1.0]], (1, 4000))
    filled = filled_from(levels)
    halfway = (filled < 0.5).sum(axis=0) * KNOT_S
    assert np.quantile(halfway, [0.1, 0.5, 0.9]) == pytest.approx([40, 150, 260], abs=25)
    ramp_s = ((filled > 0) & (filled < 1)).sum(axis=0).mean() * KNOT_S
    mean_ramp = 20.0 * np.exp(0.5 * 0.8**2)  # of the log-normal law, less what is cut off
    assert ramp_s == pytest.approx(mean_ramp, rel=0.1)


def test_without_height_there_are_no_excursions():
    levels = np.full((3, 4), 5.0)
    assert np.all(filled_from(levels, height=0.0) == 5.0)


def test_excursions_only_add_and_never_exceed_the_ceiling():
    levels = np.random.default_rng(1).uniform(1, 5, (7, 200))
    plain, wild = filled_from(levels), filled_from(levels, height=2.0, ceiling=6.0)
    assert np.all(wild >= plain)
    assert wild.max() == 6.0
    assert (wild > plain).mean() > 0.05


def test_excursions_take_the_documented_share_of_the_time():
    """A hold of 45 s after pauses of 300 s in the mean: 13 % of the time."""
    levels = np.full((13, 2000), 1.0)
    share = (filled_from(levels, height=0.6) > 1.0).mean()
    assert share == pytest.approx(45 / 345, rel=0.1)


def test_excursions_are_as_high_as_documented():
    levels = np.full((13, 2000), 10.0)
    wild = filled_from(levels, height=0.6, gap_s=3000.0)
    heights = wild[wild > 10.0] / 10.0 - 1.0
    assert heights.mean() == pytest.approx(0.6, rel=0.1)


def test_a_vm_does_not_depend_on_its_neighbours():
    levels = np.random.default_rng(2).uniform(1, 5, (7, 3))
    together = filled_from(levels, height=0.6)
    alone = np.zeros_like(together[:, :1])
    streams = np.array([977 + 1], dtype=np.uint64)
    fill_levels(levels[:, 1:2].copy(), STEP_S, KNOT_S, alone, streams, 0)
    gaps, ceilings = np.array([300.0]), np.array([1e9])
    add_excursions(alone, KNOT_S, gaps, 45.0, 0.6, ceilings, streams, 0)
    np.testing.assert_array_equal(alone[:, 0], together[:, 1])
