"""What VMs are entitled to when they share a whole centre by weight."""

from __future__ import annotations

import numpy as np

from gymbal_runtime.telemetry import Floats


def entitlements(wanted: Floats, weight: Floats, capacity: float) -> Floats:
    """Weighted max-min: nobody gets more than it wants, and who is cut gets by weight.

    Args:
        wanted: (V,) MIPS.
        weight: (V,) shares times MIPS.
        capacity: MIPS of all hosts together.

    Returns:
        (V,) MIPS; what is wanted if there is enough.
    """
    if wanted.sum() <= capacity:
        return wanted
    weight = np.maximum(weight, 1e-12)
    order = np.argsort(wanted / weight, kind="stable")
    sorted_want, sorted_weight = wanted[order], weight[order]
    served = np.concatenate([[0.0], np.cumsum(sorted_want)[:-1]])
    heavier = np.cumsum(sorted_weight[::-1])[::-1]
    level = (capacity - served) / heavier  # MIPS per weight if all from here on are cut
    cut = sorted_want / sorted_weight > level
    share = level[int(cut.argmax())] * weight
    entitled: Floats = np.minimum(wanted, share)
    return entitled
