"""A decision in the host's own units."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.telemetry import UNBOUNDED_FIELDS

Floats = NDArray[np.float64]

NO_CHANGE = np.nan
"""What a command says about a VM that is to be left as it is."""


@dataclass(frozen=True, slots=True)
class Command:
    """What H hosts with V VM slots are told to do.

    A field that is None says nothing about any VM; NaN says nothing about this one.

    Attributes:
        balloon_bytes: (H, V) memory each guest shall hold.
        llc_class: (H, V) class of service of each VM, 0, 1, ...; VMs of a class share its part of
            the last-level cache. Given together with ``llc_units``, for all VMs of a host or none.
        llc_units: (H, V) ways or page colours of the VM's class, the same for all VMs of a class.
            Over a host's classes they add up to at most its ``llc_units``; the units of different
            classes are disjoint. One class with all units is the unpartitioned cache.
        cpu_weight: (H, V) weight for the CPU scheduler, above 0.
        cpu_cap_cores: (H, V) most cores that each VM may use, above 0; inf takes its cap away.
        device_mode: (H, V) 0 emulated device, 1 passthrough.
        monitor_level: (H, V) 0 counters only, 1 + active sampler, 2 + histograms.
    """

    balloon_bytes: Floats
    llc_class: Floats | None = None
    llc_units: Floats | None = None
    cpu_weight: Floats | None = None
    device_mode: Floats | None = None
    monitor_level: Floats | None = None
    cpu_cap_cores: Floats | None = None

    @property
    def given(self) -> dict[str, Floats]:
        """The fields that say something, by name; ``balloon_bytes`` always does."""
        named = {name: getattr(self, name) for name in FIELDS}
        return {name: values for name, values in named.items() if values is not None}

    @property
    def silent(self) -> bool:
        """Whether it says nothing about any VM."""
        return all(np.isnan(values).all() for values in self.given.values())

    def check(self, present: NDArray[np.bool_]) -> None:
        """Refuse what does not fit (H, V) slots, of which those marked hold a VM.

        Raises:
            ValueError: a field is not one finite value (or ``NO_CHANGE``) per slot; a cap may also
                be inf.
        """
        for name, given in self.given.items():
            values = np.asarray(given, dtype=np.float64)
            infinite = np.isneginf if name in UNBOUNDED_FIELDS else np.isinf
            if values.shape != present.shape or infinite(values[present]).any():
                slots = present.shape[1]
                raise ValueError(f"{name} is not one finite value for each of {slots} slots")

    @classmethod
    def no_change(cls, num_hosts: int, num_vms: int) -> Command:
        """The command that leaves every VM as it is."""
        return cls(balloon_bytes=np.full((num_hosts, num_vms), NO_CHANGE))


FIELDS = tuple(field.name for field in fields(Command))
"""Every field of a command."""
