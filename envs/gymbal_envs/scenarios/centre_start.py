"""Where the VMs of a data centre run when an episode begins."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.draws import Floats
from gymbal_runtime.centre.telemetry import NOWHERE

Ints = NDArray[np.int64]


class Rooms(NamedTuple):
    """What hosts have, (H,) each."""

    memory_bytes: Floats
    mips: Floats  # that may be promised; inf where only memory counts


def start_vms(
    rng: np.random.Generator, start: str, rooms: Rooms, memory_bytes: Floats, wanted_mips: Floats
) -> Ints:
    """(n,) host of each VM, the largest first; NOWHERE for one that fits nowhere.

    Args:
        rng: of this centre.
        start: ``spread``: to the host that is emptiest for its size; ``packed``: to the first with
            the memory and the MIPS, or else with the memory; ``random``: to any with the memory.
        rooms: of the hosts.
        memory_bytes: (n,) of the VMs.
        wanted_mips: (n,) in the beginning.
    """
    host_of = np.full(memory_bytes.size, NOWHERE, dtype=np.int64)
    free, mips = rooms.memory_bytes.copy(), rooms.mips.copy()
    for vm in np.argsort(-memory_bytes, kind="stable"):
        fits = free >= memory_bytes[vm]
        if not fits.any():
            continue
        if start == "spread":
            chosen = int(np.where(fits, free / rooms.memory_bytes, -1.0).argmax())
        elif start == "packed":
            both = fits & (mips >= wanted_mips[vm])
            chosen = int((both if both.any() else fits).argmax())
        else:
            chosen = int(rng.choice(np.flatnonzero(fits)))
        host_of[vm] = chosen
        free[chosen] -= memory_bytes[vm]
        mips[chosen] -= wanted_mips[vm]
    return host_of
