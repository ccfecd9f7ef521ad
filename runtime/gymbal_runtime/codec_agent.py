"""A policy as an agent of single hosts, whose command it corrects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.command import Command
from gymbal_runtime.heuristics import make_heuristic
from gymbal_runtime.policy import check_action
from gymbal_runtime.policy_agent import PolicyAgent
from gymbal_runtime.signature import Arrays
from gymbal_runtime.telemetry import Bools, Telemetry


class CodecAgent(PolicyAgent[Telemetry, Command]):
    """Corrects the command of the heuristic that its policy was trained against.

    Its arguments are those of `PolicyAgent`.
    """

    _make_heuristic = staticmethod(make_heuristic)

    def reset(self, num_hosts: int, num_vms: int, hosts: Bools | None = None) -> None:
        """Forget the marked hosts (H,), or all of them, and expect (num_hosts, num_vms)."""
        super().reset(num_hosts, num_vms, hosts)

    def _sensors(self, telemetry: Telemetry) -> Telemetry:
        return telemetry

    def _checked(self, answer: object, observation: Arrays) -> NDArray[np.float32]:
        return check_action(answer, observation, self.codec.signature.answer_axes)
