"""What can be told to a data centre: which VM goes where, which host sleeps and which wakes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.centre.telemetry import NOWHERE, Ints

LEAVE, SLEEP, WAKE = range(3)
"""What a host can be told. SLEEP waits until the host is empty and nothing is on its way to it, and
is forgotten when it is told WAKE or gets a VM; WAKE also ends a SLEEP that waits."""
HOST_VERBS = ("leave", "sleep", "wake")


@dataclass(frozen=True, slots=True)
class CentreOrders:
    """What C centres of H hosts and V VMs are told.

    Attributes:
        target: (C, V) host that a VM moves to, or that one without a host starts on; NOWHERE or its
            own host: it stays.
        power: (C, H) int8, LEAVE, SLEEP or WAKE.
    """

    target: Ints
    power: NDArray[np.int8]

    @classmethod
    def none(cls, num_centres: int, num_hosts: int, num_vms: int) -> CentreOrders:
        """Everything stays as it is."""
        return cls(
            np.full((num_centres, num_vms), NOWHERE, dtype=np.int64),
            np.zeros((num_centres, num_hosts), dtype=np.int8),
        )

    def check(self, shape: tuple[int, int, int]) -> None:
        """Refuse what does not fit (C, H, V).

        Raises:
            ValueError: an array has another shape, or a host or verb does not exist.
        """
        centres, hosts, vms = shape
        if self.target.shape != (centres, vms) or self.power.shape != (centres, hosts):
            raise ValueError(
                f"orders are for {self.target.shape} VMs and {self.power.shape} hosts, "
                f"the centres have {shape}"
            )
        if self.target.min(initial=NOWHERE) < NOWHERE or self.target.max(initial=-1) >= hosts:
            raise ValueError(f"a target is not one of {NOWHERE}..{hosts - 1}")
        if self.power.min(initial=0) < LEAVE or self.power.max(initial=0) > WAKE:
            raise ValueError(f"what a host is told is not one of {LEAVE}..{WAKE}")
