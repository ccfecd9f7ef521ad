"""Observation and action spaces of the balloon task, from the codec's own bounds."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from gymbal_runtime.codec import observation_bounds


def observation_space(num_vms: int) -> spaces.Dict:
    """Space of one host's observation."""
    bounds = observation_bounds()
    low, high = bounds["vms"]
    return spaces.Dict(
        {
            "vms": spaces.Box(np.tile(low, (num_vms, 1)), np.tile(high, (num_vms, 1))),
            "host": spaces.Box(*bounds["host"]),
            "present": spaces.Box(0.0, 1.0, (num_vms,)),
        }
    )


def action_space(num_vms: int) -> spaces.Box:
    """One correction per VM slot; what absent slots ask for is ignored."""
    return spaces.Box(-1.0, 1.0, (num_vms,), np.float32)
