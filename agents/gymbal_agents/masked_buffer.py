"""Where MaskablePPO keeps its rollouts: masks once, and small."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sb3_contrib.common.maskable.buffers import (
    MaskableDictRolloutBuffer,
    MaskableDictRolloutBufferSamples,
)
from stable_baselines3.common.buffers import DictRolloutBuffer

from gymbal_agents.vec_env import MASK


class MaskedBuffer(MaskableDictRolloutBuffer):
    """Rollouts of observations that hold the mask of legal actions themselves.

    sb3-contrib's buffer keeps every mask a second time, as float32, and sorts and copies both for
    each minibatch. This one keeps the observation's, as booleans, and hands it to both who ask.
    """

    def reset(self) -> None:
        """Forget everything."""
        super(MaskableDictRolloutBuffer, self).reset()
        mask = self.observations[MASK]
        self.observations[MASK] = np.zeros(mask.shape, dtype=np.bool_)

    def add(self, *args: Any, action_masks: NDArray[Any] | None = None, **kwargs: Any) -> None:
        """Remember one step; the masks are in the observation already."""
        DictRolloutBuffer.add(self, *args, **kwargs)

    def get(self, batch_size: int | None = None) -> Generator[Any, None, None]:
        """Minibatches in random order."""
        yield from DictRolloutBuffer.get(self, batch_size)

    def _get_samples(self, batch_inds: NDArray[Any], env: Any = None) -> Any:
        samples = DictRolloutBuffer._get_samples(self, batch_inds, env)
        masks = samples.observations[MASK]
        return MaskableDictRolloutBufferSamples(*samples, action_masks=masks)
