"""What follows from a record: rates to expect, seconds that copies take, who is worth more."""

from __future__ import annotations

from typing import cast

import numpy as np

from gymbal_runtime.sites.telemetry import BULK, LAST_COPY, PRECOPY, SitesTelemetry
from gymbal_runtime.telemetry import Bools, Floats

_LEAST_RATE = 1e3
"""Bytes/s: an estimate over a line that carries nothing stays finite."""


def copying(telemetry: SitesTelemetry) -> Bools:
    """VMs with a copy under way that takes what it can get, (B, V)."""
    phase = telemetry.phase
    greedy = (phase == BULK) | (phase == PRECOPY) | (phase == LAST_COPY)
    under_way: Bools = telemetry.present & ~telemetry.suspended & greedy
    return under_way


def expected_rate(telemetry: SitesTelemetry) -> Floats:
    """Bytes/s on the wire that one more copy of each VM can expect, (B, V).

    An equal part of what others leave of the line, between the VMs that copy and this one; no more
    than the distance allows.
    """
    busy = copying(telemetry)
    flows = busy.sum(axis=1, keepdims=True) + ~busy
    share = telemetry.wan_free_bytes_s[:, None] / np.maximum(flows, 1)
    rate = np.minimum(share, telemetry.flow_limit_bytes_s[:, None])
    return cast(Floats, np.maximum(rate, _LEAST_RATE))


def content_rate(telemetry: SitesTelemetry, reduced: Bools, redundancy: Floats) -> Floats:
    """Bytes/s before redundancy elimination that go over at `expected_rate`, (B, V).

    Args:
        telemetry: the record.
        reduced: (B, V) whether redundancy is eliminated.
        redundancy: (B, V) part that need not be sent.
    """
    plain = expected_rate(telemetry)
    hashed = plain / np.maximum(1.0 - redundancy, 0.05)
    hashed = np.minimum(hashed, telemetry.hash_bytes_s[:, None])
    return np.where(reduced, hashed, plain)


def memory_s(telemetry: SitesTelemetry, reduced: Bools | None = None) -> Floats:
    """Seconds that the memory that is left takes, (B, V)."""
    reduced = telemetry.reduced if reduced is None else reduced
    rate = content_rate(telemetry, reduced, telemetry.redundancy_memory)
    return telemetry.memory_left_bytes / rate


def disk_s(telemetry: SitesTelemetry, reduced: Bools | None = None) -> Floats:
    """Seconds that the disk that is left takes, (B, V)."""
    reduced = telemetry.reduced if reduced is None else reduced
    rate = content_rate(telemetry, reduced, telemetry.redundancy_disk)
    return telemetry.disk_left_bytes / rate


def stop_downtime_s(telemetry: SitesTelemetry) -> Floats:
    """Seconds that a VM would be paused if it were stopped now, (B, V).

    Memory and disk share what the VM can expect; the hand-over comes on top.
    """
    copy = memory_s(telemetry) + disk_s(telemetry)
    return copy + telemetry.hand_over_s[:, None]


def worth(telemetry: SitesTelemetry) -> Floats:
    """What a second at the wrong site costs, relative to the other VMs of the world, (B, V)."""
    value = np.where(telemetry.present, telemetry.shares * telemetry.away_cost, 0.0)
    mean = value.sum(axis=1, keepdims=True) / np.maximum(
        telemetry.present.sum(axis=1, keepdims=True), 1
    )
    return cast(Floats, value / np.maximum(mean, 1e-12))
