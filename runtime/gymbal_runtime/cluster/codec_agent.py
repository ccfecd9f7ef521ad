"""A policy as an agent of clusters: it chooses one order for each."""

from __future__ import annotations

from gymbal_runtime.cluster.heuristics import make_cluster_heuristic
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.policy_agent import PolicyAgent
from gymbal_runtime.telemetry import Telemetry


class ClusterCodecAgent(PolicyAgent[ClusterTelemetry, Orders]):
    """Lets a policy choose the order of each cluster, beside the heuristic it was trained with.

    Records of another shape than `reset` announced are not refused; they start a new history.

    Its arguments are those of `PolicyAgent`.
    """

    _make_heuristic = staticmethod(make_cluster_heuristic)

    def _expect(self, shape: tuple[int, ...]) -> None:
        # `reset` does not say how many host places there are, so that it cannot announce a shape.
        if self._history is not None and self._history.vm_id.shape != shape:
            self._history = None
        self._shape = (shape[0], shape[-1])

    def _sensors(self, telemetry: ClusterTelemetry) -> Telemetry:
        return telemetry.hosts
