"""Numbers that no training can use are refused before it begins, by the name a user writes."""

import pytest

from gymbal_agents.config import ConfigError, TrainConfig, typed


@pytest.mark.parametrize(
    ("group", "name", "value", "rule"),
    [
        ("", "total_steps", -1, "be 0 or more"),
        ("", "evaluate_every", 0, "be 1 or more"),
        ("", "checkpoint_every", -1, "be 1 or more"),
        ("", "threads", 0, "be 1 or more"),
        ("ppo", "num_envs", 0, "be 1 or more"),
        ("ppo", "width", 0, "be 1 or more"),
        ("ppo", "hold", 0, "be 1 or more"),
        ("ppo", "gamma", 2.0, "be 1 or less"),
        ("ppo", "learning_rate", float("nan"), "be positive"),
        ("search", "pairs", 0, "be 1 or more"),
        ("search", "spread", 0.0, "be positive"),
        ("lookahead", "discount", 0.0, r"lie in \(0, 1\]"),
        ("lookahead", "learning_rate", -1.0, "be positive"),
        ("surface", "ridge", 0.0, "be positive"),
        ("surface", "spread", {"fill": 1.5}, r"lie in \(0, 1\]"),
    ],
)
def test_refused_by_name(group, name, value, rule):
    field = f"{group}.{name}" if group else name
    values = {group: {name: value}} if group else {name: value}
    with pytest.raises(ConfigError, match=f"{field}.* must {rule}"):
        typed(TrainConfig, values)
