"""What can be told about each VM that moves, and when it is legal.

VMs are independent: whether an order to one is legal depends on that VM alone, so every
combination of legal orders is legal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.sites.telemetry import (
    AT_SOURCE,
    BULK,
    MIRROR,
    NUM_PHASES,
    PRECOPY,
    SitesTelemetry,
)
from gymbal_runtime.telemetry import Bools

CONTINUE, REPLICATE, COPY, COPY_REDUCED, STOP, COLD, SUSPEND = range(7)
"""What a VM can be told.

* CONTINUE: go on as before.
* REPLICATE: start or resume disk replication, without redundancy elimination.
* COPY: start or resume memory pre-copy, without redundancy elimination.
* COPY_REDUCED: the next copy with redundancy elimination: start or resume disk replication where
  the disk's first copy is not done, memory pre-copy where it is.
* STOP: pause the VM and copy what is left.
* COLD: the same before memory pre-copy: pause the VM, copy all that is missing.
* SUSPEND: the VM's copies stand still; it runs on and dirties what was copied.

In a running copy REPLICATE, COPY and COPY_REDUCED switch redundancy elimination off and on.
"""
VERBS = ("continue", "replicate", "copy", "copy_reduced", "stop", "cold", "suspend")
NUM_VERBS = len(VERBS)

UNTIL_TOLD, THIRTY_ROUNDS = 0, 1
"""Who stops pre-copy: whoever gives orders; or Xen's rule of 2012 inside the hypervisor (fewer than
50 pages left, 29 rounds done, or three times the memory sent)."""


def _table() -> NDArray[np.bool_]:
    """Legal verbs by [phase, suspended, reduced, verb]."""
    table = np.zeros((NUM_PHASES, 2, 2, NUM_VERBS), dtype=np.bool_)
    table[..., CONTINUE] = True
    for phase, copies in (
        (AT_SOURCE, (REPLICATE, COPY_REDUCED, COLD)),
        (BULK, (COLD,)),
        (MIRROR, (COPY, COPY_REDUCED, COLD)),
        (PRECOPY, (STOP,)),
    ):
        for verb in copies:
            table[phase, :, :, verb] = True
    for phase in (BULK, MIRROR, PRECOPY):
        table[phase, 0, :, SUSPEND] = True
        plain = COPY if phase == PRECOPY else REPLICATE
        table[phase, 1, :, plain] = True  # resume
        table[phase, 0, 1, plain] = True  # switch redundancy elimination off
    for phase in (BULK, PRECOPY):
        table[phase, 1, :, COPY_REDUCED] = True
        table[phase, 0, 0, COPY_REDUCED] = True
    return table


LEGAL = _table()
"""(NUM_PHASES, 2, 2, NUM_VERBS): legal verbs by phase, suspended or not, reduced or not."""


@dataclass(frozen=True, slots=True)
class SitesOrders:
    """What B worlds of V VM slots are told.

    Attributes:
        verb: (B, V) int8. What is not legal counts as CONTINUE (and is counted).
        stop_rule: (B, V) int8, UNTIL_TOLD or THIRTY_ROUNDS, for pre-copies that start now.
    """

    verb: NDArray[np.int8]
    stop_rule: NDArray[np.int8]

    @classmethod
    def none(cls, num_worlds: int, num_vms: int) -> SitesOrders:
        """Everything goes on."""
        return cls.of(np.zeros((num_worlds, num_vms), dtype=np.int8))

    @classmethod
    def of(cls, verb: NDArray[np.integer]) -> SitesOrders:
        """These verbs; pre-copy runs until it is told to stop."""
        told = np.asarray(verb, dtype=np.int8)
        return cls(told, np.full(told.shape, UNTIL_TOLD, dtype=np.int8))

    def check(self, shape: tuple[int, int]) -> None:
        """Refuse what does not fit (B, V) slots.

        Raises:
            ValueError: an array has another shape, or a verb or rule does not exist.
        """
        if self.verb.shape != shape or self.stop_rule.shape != shape:
            raise ValueError(f"orders are for {self.verb.shape} slots, the worlds have {shape}")
        if self.verb.min(initial=0) < 0 or self.verb.max(initial=0) >= NUM_VERBS:
            raise ValueError(f"a verb is not one of 0..{NUM_VERBS - 1}")
        if not np.isin(self.stop_rule, (UNTIL_TOLD, THIRTY_ROUNDS)).all():
            raise ValueError(f"a stop_rule is neither {UNTIL_TOLD} nor {THIRTY_ROUNDS}")


def legal(telemetry: SitesTelemetry) -> Bools:
    """Which verbs are legal for each VM, (B, V, NUM_VERBS); CONTINUE always is."""
    suspended = telemetry.suspended.astype(np.int64)
    allowed: Bools = LEGAL[telemetry.phase, suspended, telemetry.reduced.astype(np.int64)]
    allowed[~telemetry.present, 1:] = False
    return allowed


def only_legal(verb: NDArray[np.integer], telemetry: SitesTelemetry) -> NDArray[np.int8]:
    """The verbs with CONTINUE for those that are not legal, (B, V)."""
    return among(verb, legal(telemetry))


def among(verb: NDArray[Any], mask: Bools) -> NDArray[np.int8]:
    """The verbs (B, V) with CONTINUE for those that are not in the mask (B, V, NUM_VERBS)."""
    wanted = np.asarray(verb, dtype=np.int64)
    known = (wanted >= 0) & (wanted < NUM_VERBS)
    wanted = np.where(known, wanted, CONTINUE)
    allowed = np.take_along_axis(mask, wanted[..., None], axis=2)[..., 0]
    return np.where(allowed, wanted, CONTINUE).astype(np.int8)
