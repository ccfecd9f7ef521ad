"""A policy as an agent that corrects a heuristic host by host."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.policy import check_action
from gymbal_runtime.policy_agent import PolicyAgent, Record
from gymbal_runtime.row_codec import RowCodec, RowRecord
from gymbal_runtime.signature import Arrays


class HostsRecord(RowRecord, Record, Protocol):
    """Telemetry of wholes with hosts, and of the VMs there."""


RecordT = TypeVar("RecordT", bound=HostsRecord)
OrdersT = TypeVar("OrdersT")


class RowCodecAgent(PolicyAgent[RecordT, OrdersT]):
    """Corrects what its policy was trained against, with what that remembers.

    Its arguments are those of `PolicyAgent`.
    """

    def _new_history(self, telemetry: RecordT) -> Any:
        return self.codec.initial_history(*telemetry.exists.shape)

    def _decoded(self, answer: NDArray[Any], telemetry: RecordT, base: OrdersT) -> OrdersT:
        codec = self.codec
        assert isinstance(codec, RowCodec)
        orders: OrdersT = codec.decode(answer, telemetry, base, self.heuristic)
        return orders

    def _checked(self, answer: object, observation: Arrays) -> NDArray[np.float32]:
        return check_action(answer, observation, self.codec.signature.answer_axes)
