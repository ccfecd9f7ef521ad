"""When hosts were overloaded and VMs short of memory: the one definition of each.

Pictures and reports read both from the simulator's true state; agents see neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.tasks.cluster_record import ClusterEpisode
from gymbal_runtime.cluster.telemetry import NOBODY

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RELEASE_S = 30.0
"""Two overloads of a host, or shortages of a VM, with less than this between them are one."""
SHORT_FRAC = 0.05
"""A VM is short of memory in an interval in which it loses more of its progress to memory."""


@dataclass(frozen=True)
class Overload:
    """A time in which a host needed more memory than it had.

    A host is *overloaded* at an instant when the kernels and working sets of its VMs sum to more
    than it has for them: its memory without what it has lent, reserved for arrivals and set aside
    in a pool. An overload lasts from the first such instant to the first that is none, and may have
    pauses of less than `RELEASE_S`. So it is about what is needed, not about who suffers: far
    memory makes an overload bearable, it does not end it.

    Attributes:
        host: place of the host.
        first: index of the first instant.
        last: index of the first instant after it; the number of instants where it is not over.
        begins_s: when.
        ends_s: when; the end of the record where it is not over.
        over: False where the record ends before it.
        peak_bytes: most that was missing at one instant.
        lost: mean progress lost to memory by the host's VMs during it, by their shares, 0..1.
    """

    host: int
    first: int
    last: int
    begins_s: float
    ends_s: float
    over: bool
    peak_bytes: float
    lost: float

    @property
    def lasts_s(self) -> float:
        """Seconds, until the end of the record where it is not over."""
        return self.ends_s - self.begins_s


@dataclass(frozen=True)
class Shortage:
    """A time in which a VM lost more than `SHORT_FRAC` of its progress to memory.

    In every interval of it, but for pauses of less than `RELEASE_S`. Its host need not be
    overloaded: the memory may be there, and with a neighbour. So this is about who suffers, and far
    memory may end it.

    Attributes:
        vm: identity.
        host: where it was at the beginning.
        first: index of the instant at which it begins.
        last: index of the instant at which it ends.
        begins_s: when.
        ends_s: when.
        over: False where the record ends before it, or the VM.
        lost: mean progress that it lost to memory, 0..1.
    """

    vm: int
    host: int
    first: int
    last: int
    begins_s: float
    ends_s: float
    over: bool
    lost: float

    @property
    def lasts_s(self) -> float:
        """Seconds, as far as the record goes."""
        return self.ends_s - self.begins_s


def shortages_of(episode: ClusterEpisode) -> list[Shortage]:
    """All shortages of all VMs, in the order of VMs and of time."""
    tracks, time_s = episode.tracks, episode.time_s
    lost = tracks.of_vms(episode.lost_to_memory_frac, 0.0)
    found = []
    for column, vm in enumerate(tracks.ids.tolist()):
        # What is lost in an interval stands at its end; at the first instant nothing is lost yet.
        for begin, end in stretches(lost[1:, column] > SHORT_FRAC, time_s[:-1], RELEASE_S):
            later = min(end + 1, time_s.size - 1)
            found.append(
                Shortage(
                    vm=vm,
                    host=int(tracks.host[begin, column]),
                    first=begin,
                    last=end,
                    begins_s=float(time_s[begin]),
                    ends_s=float(time_s[end]),
                    over=end < time_s.size - 1 and tracks.host[later, column] != NOBODY,
                    lost=float(lost[begin + 1 : end + 1, column].mean()),
                )
            )
    return found


def missing_bytes(episode: ClusterEpisode) -> Floats:
    """What the VMs of each host need beyond what it has for them, (T, H) >= 0."""
    needed = episode.needed_bytes.sum(axis=2)
    missing: Floats = np.maximum(needed - episode.available_bytes, 0.0)
    return missing * episode.exists


def overloads_of(episode: ClusterEpisode, release_s: float = RELEASE_S) -> list[Overload]:
    """All overloads of all hosts, in the order of hosts and of time."""
    missing = missing_bytes(episode)
    lost = _weighted_to_memory(episode)
    found = []
    for host in episode.hosts:
        for first, last in stretches(missing[:, host] > 0.0, episode.time_s, release_s):
            over = last < episode.time_s.size
            during = slice(first + 1, last + 1)  # an interval's loss stands at its end
            found.append(
                Overload(
                    host=int(host),
                    first=first,
                    last=last,
                    begins_s=float(episode.time_s[first]),
                    ends_s=float(episode.time_s[min(last, episode.time_s.size - 1)]),
                    over=over,
                    peak_bytes=float(missing[first:last, host].max()),
                    lost=float(lost[during, host].mean()) if lost[during, host].size else 0.0,
                )
            )
    return found


def stretches(marked: Bools, time_s: Floats, release_s: float) -> list[tuple[int, int]]:
    """First index and first index after of each stretch of marked instants.

    Args:
        marked: (T,).
        time_s: (T,).
        release_s: stretches with less than this between them are one.
    """
    steps = np.diff(np.concatenate([[0], marked.astype(np.int64), [0]]))
    found: list[tuple[int, int]] = []
    for first, last in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True):
        if found and time_s[first] - time_s[found[-1][1]] < release_s:
            found[-1] = (found[-1][0], int(last))
        else:
            found.append((int(first), int(last)))
    return found


def _weighted_to_memory(episode: ClusterEpisode) -> Floats:
    """(T, H) progress that each host's VMs lost to memory, by their shares."""
    weight = episode.shares
    mean: Floats = (weight * episode.lost_to_memory_frac).sum(axis=2)
    mean /= np.maximum(weight.sum(axis=2), 1e-12)
    return mean
