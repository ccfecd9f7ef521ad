"""One resource as a policy meets it: what it sees of it, and what its numbers do to it.

A task is a tuple of parts; its observation rows are the parts' columns side by side, its action is
one number in [-1, 1] per VM and action name. Zero everywhere is exactly the heuristic's command.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.command import Command
from gymbal_runtime.quantities import Quantity
from gymbal_runtime.telemetry import Telemetry

Floats = NDArray[np.float64]


class Part(Protocol):
    """How one resource is observed and commanded.

    Attributes:
        name: of the resource.
        actions: names of its actions, one number per VM each.
        constants: numbers that say how strong an action is, by name; they are part of a codec's
            fingerprint.
        vm_quantities: what is seen of each VM now, in the order of the observation's columns.
        tracked: names of those whose changes against the last decisions are seen, too.
        history_quantities: those changes, one per tracked name, in the same order.
        host_quantities: what is seen of the host.
    """

    name: str
    actions: tuple[str, ...]
    constants: dict[str, float]
    vm_quantities: tuple[Quantity, ...]
    tracked: tuple[str, ...]
    history_quantities: tuple[Quantity, ...]
    host_quantities: tuple[Quantity, ...]

    def vm_columns(self, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """(H, V) of each name in ``vm_quantities``; NaN, infinite and out-of-bounds are allowed.

        Args:
            telemetry: record of H hosts.
            base: what the heuristic proposes for this record.
        """
        ...

    def host_columns(self, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """(H,) of each name in ``host_quantities``; NaN, infinite and out-of-bounds are allowed."""
        ...

    def decode(self, action: Floats, telemetry: Telemetry, base: Command) -> dict[str, Floats]:
        """The fields of a `Command` that this part decides, always feasible.

        Args:
            action: (H, V, len(actions)) finite, in [-1, 1]; 0 gives ``base``.
            telemetry: the record that was seen.
            base: what the heuristic proposed.

        Returns:
            Field name to (H, V); NaN for slots without a VM.
        """
        ...
