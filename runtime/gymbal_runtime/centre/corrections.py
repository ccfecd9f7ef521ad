"""What a policy may change about a rule of consolidation: two numbers for every host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.centre.agent import CentreAgent
from gymbal_runtime.centre.orders import LEAVE, SLEEP, WAKE, CentreOrders
from gymbal_runtime.centre.telemetry import CentreTelemetry
from gymbal_runtime.telemetry import Floats

VETO = 0.5
"""Above, a host is neither emptied nor put to sleep; below minus that, VMs go there only if they
fit nowhere else."""
CALL = 0.75
"""Above, a host that sleeps is woken. Far from 0, so that a policy that explores around the rule
wakes few hosts by accident: waking costs minutes at peak power."""


@dataclass(frozen=True, slots=True)
class Corrections:
    """What is changed about a rule in C centres of H hosts; see `Correctable.act_corrected`."""

    ceiling: Floats  # (C, H)
    keep: Floats  # (C, H)

    @classmethod
    def none(cls, num_centres: int, num_hosts: int) -> Corrections:
        """The rule as it is."""
        return cls(np.ones((num_centres, num_hosts)), np.zeros((num_centres, num_hosts)))

    def heed(self, telemetry: CentreTelemetry, power: NDArray[np.int8]) -> None:
        """Change what hosts are told (C, H) where it shall not be as the rule says."""
        kept = telemetry.exists & (self.keep > VETO)
        power[kept & (power == SLEEP)] = LEAVE
        power[kept & (telemetry.draining | (self.keep > CALL))] = WAKE


@runtime_checkable
class Correctable(CentreAgent, Protocol):
    """A rule that can be corrected, host by host.

    ``act(telemetry)`` is ``act_corrected(telemetry, 1, 0)`` to the last bit.
    """

    def act_corrected(
        self, telemetry: CentreTelemetry, ceiling: Floats, keep: Floats
    ) -> CentreOrders:
        """Decide as `act`, with other thresholds and another order of hosts.

        Args:
            telemetry: of C centres.
            ceiling: (C, H) factor, above 0, on the utilisation up to which a host is filled and
                from which it counts as overloaded; 1: the rule's own.
            keep: (C, H) added to a host's utilisation where hosts are ranked to be emptied, least
                first; 0: the rule's own order. Beyond `VETO` and `CALL` what they say.
        """
        ...
