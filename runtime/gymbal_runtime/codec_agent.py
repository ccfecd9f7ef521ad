"""A policy as an agent: heuristic, codec and network in one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.codec import Codec
from gymbal_runtime.command import Command
from gymbal_runtime.heuristics import make_heuristic
from gymbal_runtime.policy import Policy, check_action
from gymbal_runtime.telemetry import Telemetry
from gymbal_runtime.training_range import RangeCheck, TrainingRange, check_measured


class CodecAgent:
    """Corrects the command of the heuristic that its policy was trained against.

    Args:
        codec: names the heuristic, encodes and decodes.
        policy: observation to action.
        name: how tables and logs call this agent.
        known: what the policy has seen in training; where given, the agent refuses to decide on
            anything else. Evaluation leaves it out, to see what happens then.
    """

    def __init__(
        self,
        codec: Codec,
        policy: Policy,
        name: str = "policy",
        known: TrainingRange | None = None,
    ) -> None:
        self.name = name
        self.codec = codec
        self.policy = policy
        self.heuristic = make_heuristic(codec.heuristic, **codec.options)
        self._known = known
        self._range_check = RangeCheck(known, codec) if known else None
        self._shape = (0, 0)
        self._history = codec.initial_history(0, 0)

    def reset(self, num_hosts: int, num_vms: int, hosts: NDArray[np.bool_] | None = None) -> None:
        """Forget the marked hosts (H,), or all of them, and expect (num_hosts, num_vms)."""
        self.heuristic.reset(num_hosts, num_vms, hosts)
        if hosts is None or self._shape != (num_hosts, num_vms):
            self._shape = (num_hosts, num_vms)
            self._history = self.codec.initial_history(num_hosts, num_vms)
        else:
            self._history = self._history.forget(hosts)

    def act(self, telemetry: Telemetry) -> Command:
        """Decide for every host of the record.

        The heuristic and the history see every record, also one that the policy is not asked about,
        so that the next decision is as good as if nothing had happened.

        Raises:
            ValueError: the record has another shape than `reset` announced.
            DecisionError: the record or the observation is unlike training (only where ``known``
                was given), the policy failed, or its action is not finite for each VM.
        """
        if telemetry.present.shape != self._shape:
            raise ValueError(f"record is {telemetry.present.shape}, reset announced {self._shape}")
        base = self.heuristic.act(telemetry)
        observation, self._history = self.codec.encode(telemetry, base, self._history)
        if self._known and self._range_check:
            check_measured(telemetry, self._known)
            self._range_check(observation)
        answer = self.policy(observation)
        action = check_action(answer, observation, self.codec.action_axes)
        return self.codec.decode(action, telemetry, base)
