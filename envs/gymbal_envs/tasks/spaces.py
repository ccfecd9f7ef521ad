"""Observation and action spaces of a task, from the codec's own bounds."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from gymbal_runtime.codec import Codec


def observation_space(codec: Codec, num_vms: int) -> spaces.Dict:
    """Space of one host's observation."""
    bounds = codec.bounds()
    low, high = bounds["vms"]
    return spaces.Dict(
        {
            "vms": spaces.Box(np.tile(low, (num_vms, 1)), np.tile(high, (num_vms, 1))),
            "host": spaces.Box(*bounds["host"]),
            "present": spaces.Box(0.0, 1.0, (num_vms,)),
        }
    )


def action_space(codec: Codec, num_vms: int) -> spaces.Box:
    """Corrections of each VM slot; what absent slots ask for is ignored."""
    return spaces.Box(-1.0, 1.0, (num_vms, *codec.action_axes), np.float32)
