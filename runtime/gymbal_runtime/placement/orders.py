"""A host for each VM that waits, as orders to a data centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.centre.orders import LEAVE, SLEEP, WAKE, CentreOrders
from gymbal_runtime.centre.telemetry import ASLEEP, NOWHERE, ON, SUSPENDING, CentreTelemetry, Ints
from gymbal_runtime.telemetry import Bools


@dataclass(frozen=True, slots=True)
class PlacementOrders(CentreOrders):
    """Orders, and the choices that they follow from.

    Attributes:
        chosen: (C, V) host of each VM that waits, whatever its state; NOWHERE: it goes on waiting.
        due: (C, H) hosts that may fall asleep if nobody chooses them.
    """

    chosen: Ints
    due: Bools

    @classmethod
    def of(cls, telemetry: CentreTelemetry, chosen: Ints, due: Bools) -> PlacementOrders:
        """Start VMs on chosen hosts that are on, wake chosen ones that sleep, let due ones sleep.

        Args:
            telemetry: of C centres.
            chosen: (C, V).
            due: (C, H).
        """
        t, one = telemetry, np.arange(telemetry.num_centres)[:, None]
        told = chosen != NOWHERE
        state = t.state[one, np.where(told, chosen, 0)]
        target = np.where(told & (state == ON), chosen, NOWHERE)
        wanted = np.zeros(t.exists.shape, dtype=np.bool_)
        c, v = np.nonzero(told)
        wanted[c, chosen[c, v]] = True
        power: NDArray[np.int8] = np.full(t.exists.shape, LEAVE, dtype=np.int8)
        sleeping = (t.state == ASLEEP) | (t.state == SUSPENDING)
        power[t.exists & wanted & sleeping] = WAKE
        power[t.running & due & ~wanted & ~t.draining] = SLEEP
        return cls(target=target, power=power, chosen=chosen, due=due)
