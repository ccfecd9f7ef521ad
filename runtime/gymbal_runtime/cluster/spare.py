"""Memory that nobody uses stays with its host, where it can be lent or take in a VM.

Local agents divide all of a host's memory, because alone a host has no use for what is left over.
In a cluster it has: far memory and arrivals need memory that no balloon has to give back first.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gymbal_runtime.command import Command
from gymbal_runtime.telemetry import Floats, Telemetry

STALL_FLOOR = 0.002
"""1, part of the time stalled on memory from which on a VM is given all that its agent says."""
THRIFT_SPAN = 0.4
"""1, most that hosts keep more or less than is set: a half changes 20 % of the unused memory."""


def leave_spare(command: Command, hosts: Telemetry, kept_frac: float | Floats) -> Command:
    """The same command with a part of what calm VMs would hold unused kept back.

    ``target - kept_frac * max(target - used, 0)`` for VMs that do not stall, where *used* is what
    the guest says it could not give without swapping; never below the configured floor.

    Args:
        command: what local agents say to H hosts; NaN leaves a VM what it holds.
        hosts: the record that they saw.
        kept_frac: 0..1, part of the unused memory that stays with the host; or (H, 1) of each.
    """
    told = np.where(np.isnan(command.balloon_bytes), hosts.actual_bytes, command.balloon_bytes)
    used = hosts.actual_bytes - np.nan_to_num(hosts.usable_bytes)
    calm = hosts.present & ~(hosts.psi_some_frac > STALL_FLOOR)
    kept = kept_frac * np.maximum(told - used, 0.0)
    lower = np.maximum(told - kept, hosts.memory_min_bytes)
    return replace(
        command, balloon_bytes=np.where(calm, np.minimum(lower, told), command.balloon_bytes)
    )


def thrifty(kept_frac: float, thrift: Floats) -> Floats:
    """The part that hosts keep, (H, 1), which are told to keep more or less than ``kept_frac``.

    Args:
        kept_frac: 0..1, what is set.
        thrift: (H,) -1..1, times `THRIFT_SPAN` is added; no host keeps less than nothing or more
            than everything.
    """
    kept: Floats = np.clip(kept_frac + THRIFT_SPAN * thrift, 0.0, 1.0)[:, None]
    return kept
