"""A policy as an agent of data centres: it corrects a rule of consolidation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.centre.codec import CentreCodec
from gymbal_runtime.centre.heuristics import make_centre_heuristic
from gymbal_runtime.centre.orders import CentreOrders
from gymbal_runtime.centre.telemetry import CentreTelemetry
from gymbal_runtime.policy import check_action
from gymbal_runtime.policy_agent import PolicyAgent
from gymbal_runtime.signature import Arrays


class CentreCodecAgent(PolicyAgent[CentreTelemetry, CentreOrders]):
    """Corrects the rule of consolidation that its policy was trained against.

    Its arguments are those of `PolicyAgent`; `reset` is given the number of VMs.
    """

    _make_heuristic = staticmethod(make_centre_heuristic)

    def _new_history(self, telemetry: CentreTelemetry) -> Any:
        return self.codec.initial_history(*telemetry.exists.shape)

    def _decoded(
        self, answer: NDArray[Any], telemetry: CentreTelemetry, base: CentreOrders
    ) -> CentreOrders:
        assert isinstance(self.codec, CentreCodec)
        return self.codec.decode(answer, telemetry, base, self.heuristic)

    def _checked(self, answer: object, observation: Arrays) -> NDArray[np.float32]:
        return check_action(answer, observation, self.codec.signature.answer_axes)
