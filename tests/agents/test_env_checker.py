"""The environments as stable-baselines3 sees them."""

import warnings

import gymnasium
import pytest
from stable_baselines3.common.env_checker import check_env

import gymbal_envs  # noqa: F401

IDS = sorted(name for name in gymnasium.registry if name.startswith("gymbal/"))


@pytest.mark.parametrize("name", IDS)
def test_it_passes_the_checker_of_stable_baselines3_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # VMs are rows of a matrix on purpose: our policies read sets.
        warnings.filterwarnings("ignore", message=".*unconventional shape")
        # Nor are the candidates of hosts an image, though they have three axes.
        warnings.filterwarnings("ignore", message=".*[Ii]mage")
        check_env(gymnasium.make(name).unwrapped)
