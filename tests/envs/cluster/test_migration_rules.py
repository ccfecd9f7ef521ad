"""Rules of hypervisors: constants in their rows, nonsense refused by name."""

from dataclasses import replace

import numpy as np
import pytest

from gymbal_envs.simulator.cluster import migration_layout as at
from gymbal_envs.simulator.cluster.migration_rules import RULES, MigrationRule


def test_every_rule_has_a_plan_of_numbers():
    for name, rule in RULES.items():
        plan = rule.plan()
        assert rule.name == name
        assert plan.shape == (at.NUM_PLAN,)
        assert not np.isnan(plan).any()


def test_qemus_defaults_are_128_mib_per_s_and_300_ms():
    plan = RULES["qemu"].plan()
    assert plan[at.RULE] == at.QEMU
    assert plan[at.RATE_MAX] * plan[at.DOWNTIME_LIMIT] == pytest.approx(38.4 * 2**20)
    assert plan[at.AUTO_CONVERGE] == 0.0
    assert RULES["qemu_auto_converge"].plan()[at.AUTO_CONVERGE] == 1.0


def test_nobody_starts_faster_than_the_limit():
    rule = replace(RULES["qemu"], rate_max_bytes_s=1e6)
    assert rule.plan()[at.RATE_START] == 1e6


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"method": "teleport"}, "method"),
        ({"rule": "luck"}, "rule"),
        ({"rate_max_bytes_s": 0.0}, "rate_max_bytes_s"),
        ({"line_rate_bytes_s": np.inf}, "line_rate_bytes_s"),
        ({"overhead": 0.9}, "overhead"),
        ({"resume_s": -1.0}, "resume_s"),
        ({"downtime_limit_s": np.nan}, "downtime_limit_s"),
        ({"check_s": 0.0}, "check_s"),
        ({"rule": "xen_modern", "stop_bytes": 0.0}, "stop_bytes"),
    ],
)
def test_nonsense_is_refused_by_name(wrong, named):
    with pytest.raises(ValueError, match=named):
        MigrationRule("wrong", **{"check_s": 0.1, **wrong})
