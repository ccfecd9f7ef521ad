"""Resources that no host has are refused where they are made, by the name of the field."""

from dataclasses import replace

import numpy as np
import pytest

from gymbal_envs.scenarios.resources import ResourceError
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.simulator import layout as at

G = at.NUM_LLC_SEGMENTS


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mpi": np.linspace(0.0, 0.1, G + 1)}, "mpi must not rise with the size of the cache"),
        ({"mpi": np.full(G + 1, np.nan)}, "mpi must be finite and not negative"),
        ({"mpi": np.full(G + 1, -0.1)}, "mpi must be finite and not negative"),
        ({"penalty_cycles": np.inf}, "penalty_cycles must be finite and not negative"),
        ({"io_bytes_s": -1.0}, "io_bytes_s must be finite and not negative"),
        ({"wakeups": np.nan}, "wakeups must be finite and not negative"),
        ({"hint_slowdown": -1.0}, "hint_slowdown must be finite and not negative"),
        ({"hint_footprint_bytes": np.inf}, "hint_footprint_bytes must be finite"),
        ({"device_bytes_s": -1.0}, "device_bytes_s must be finite and not negative"),
        ({"cpu_slice_s": np.nan}, "cpu_slice_s must be finite and not negative"),
        ({"llc_min_units": 17}, r"llc_min_units \(17\) must lie in 1..llc_units \(16\)"),
        ({"llc_min_units": 0}, r"llc_min_units \(0\) must lie in 1..llc_units \(16\)"),
        ({"llc_classes": 0}, r"llc_classes \(0\) must be at least 1"),
        ({"memory_bandwidth_bytes_s": 0.0}, "memory_bandwidth_bytes_s must be above 0"),
        ({"frequency_hz": 0.0}, "frequency_hz must be above 0"),
        ({"cpi_base": [0.5, 0.5, 0.0]}, "cpi_base must be above 0 in every phase"),
        ({"phase": at.NUM_PHASES}, f"phase must be a whole number below {at.NUM_PHASES}"),
        ({"phase": 0.5}, "phase must be a whole number"),
        ({"phase": -1.0}, "phase must be finite and not negative"),
        ({"io_weight": 1.5}, "io_weight must lie in 0..1"),
        ({"recolour_frac": 1.5}, "recolour_frac must lie in 0..1"),
    ],
)
def test_it_says_what_is_wrong(plain_resources, changes, told):
    with pytest.raises(ResourceError, match=told):
        plain_resources(**changes)


@pytest.mark.parametrize(
    ("field", "shape", "expected"),
    [
        ("mpi", (2, at.NUM_PHASES, G), (2, at.NUM_PHASES, G + 1)),
        ("cpi_base", (2,), (2, at.NUM_PHASES)),
        ("io_bytes_s", (6, 2), (7, 2)),
        ("wakeups", (3,), (2,)),
    ],
)
def test_it_says_which_shape_it_must_have(plain_resources, field, shape, expected):
    with pytest.raises(ResourceError) as error:
        replace(plain_resources(), **{field: np.zeros(shape)})
    assert str(error.value) == f"{field} has shape {shape}, must be {expected}"


def test_a_curve_may_be_flat_and_rounding_is_forgiven(plain_resources):
    plain_resources(mpi=np.full(G + 1, 0.01))
    plain_resources(mpi=0.01 + 1e-15 * np.arange(G + 1))


def test_without_a_cache_its_fields_do_not_matter(plain_resources):
    off = plain_resources(
        llc_bytes=0.0, llc_units=0, frequency_hz=0.0, mpi=np.linspace(0.0, 0.1, G + 1)
    )
    assert off.num_vms == 2


def test_a_profile_may_be_unknown(plain_resources):
    assert np.isnan(plain_resources(hint_slowdown=[np.nan, 1.2]).hint_slowdown[0])


def test_they_must_fit_the_scenario(plain_scenario, plain_resources):
    with pytest.raises(ScenarioError, match=r"resources are of \(7, 3\) knots x VMs, .* \(7, 2\)"):
        plain_scenario(2, resources=plain_resources(3))
