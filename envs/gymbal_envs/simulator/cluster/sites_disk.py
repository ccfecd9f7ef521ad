"""Disk replication: a first full copy, what is written behind its back, and synchronous writes.

The bitmap of a block replicator (DRBD) is gone through in order, so what was never copied (``new``)
comes first and what was written since (``again``) comes after it. A VM writes to a set of H bytes
over and over: w bytes/s of writes make ``again`` approach its copied part with hazard w / H.
"""

from __future__ import annotations

import math

from gymbal_envs.simulator.cluster.sites_layout import (
    COMMITS,
    DISK,
    DISK_AGAIN,
    DISK_NEW,
    WRITE_SET,
)
from gymbal_envs.simulator.compile import Floats, kernel


@kernel
def disk_left(vm: Floats, v: int) -> float:
    """Bytes of the disk that the other site does not have."""
    return vm[DISK_NEW, v] + vm[DISK_AGAIN, v]


@kernel
def write_behind(world_vm: Floats, vm: Floats, v: int, written: float) -> None:
    """The VM writes ``written`` bytes that are not replicated; blocks never copied wait anyway."""
    size = world_vm[WRITE_SET, v]
    if size <= 0.0 or world_vm[DISK, v] <= 0.0:
        return
    copied = size * (1.0 - vm[DISK_NEW, v] / world_vm[DISK, v])
    clean = max(copied - vm[DISK_AGAIN, v], 0.0)
    vm[DISK_AGAIN, v] += clean * (1.0 - math.exp(-written / size))


@kernel
def send_disk(vm: Floats, v: int, content: float) -> float:
    """Copy up to ``content`` bytes, new ones first; how many were copied."""
    new = min(content, vm[DISK_NEW, v])
    again = min(content - new, vm[DISK_AGAIN, v])
    vm[DISK_NEW, v] -= new
    vm[DISK_AGAIN, v] -= again
    return new + again


@kernel
def commit_speed(world_vm: Floats, v: int, activity: float, commit_s: float) -> float:
    """Speed of a VM whose commits wait for the other site, 0..1, as `models.md` 1.3 for faults.

    ``1 / (1 + commits x wait)`` with the VM's commits per second of full-speed work.
    """
    waits = world_vm[COMMITS, v] * activity * commit_s
    return 1.0 / (1.0 + waits)


@kernel
def replicated_share(wanted: float, granted: float, left: float, dt: float, resync: float) -> float:
    """Bytes/s of writes that are replicated, of ``granted`` bytes/s that are there for the disk.

    While ``left`` bytes still have to be caught up, these get the part ``resync`` as far as they
    need it; a VM that wants to write more than the rest waits for it.
    """
    catching_up = min(resync * granted, left / dt)
    return min(wanted, granted - catching_up)
