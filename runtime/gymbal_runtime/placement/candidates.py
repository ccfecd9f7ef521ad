"""Which hosts a policy is asked about: a few for each VM, whatever the size of the data centre.

The filter is written down, so that a bundle means the same everywhere. Of the hosts with the memory
for a VM it takes, in this order and none twice:

| places | which hosts |
|---|---|
| 4 | with VMs, where the table of co-runs says that least progress is lost |
| 1 | with VMs, the fullest that stays below its MIPS |
| 1 | with VMs, the emptiest |
| 1 | on without VMs or on its way to be on, the cheapest by the same table |
| 1 | asleep, the one whose power at full use is least per MIPS |

What the heuristic proposes is always among them, in the place of the fourth where nothing else has
it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_runtime.centre.telemetry import NOWHERE, Ints
from gymbal_runtime.placement.books import COMING, IN_USE, SLEEPING, SPARE, Books
from gymbal_runtime.placement.heuristics.interference import CompatibleFit
from gymbal_runtime.telemetry import Bools, Floats

NUM_CANDIDATES = 8
"""K, hosts that a policy is asked about for each VM."""
_BY_TABLE = 4
_LAST_BY_TABLE = _BY_TABLE - 1
MOST_USE = 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What the filter looks at for one VM of each of C centres.

    Attributes:
        suffered: (C, H) extra time of the VM on each host by the table of co-runs.
        caused: (C, H) loss of the VMs there by the same table, over the worth of the VM.
        use: (C, H) part of the host's MIPS that would be wanted.
        fits: (C, H) it has the memory.
    """

    suffered: Floats
    caused: Floats
    use: Floats
    fits: Bools

    @property
    def lost(self) -> Floats:
        """All that would be lost there, (C, H), over the worth of the VM."""
        lost: Floats = self.suffered / (1.0 + self.suffered) + self.caused
        return lost


_TABLE = CompatibleFit()


def ask(books: Books, vm: Ints) -> Asked:
    """Look at all hosts for one VM of each centre (C,)."""
    suffered, caused = _TABLE.extra_time(books, vm)
    own = np.maximum(np.asarray(books.of(books.worth, vm), dtype=np.float64), 1e-9)
    return Asked(suffered, caused / own[:, None], books.use_after(vm), books.fits(vm))


def candidates_of(books: Books, asked: Asked, proposed: Ints) -> Ints:
    """Hosts for one VM of each centre, (C, K); NOWHERE where there are fewer.

    Args:
        books: of the centres.
        asked: about the VM.
        proposed: (C,) what the heuristic chose, NOWHERE where it lets the VM wait.
    """
    group, fits = books.group, asked.fits
    in_use = fits & ((group == IN_USE) | (books.vms > 0)) & (group <= SPARE)
    empty = fits & ((group == SPARE) | (group == COMING)) & ~in_use
    asleep = fits & (group == SLEEPING)
    tight = np.where(asked.use <= MOST_USE, -asked.use, asked.use)
    t = books.telemetry
    watts_per_mips = t.power_w[..., -1] / np.maximum(books.capacity_mips, 1e-9)
    free = np.ones(fits.shape, dtype=np.bool_)
    found = np.full((fits.shape[0], NUM_CANDIDATES), NOWHERE, dtype=np.int64)
    keys = [(in_use, asked.lost)] * _BY_TABLE
    keys += [(in_use, tight), (in_use, asked.use), (empty, asked.lost), (asleep, watts_per_mips)]
    for k, (pool, key) in enumerate(keys):
        _take(found, k, free, pool, key)
    missing = (proposed != NOWHERE) & ~(found == proposed[:, None]).any(axis=1)
    found[:, _LAST_BY_TABLE] = np.where(missing, proposed, found[:, _LAST_BY_TABLE])
    return found


def _take(found: Ints, k: int, free: Bools, pool: Bools, key: Floats) -> None:
    """The best host of each pool that nobody has taken, into column ``k``."""
    open_to = pool & free
    some = open_to.any(axis=1)
    best = np.where(open_to, key, np.inf).argmin(axis=1)
    found[:, k] = np.where(some, best, NOWHERE)
    c = np.flatnonzero(some)
    free[c, best[c]] = False


def place_of(found: Ints, host: Ints) -> Ints:
    """Which of the candidates (C, K) a host (C,) is, counted from 1; 0 where it is none."""
    same = (found == host[:, None]) & (host != NOWHERE)[:, None]
    place: Ints = np.where(same.any(axis=1), same.argmax(axis=1) + 1, 0)
    return place
