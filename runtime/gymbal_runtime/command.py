"""A decision in the host's own units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_CHANGE = np.nan
"""Balloon target of a VM that is to be left as it is."""


@dataclass(frozen=True, slots=True)
class Command:
    """What H hosts with V VM slots are told to do."""

    balloon_bytes: NDArray[np.float64]  # (H, V) memory each guest shall hold; NO_CHANGE = leave

    @classmethod
    def no_change(cls, num_hosts: int, num_vms: int) -> Command:
        """The command that leaves every VM as it is."""
        return cls(balloon_bytes=np.full((num_hosts, num_vms), NO_CHANGE))
