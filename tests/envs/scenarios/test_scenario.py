"""A scenario that no host could run is refused where it is made."""

from dataclasses import replace

import numpy as np
import pytest

from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.simulator.params import GIB, MIB


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"curve": np.ones((2, 5))}, r"curve has shape \(2, 5\)"),
        ({"present": np.zeros(2, dtype=np.bool_)}, "no VM is present"),
        ({"memory_min_bytes": 32 * MIB}, "memory_min_bytes lies below kernel_bytes"),
        ({"capacity_bytes": 100 * MIB}, "the VMs' minimum memory .* exceeds the host's"),
        ({"initial_bytes": 3 * GIB}, "initial_bytes exceed capacity_bytes"),
    ],
)
def test_it_says_what_is_wrong(plain_scenario, changes, told):
    with pytest.raises(ScenarioError, match=f"plain: {told}"):
        plain_scenario(**changes)


def test_demand_needs_two_knots_and_the_same_number_everywhere(plain_scenario):
    scenario = plain_scenario()
    short = {
        name: getattr(scenario, name)[:1]
        for name in ("working_set_bytes", "footprint_bytes", "cores")
    }
    with pytest.raises(ScenarioError, match="at least 2 knots, has 1"):
        replace(scenario, **short)
    with pytest.raises(ScenarioError, match=r"cores has shape \(1, 2\), not \(7, 2\)"):
        replace(scenario, cores=short["cores"])
