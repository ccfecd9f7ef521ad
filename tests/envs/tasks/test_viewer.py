"""Pictures: right size, from the right episode, without a display."""

import sys
from itertools import pairwise

import numpy as np
import pytest

from gymbal_envs.tasks.balloon import BalloonEnv
from gymbal_envs.tasks.panels import vm_colors
from gymbal_envs.tasks.viewer import HostViewer


def test_a_picture_of_each_moment_has_the_same_size(fleet_of):
    env = BalloonEnv(fleet_of(5), episode_steps=8, render_mode="rgb_array")
    env.reset(seed=0)
    pictures = [env.render()]
    for _ in range(8):
        env.step(env.action_space.sample())
        pictures.append(env.render())
    assert {picture.shape for picture in pictures} == {(600, 900, 3)}
    assert all(picture.dtype == np.uint8 for picture in pictures)
    assert all(np.any(a != b) for a, b in pairwise(pictures[:-1]))


def test_the_next_episode_does_not_leak_into_the_picture_of_the_last(fleet_of):
    """At its end a world is given the next scenario at once; the picture must not show it."""
    env = BalloonEnv(fleet_of(5), episode_steps=6, render_mode="rgb_array")
    env.reset(seed=0)
    for _ in range(5):
        env.step(env.action_space.sample())
    before = env.render()
    assert env.step(env.action_space.sample())[3]
    np.testing.assert_array_equal(env.render(), before)


def test_every_vm_has_a_colour_of_its_own():
    for count in (1, 2, 8, 9, 64):
        colors = vm_colors(count)
        assert len({tuple(np.atleast_1d(color)) for color in colors}) == count


@pytest.mark.parametrize("num_vms", [2, 20, 64])
def test_any_number_of_vms_can_be_drawn(random_scenario, worlds_of, num_vms):
    worlds = worlds_of([random_scenario(0, num_vms)])
    viewer = HostViewer(worlds)
    for _ in range(3):
        worlds.step(np.zeros((1, num_vms)))
        viewer.record()
    picture = viewer.image()
    assert picture.std() > 10  # not blank


def test_no_global_state_of_matplotlib_is_used(fleet_of):
    env = BalloonEnv(fleet_of(3), render_mode="rgb_array")
    env.reset(seed=0)
    env.render()
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )
    env.close()
    assert env.render() is None
