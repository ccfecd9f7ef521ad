import numpy as np
import pytest

from gymbal_envs.simulator.centre.cloudsim_clock import trapezoid_j
from gymbal_runtime.centre.rules.power import POWER_CURVES, PowerCurve, power_w, watts_table

G4 = np.array(POWER_CURVES["ml110_g4"].watts)


@pytest.mark.parametrize(
    ("utilisation", "watts"), [(0.0, 86.0), (0.05, 87.7), (0.3, 96.0), (0.95, 115.5), (1.0, 117.0)]
)
def test_power_is_linear_between_levels(utilisation, watts):
    assert power_w(G4, utilisation) == pytest.approx(watts, abs=1e-12)


@pytest.mark.parametrize("curve", POWER_CURVES.values(), ids=POWER_CURVES)
def test_curves_rise(curve):
    assert np.all(np.diff(curve.watts) > 0)
    levels = [power_w(np.array(curve.watts), level / 10) for level in range(11)]
    np.testing.assert_allclose(levels, curve.watts, rtol=1e-14)


def test_energy_is_a_trapezoid():
    assert trapezoid_j(G4, 0.2, 0.4, 300.0) == pytest.approx((92.6 + 99.5) / 2 * 300)


def test_a_host_that_was_off_costs_nothing_and_one_that_goes_off_draws_idle_power():
    assert trapezoid_j(G4, 0.0, 1.0, 300.0) == 0.0
    assert trapezoid_j(G4, 0.5, 0.0, 300.0) == pytest.approx((102.0 + 86.0) / 2 * 300)


def test_a_curve_needs_eleven_levels():
    with pytest.raises(ValueError, match=r"watts of 'short' has 2 values; give 11"):
        PowerCurve("short", (1.0, 2.0))


def test_power_is_not_negative():
    with pytest.raises(ValueError, match=r"watts of 'odd' holds -1\.0; give 0 W or more"):
        PowerCurve("odd", (-1.0, *range(10)))


def test_an_unknown_curve_lists_the_known():
    with pytest.raises(ValueError, match="unknown power curve 'cray'; known: ml110_g3, ml110_g4"):
        watts_table(["cray"])
