"""What a plan is: commands that an oracle tries in copies of the world, decision by decision."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_runtime.command import Command

Floats = NDArray[np.float64]
Window = tuple[float, float]
"""Seconds from now in which a window of future demand begins and ends."""


class Planner(Protocol):
    """Several plans, tried side by side."""

    @property
    def num_plans(self) -> int:
        """P."""
        ...

    def __call__(self, engine: Engine, num_worlds: int, step: int) -> Command:
        """What every plan does now.

        Args:
            engine: of P * B worlds; worlds i B to (i + 1) B follow plan i.
            num_worlds: B.
            step: decisions since the plans began.

        Returns:
            A command for all of them.
        """
        ...


def window_knots(
    engine: Engine, start_s: Floats, end_s: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First knot of demand in a window, and the knot after its last, for the first N worlds.

    Args:
        engine: the worlds.
        start_s: (N,) seconds from now where each world's window begins, N <= B.
        end_s: (N,) seconds from now where it ends.

    Returns:
        Two (N,) arrays; every window has at least one knot.
    """
    n = start_s.shape[0]
    knot = engine.host[:n, at.TICK] * engine.params.clock.tick_s / engine.params.knot_s
    first = (knot + start_s / engine.params.knot_s).astype(np.int64)
    last = np.maximum((knot + end_s / engine.params.knot_s).astype(np.int64), first + 1)
    return first, last
