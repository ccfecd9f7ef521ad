"""How long a VM has been short of memory, and how long it was before: what every rule waits by.

A VM suffers while it swaps in faster than a floor or stalls on memory more than a floor, and for a
release time afterwards, so that a gap between two bursts is not the end of an overload. Far memory
makes an overload bearable, not over: its pages are swapped in as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.telemetry import Bools, Floats

RATE_FLOOR_BYTES_S = 1.0e6
"""bytes/s, 250 pages: more than an idle guest's now and then."""
STALL_FLOOR = 0.05
"""Part of the time: on a disk that serves 100 pages/s a starved VM never reaches the rate."""
RELEASE_S = 30.0
"""s of quiet after which an overload is over."""


@dataclass(frozen=True, slots=True)
class Floors:
    """From when on a VM counts as suffering, and until when.

    Attributes:
        rate_bytes_s: bytes/s swapped in.
        stall: 1, part of the time stalled on memory (PSI some).
        release_s: s of quiet after which it is over.
    """

    rate_bytes_s: float = RATE_FLOOR_BYTES_S
    stall: float = STALL_FLOOR
    release_s: float = RELEASE_S


def above_floors(telemetry: ClusterTelemetry, floors: Floors) -> Bools:
    """VMs (C, H, V) that are short of memory in this record; what was not measured is 0."""
    hosts = telemetry.hosts
    with np.errstate(invalid="ignore"):
        short = (hosts.swap_in_rate > floors.rate_bytes_s) | (hosts.psi_some_frac > floors.stall)
    above: Bools = telemetry.per_host(short & hosts.present)
    return above


def note(onset_s: Floats, last_s: Floats, now_s: Floats, above: Bools, release_s: float) -> Floats:
    """Take note of one record, in place.

    Args:
        onset_s: (C, H, V) when the present overload began, NaN where there is none.
        last_s: (C, H, V) when the VM was last above a floor, NaN never.
        now_s: (C,) clock.
        above: (C, H, V) VMs above a floor now.
        release_s: s of quiet after which an overload is over.

    Returns:
        (C, H, V) s, length of the overloads that have just ended, without the quiet; NaN elsewhere.
    """
    now = now_s[:, None, None]
    with np.errstate(invalid="ignore"):
        over = ~above & (now - last_s >= release_s)
    ended = np.where(over, last_s - onset_s, np.nan)
    onset_s[over] = np.nan
    np.copyto(onset_s, np.broadcast_to(now, onset_s.shape), where=above & np.isnan(onset_s))
    np.copyto(last_s, np.broadcast_to(now, last_s.shape), where=above)
    return ended


def elapsed_s(onset_s: Floats, now_s: Floats) -> Floats:
    """How long each VM has been suffering, (C, H, V) s; 0 where it does not."""
    elapsed: Floats = np.nan_to_num(np.maximum(now_s[:, None, None] - onset_s, 0.0))
    return elapsed
