"""Which VMs of a trace make a cluster, on which hosts they stand, and when the episode begins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.draws import Floats

Ints = NDArray[np.int64]


def alike(rng: np.random.Generator, memory: Floats, band: float, num_vms: int) -> NDArray[np.bool_]:
    """(N,) the VMs whose memory is within a factor ``band`` of that of one of them.

    A host of a few VMs is overcommitted several times over only where no VM is most of it: those of
    a cluster are alike, as flavours of a cloud are. The band widens until half of the ``num_vms``
    that are wanted are different ones.

    Args:
        rng: of this cluster.
        memory: (N,) provisioned bytes of the VMs to choose from.
        band: at least 1.
        num_vms: that the cluster will have.
    """
    centre = memory[rng.integers(memory.size)]
    enough = min(num_vms, memory.size) / 2
    while True:
        near: NDArray[np.bool_] = (memory <= centre * band) & (memory >= centre / band)
        if np.count_nonzero(near) >= enough:
            return near
        band *= 1.5


def deal(rng: np.random.Generator, pool: Ints, num_vms: int) -> tuple[Ints, Ints]:
    """(n,) VMs of the pool and (n,) how often each was dealt before, all as often as possible."""
    rounds = -(-num_vms // pool.size)
    rows = np.concatenate([rng.permutation(pool) for _ in range(rounds)])[:num_vms]
    copy = np.repeat(np.arange(rounds), pool.size)[:num_vms]
    return rows, copy


def pack(memory: Floats, counts: Ints) -> Ints:
    """(n,) host of each VM: the largest first, to the host with least memory per place.

    Args:
        memory: (n,) provisioned bytes.
        counts: (H,) VMs that each host takes, n in all.
    """
    host = np.zeros(memory.size, dtype=np.int64)
    taken, filled = np.zeros(counts.size), np.zeros(counts.size, dtype=np.int64)
    for vm in np.argsort(-memory, kind="stable"):
        open_to = np.where(filled < counts, taken / counts, np.inf)
        host[vm] = chosen = int(open_to.argmin())
        taken[chosen] += memory[vm]
        filled[chosen] += 1
    return host


def per_host(values: Floats, host: Ints, num_hosts: int) -> Floats:
    """(H, ...) sums over the VMs of each host, values (n, ...)."""
    total = np.zeros((num_hosts, *values.shape[1:]))
    np.add.at(total, host, values)
    return total


def onsets(load: Floats) -> Ints:
    """(E, 2) host and sample of every beginning of an overload, load (H, T) of host memory."""
    over = load > 1.0
    begins = over[:, 1:] & ~over[:, :-1]
    host, sample = np.nonzero(begins)
    return np.stack([host, sample + 1], axis=1)


def window_start(rng: np.random.Generator, load: Floats, window: int, overload_frac: float) -> int:
    """First of ``window`` samples: with some probability such that an overload begins in it.

    Overloads are rare (about 1 % of host time), so windows are drawn by importance: with
    probability ``overload_frac`` one beginning of an overload is drawn, each as likely as the
    others, and put anywhere in the first two thirds of the window. Every overload of the cluster is
    as likely to be the one, long or short, so what follows lasts as long as overloads do: a window
    drawn evenly from those that see an overload would see the long ones too often. Else, or where
    there is none, all windows are as likely.

    Args:
        rng: of this cluster.
        load: (H, T) working sets over memory.
        window: samples of an episode, at most T.
        overload_frac: probability.
    """
    last = load.shape[1] - window
    found = onsets(load)
    planned = rng.random() < overload_frac
    if not planned or found.size == 0:
        return int(rng.integers(0, last + 1))
    sample = found[int(rng.integers(found.shape[0])), 1]
    lead = int(rng.integers(1, max(2 * (window - 1) // 3, 1) + 1))
    return int(np.clip(sample - lead, 0, last))
