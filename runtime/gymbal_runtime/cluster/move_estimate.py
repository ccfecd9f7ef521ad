"""What a live migration would take, from what is measured: size, dirty rate, dirty set, link.

The geometric closed form of iterative pre-copy with a bounded dirty set. Pass 0 sends the whole VM
in T0 = M / B; what is written meanwhile, at most the dirty set, is pass 1, and from then on each
pass is d / B of the one before it. It is an estimate for decisions: the rules of hypervisors
differ, and so do links.

Source of the form: Liu et al., "Performance and energy modeling for live migration of virtual
machines" (HPDC 2011); models.md 6.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.telemetry import Floats

LEAST_LINK_SHARE = 0.1
"""A busy link still gives a new flow this part of it: sharing is max-min, not first come."""
CONVERGING = 0.9
"""Passes that shrink by less than a tenth end by a limit on their number, not by themselves."""
MAX_PASSES = 5.0
"""Limit on the number of passes after the first: Xen's (xg_sr_save.c)."""


@dataclass(frozen=True, slots=True)
class MoveEstimate:
    """What moving each VM would take; arrays of one shape."""

    total_s: Floats  # s until it runs at its target
    downtime_s: Floats  # s paused
    bytes: Floats  # on the wire
    converges: NDArray[np.bool_]  # its passes shrink


def estimate_move(
    size: Floats, dirty_rate: Floats, dirty_set: Floats, link: Floats
) -> MoveEstimate:
    """Estimate a pre-copy migration.

    Args:
        size: bytes of the VM.
        dirty_rate: bytes/s of distinct pages written; NaN counts as 0.
        dirty_set: bytes written again and again; NaN: at most the whole VM.
        link: bytes/s that the move would get, above 0.
    """
    rate = np.where(np.isnan(dirty_rate), 0.0, dirty_rate)
    hot = np.minimum(np.where(np.isnan(dirty_set), size, dirty_set), size)
    first_s = size / link
    again = np.minimum(rate * first_s, hot)
    shrink = rate / link
    converges = shrink < CONVERGING
    passes = np.minimum(1.0 / np.maximum(1.0 - shrink, 1.0 - CONVERGING), MAX_PASSES)
    sent = size + again * np.where(converges, passes, MAX_PASSES)
    left = np.where(converges, again * np.minimum(shrink, 1.0) ** (MAX_PASSES - 1.0), hot)
    return MoveEstimate(
        total_s=sent / link, downtime_s=left / link, bytes=sent, converges=converges
    )


def free_link(nic: Floats, sent: Floats, received: Floats) -> tuple[Floats, Floats]:
    """bytes/s that a new flow would get out of and into each host, (C, H) each."""
    least = LEAST_LINK_SHARE * nic
    outbound: Floats = np.maximum(np.maximum(nic - sent, least), 1.0)
    inbound: Floats = np.maximum(np.maximum(nic - received, least), 1.0)
    return outbound, inbound
