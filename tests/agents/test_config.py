from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gymbal_agents.config import ConfigError, TrainConfig, typed
from gymbal_envs.scenarios.source import default_scenario
from gymbal_envs.tasks.config import default_task
from gymbal_runtime.tasks import CENTRE_TASKS, CLUSTER_TASKS, TASKS, short_name

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("task", [*TASKS, *CLUSTER_TASKS, *CENTRE_TASKS])
def test_the_yaml_files_say_what_the_code_does_by_default(task: str) -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        choice = [f"task={short_name(task)}"]
        composed = OmegaConf.to_container(compose("train", choice), resolve=False)
    assert isinstance(composed, dict)
    for key in ("out", "resume", "reference"):
        composed.pop(key)
    config = typed(TrainConfig, composed)
    by_default = TrainConfig(task=default_task(task), scenario=default_scenario(task))
    assert asdict(config) == asdict(by_default)
    assert asdict(TrainConfig().task) == asdict(default_task())


@pytest.mark.parametrize("scenario", ["large", "toy"])
def test_another_scenario_can_be_chosen(scenario: str) -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        composed = compose("evaluate", [f"scenario={scenario}"])
    assert (composed.scenario.toy != "") == (scenario == "toy")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ppo": {"gamma": "high"}}, "ppo.gamma"),
        ({"scenario": {"fleet": {"loed": [1, 2]}}}, "scenario.fleet.loed"),
        ({"scenario": {"fleet": {"tiers": ["floppy"]}}}, "floppy"),
        ({"scenario": {"fleet": {"monitor": 7}}}, "monitor"),
        ({"task": {"physics": {"clock": {"control_interval_s": 2.5}}}}, "control_interval_s"),
        ({"task": {"id": "gymbal/Balloon-v1"}}, "no task"),
        ({"task": {"id": "gymbal/Cache-v0"}}, "task.heuristic 'senpai' decides nothing"),
        ({"seed": 1.5}, "seed"),
    ],
)
def test_a_mistake_is_named(values: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")):
        typed(TrainConfig, values)


def test_the_options_of_a_heuristic_are_free_form() -> None:
    config = typed(TrainConfig, {"task": {"options": {"anything": 1.0}}})
    assert config.task.options == {"anything": 1.0}
