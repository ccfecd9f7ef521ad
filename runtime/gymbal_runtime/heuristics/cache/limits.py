"""What a host's last-level cache allows, as integers that arithmetic can rely on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.telemetry import Bools, Telemetry

Ints = NDArray[np.int64]

MOST_UNITS = 1024
"""Hosts that report more units than this are left alone: no cache has so many ways or colours."""


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """How the cache of each host may be divided; what is not ``divisible`` counts as one unit.

    Attributes:
        present: (H, V) which slots hold a VM.
        units: (H,) ways or colours, at least 1.
        classes: (H,) classes of service, at least 1.
        min_units: (H,) fewest units of a class, at least 1, at most ``units``.
        divisible: (H,) hosts that report a cache that can be divided and hold a VM.
    """

    present: Bools
    units: Ints
    classes: Ints
    min_units: Ints
    divisible: Bools

    @property
    def num_vms(self) -> Ints:
        """VMs of each host, (H,)."""
        return np.asarray(self.present.sum(axis=1), dtype=np.int64)

    @property
    def parts(self) -> Ints:
        """Most classes that each host can have in use, (H,): one per VM if all limits allow it."""
        fitting = np.minimum(self.classes, self.units // self.min_units)
        return np.asarray(np.maximum(np.minimum(self.num_vms, fitting), 1))

    def take_hosts(self, index: Ints) -> CacheLimits:
        """The limits of some of the hosts, in the order of ``index``."""
        return CacheLimits(
            self.present[index],
            self.units[index],
            self.classes[index],
            self.min_units[index],
            self.divisible[index],
        )


def cache_limits(telemetry: Telemetry) -> CacheLimits:
    """Read the limits of each host.

    A number of classes that is not known counts as 1, a minimum as 1 unit: what is safe anywhere.
    """
    units = _whole(telemetry.llc_units, 0)
    least = np.maximum(_whole(np.ceil(telemetry.llc_min_units), 1), 1)
    held = telemetry.present.any(axis=1)
    divisible = (units >= 1) & (units <= MOST_UNITS) & (least <= units) & held
    return CacheLimits(
        present=telemetry.present,
        units=np.where(divisible, units, 1),
        classes=np.where(divisible, np.maximum(_whole(telemetry.llc_classes, 1), 1), 1),
        min_units=np.where(divisible, least, 1),
        divisible=divisible,
    )


def _whole(values: NDArray[np.float64], otherwise: int) -> Ints:
    """Values rounded down, within what fits; ``otherwise`` where not a number."""
    known = np.where(np.isnan(values), otherwise, values)
    return np.clip(np.floor(known), 0, MOST_UNITS + 1).astype(np.int64)
