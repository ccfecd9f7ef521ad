"""What a policy may change about a rule of consolidation: three numbers for every host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.centre.agent import CentreAgent
from gymbal_runtime.centre.orders import LEAVE, SLEEP, WAKE, CentreOrders
from gymbal_runtime.centre.telemetry import CentreTelemetry
from gymbal_runtime.telemetry import Bools, Floats

VETO = 0.5
"""Above, a host is neither emptied nor put to sleep; below minus that, VMs go there only if they
fit nowhere else."""
CALL = 0.75
"""Above, a host that sleeps is woken. Far from 0, so that a policy that explores around the rule
wakes few hosts by accident: waking costs minutes at peak power."""


class HasHosts(Protocol):
    """A record of hosts that can be told to sleep, (C, H) each."""

    @property
    def exists(self) -> Bools:
        """Which places hold a host."""
        ...

    @property
    def draining(self) -> Bools:
        """Which hosts sleep once they are empty."""
        ...


@dataclass(frozen=True, slots=True)
class Corrections:
    """What is changed about a rule in C centres of H hosts.

    Attributes:
        fill: (C, H) factor, above 0, on the utilisation up to which VMs are moved to a host; 1: the
            rule's own.
        relief: (C, H) the same for that from which it counts as overloaded, and VMs leave it. Above
            ``fill``, a host is not emptied of what it was just filled with.
        keep: (C, H) added to a host's utilisation where hosts are ranked to be emptied, least
            first; 0: the rule's own order. Beyond `VETO` and `CALL` what they say.
    """

    fill: Floats
    relief: Floats
    keep: Floats

    @classmethod
    def none(cls, num_centres: int, num_hosts: int) -> Corrections:
        """The rule as it is."""
        size = (num_centres, num_hosts)
        return cls(np.ones(size), np.ones(size), np.zeros(size))

    @property
    def nothing(self) -> bool:
        """Whether they leave the rule as it is."""
        return bool((self.fill == 1.0).all() and (self.relief == 1.0).all()) and not self.keep.any()

    @property
    def avoided(self) -> Bools:
        """Hosts that get VMs only if these fit nowhere else, (C, H)."""
        return self.keep < -VETO

    def heed(self, telemetry: HasHosts, power: NDArray[np.int8]) -> None:
        """Change what hosts are told (C, H) where it shall not be as the rule says."""
        kept = telemetry.exists & (self.keep > VETO)
        power[kept & (power == SLEEP)] = LEAVE
        power[kept & (telemetry.draining | (self.keep > CALL))] = WAKE


@runtime_checkable
class Correctable(CentreAgent, Protocol):
    """A rule that can be corrected, host by host.

    ``act(telemetry)`` is ``act_corrected(telemetry, Corrections.none(C, H))`` to the last bit.
    """

    def act_corrected(self, telemetry: CentreTelemetry, corrections: Corrections) -> CentreOrders:
        """Decide as `act`, with other thresholds and another order of hosts."""
        ...
