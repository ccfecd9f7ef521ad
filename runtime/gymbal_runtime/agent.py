"""Who decides: heuristics, oracles and learned policies meet behind one protocol."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.command import Command
from gymbal_runtime.telemetry import Telemetry


@runtime_checkable
class Agent(Protocol):
    """Decides for H hosts at once, from telemetry alone.

    An agent may remember: ``reset`` makes it forget the hosts that are marked, so that a finished
    episode never leaks into the next one. ``act`` must not change the record it is given, must
    treat every host on its own, and must give the same answer for a host whatever else is in the
    batch.
    """

    name: str

    def reset(self, num_hosts: int, num_vms: int, hosts: NDArray[np.bool_] | None = None) -> None:
        """Forget the marked hosts (all where ``hosts`` is None); from now on expect this shape."""

    def act(self, telemetry: Telemetry) -> Command:
        """Decide for every host of the record."""
        ...
