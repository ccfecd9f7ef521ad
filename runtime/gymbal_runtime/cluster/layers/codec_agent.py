"""A policy as an agent of whole clusters: it corrects a stack of layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.cluster.heuristics import make_cluster_heuristic
from gymbal_runtime.cluster.layers.codec import LayersCodec
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.cluster.powered import PoweredTelemetry
from gymbal_runtime.policy import check_action
from gymbal_runtime.policy_agent import PolicyAgent
from gymbal_runtime.signature import Arrays
from gymbal_runtime.telemetry import Telemetry


class LayersCodecAgent(PolicyAgent[PoweredTelemetry, Orders]):
    """Corrects the stack that its policy was trained against.

    Records of another shape than `reset` announced are not refused; they start a new history. Its
    arguments are those of `PolicyAgent`.
    """

    _make_heuristic = staticmethod(make_cluster_heuristic)

    def _expect(self, shape: tuple[int, ...]) -> None:
        # `reset` does not say how many host places there are, so that it cannot announce a shape.
        if self._history is not None and self._history.rows.shape[1:3] != shape[:2]:
            self._history = None
        self._shape = (shape[0], shape[-1])

    def _new_history(self, telemetry: PoweredTelemetry) -> Any:
        return self.codec.initial_history(*telemetry.exists.shape)

    def _decoded(self, answer: NDArray[Any], telemetry: PoweredTelemetry, base: Orders) -> Orders:
        assert isinstance(self.codec, LayersCodec)
        return self.codec.decode(answer, telemetry, base, self.heuristic)

    def _sensors(self, telemetry: PoweredTelemetry) -> Telemetry:
        return telemetry.hosts

    def _checked(self, answer: object, observation: Arrays) -> NDArray[np.float32]:
        return check_action(answer, observation, self.codec.signature.answer_axes)
