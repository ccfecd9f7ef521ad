"""A policy as an agent of whole clusters: it corrects a stack of layers."""

from __future__ import annotations

from gymbal_runtime.cluster.heuristics import make_cluster_heuristic
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.cluster.powered import PoweredTelemetry
from gymbal_runtime.row_codec_agent import RowCodecAgent
from gymbal_runtime.telemetry import Telemetry


class LayersCodecAgent(RowCodecAgent[PoweredTelemetry, Orders]):
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

    def _sensors(self, telemetry: PoweredTelemetry) -> Telemetry:
        return telemetry.hosts
