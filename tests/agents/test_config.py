from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gymbal_agents.config import ConfigError, TrainConfig, typed

CONFIGS = Path(__file__).parents[2] / "configs"


def test_the_yaml_files_say_what_the_code_does_by_default() -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        composed = OmegaConf.to_container(compose("train"), resolve=False)
    assert isinstance(composed, dict)
    for key in ("out", "resume", "reference"):
        composed.pop(key)
    config = typed(TrainConfig, composed)
    assert asdict(config) == asdict(TrainConfig())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ppo": {"gamma": "high"}}, "ppo.gamma"),
        ({"scenario": {"fleet": {"loed": [1, 2]}}}, "scenario.fleet.loed"),
        ({"scenario": {"fleet": {"tiers": ["floppy"]}}}, "floppy"),
        ({"scenario": {"fleet": {"monitor": 7}}}, "monitor"),
        ({"balloon": {"physics": {"clock": {"control_interval_s": 2.5}}}}, "control_interval_s"),
        ({"seed": 1.5}, "seed"),
    ],
)
def test_a_mistake_is_named(values: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")):
        typed(TrainConfig, values)


def test_the_options_of_a_heuristic_are_free_form() -> None:
    config = typed(TrainConfig, {"balloon": {"codec": {"options": {"anything": 1.0}}}})
    assert config.balloon.codec.options == {"anything": 1.0}
