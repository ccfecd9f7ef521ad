"""What a policy may change about a stack of layers: six numbers for every host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_runtime.centre.corrections import VETO, Corrections
from gymbal_runtime.telemetry import Bools, Floats

HASTE_BASE = 4.0
"""A haste of 1 makes an overload count as so many times its age, -1 as that part of it."""


@dataclass(frozen=True, slots=True)
class LayerCorrections(Corrections):
    """What is changed in C clusters of H hosts.

    ``fill`` scales the part of a host up to which it is filled, ``relief`` that from which it
    counts as full, so that another one is woken; ``keep`` is as in data centres.

    Attributes:
        haste: (C, H) overloads there count as `HASTE_BASE` to this power times their age; 0: as
            old as they are.
        exchange: (C, H) below -`VETO` the host lends nothing and calls back what it has lent; above
            `VETO` its VMs borrow, while they suffer, at any speed of far memory.
        thrift: (C, H) -1..1, how much more or less of what its calm VMs do not use the host keeps
            (`gymbal_runtime.cluster.spare.thrifty`).
    """

    haste: Floats
    exchange: Floats
    thrift: Floats

    @classmethod
    def none(cls, num_centres: int, num_hosts: int) -> LayerCorrections:
        """The stack as it is."""
        one, zero = np.ones((num_centres, num_hosts)), np.zeros((num_centres, num_hosts))
        return cls(one, one, zero, zero, zero, zero)

    @property
    def nothing(self) -> bool:
        """Whether they leave the stack as it is."""
        same = (self.fill == 1.0).all() and (self.relief == 1.0).all()
        changed = (self.keep, self.haste, self.exchange, self.thrift)
        return bool(same and not any(one.any() for one in changed))

    @property
    def age(self) -> Floats:
        """Factor on the age of overloads, (C, H)."""
        factor: Floats = HASTE_BASE**self.haste
        return factor

    @property
    def hoards(self) -> Bools:
        """Hosts that lend nothing, (C, H)."""
        return self.exchange < -VETO

    @property
    def borrows(self) -> Bools:
        """Hosts whose VMs borrow at any speed, (C, H)."""
        return self.exchange > VETO
