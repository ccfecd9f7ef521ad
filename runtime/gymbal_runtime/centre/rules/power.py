"""What a host draws at a given CPU utilisation.

Watts at 0, 10, ..., 100 % of load are the servers' SPECpower_ssj2008 results
(https://www.spec.org/power_ssj2008), as tabulated by CloudSim 3.0.3 and by Beloglazov and Buyya,
CCPE 24(13), 2012, table II (ML110 G4 and G5). Between two of them power is linear.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gymbal_runtime.machine_code import Floats, lean_kernel

NUM_LEVELS = 11


@dataclass(frozen=True)
class PowerCurve:
    """Power of one model of server.

    Raises:
        ValueError: naming the curve, the value and what is needed.
    """

    name: str
    watts: tuple[float, ...]  # (11,) W at 0, 10, ..., 100 % of load

    def __post_init__(self) -> None:
        """Check what a kernel could not."""
        if len(self.watts) != NUM_LEVELS:
            raise ValueError(
                f"watts of {self.name!r} has {len(self.watts)} values; give {NUM_LEVELS}, "
                "one for each of 0, 10, ..., 100 % of load"
            )
        wrong = [watt for watt in self.watts if not (math.isfinite(watt) and watt >= 0.0)]
        if wrong:
            raise ValueError(f"watts of {self.name!r} holds {wrong[0]}; give 0 W or more")


POWER_CURVES: dict[str, PowerCurve] = {
    name: PowerCurve(name, watts)
    for name, watts in {
        # HP ProLiant ML110 G3, Pentium D930
        "ml110_g3": (105.0, 112.0, 118.0, 125.0, 131.0, 137.0, 147.0, 153.0, 157.0, 164.0, 169.0),
        # HP ProLiant ML110 G4, Xeon 3040 (2 cores of 1860 MHz)
        "ml110_g4": (86.0, 89.4, 92.6, 96.0, 99.5, 102.0, 106.0, 108.0, 112.0, 114.0, 117.0),
        # HP ProLiant ML110 G5, Xeon 3075 (2 cores of 2660 MHz)
        "ml110_g5": (93.7, 97.0, 101.0, 105.0, 110.0, 116.0, 121.0, 125.0, 129.0, 133.0, 135.0),
        # IBM x3250, Xeon X3470 (4 cores of 2933 MHz)
        "x3250_x3470": (41.6, 46.7, 52.3, 57.9, 65.4, 73.0, 80.7, 89.5, 99.6, 105.0, 113.0),
        # IBM x3250, Xeon X3480 (4 cores of 3067 MHz)
        "x3250_x3480": (42.3, 46.7, 49.7, 55.4, 61.8, 69.3, 76.1, 87.0, 96.1, 106.0, 113.0),
        # IBM x3550, two Xeon X5670 (12 cores of 2933 MHz)
        "x3550_x5670": (66.0, 107.0, 120.0, 131.0, 143.0, 156.0, 173.0, 191.0, 211.0, 229.0, 247.0),
        # IBM x3550, two Xeon X5675 (12 cores of 3067 MHz)
        "x3550_x5675": (58.4, 98.0, 109.0, 118.0, 128.0, 140.0, 153.0, 170.0, 189.0, 205.0, 222.0),
    }.items()
}


def watts_table(curves: Sequence[str]) -> Floats:
    """Rows of watts for hosts with the named curves, (H, 11) W.

    Raises:
        ValueError: an unknown name; lists the known ones.
    """
    unknown = sorted(set(curves) - set(POWER_CURVES))
    if unknown:
        raise ValueError(f"unknown power curve {unknown[0]!r}; known: {', '.join(POWER_CURVES)}")
    return np.array([POWER_CURVES[name].watts for name in curves], dtype=np.float64)


@lean_kernel
def power_w(curve_row: Floats, utilisation: float) -> float:
    """Power (W) at a CPU utilisation in [0, 1], linear between the eleven measured levels.

    The order of operations is CloudSim's: hosts on the same straight piece tie when a placement
    compares how much power they would add, and then the last bit decides.
    """
    below = math.floor(utilisation * 10.0)
    low = curve_row[below]
    per_percent = (curve_row[math.ceil(utilisation * 10.0)] - low) / 10.0
    return low + per_percent * (utilisation - below / 10.0) * 100.0
