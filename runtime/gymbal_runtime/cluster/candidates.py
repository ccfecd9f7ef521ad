"""Which VMs of each host a policy is asked about: a few, chosen by a rule that anybody can check.

A policy that scored every order of every VM would face thousands of actions, nearly all of them
pointless. The rule reads the record alone, so that encoding, masking and decoding agree.
"""

from __future__ import annotations

import numpy as np

from gymbal_runtime.cluster.move_estimate import free_link
from gymbal_runtime.cluster.suffering import STALL_FLOOR
from gymbal_runtime.cluster.telemetry import IDLE, NOBODY, ClusterTelemetry, Ints
from gymbal_runtime.telemetry import Floats


def choose_candidates(telemetry: ClusterTelemetry, count: int) -> Ints:
    """The VMs of each host that most need an order, most urgent first.

    In this order: VMs that stall on memory for more than `STALL_FLOOR` of the time, by how much;
    VMs that borrow or have far pages, by how many; VMs that move or have a twin; then those whose
    move frees most memory of the host for what it has to send. Ties go to the lower slot.

    Args:
        telemetry: record of C clusters of H hosts.
        count: K, candidates of each host.

    Returns:
        (C, H, K) slots, -1 where the host has fewer VMs; a slot is named at most once.
    """
    return ranked_candidates(telemetry, count)[0]


def ranked_candidates(telemetry: ClusterTelemetry, count: int) -> tuple[Ints, Floats]:
    """The same, and the `urgency` of each, (C, H, K); -1 where it is nobody."""
    rank = urgency(telemetry)
    # Negated, because a stable sort then prefers lower slots among equals.
    order = np.argsort(-rank, axis=2, kind="stable")[:, :, :count]
    ranks = np.take_along_axis(rank, order, axis=2)
    if count > telemetry.num_vms:
        more = ((0, 0), (0, 0), (0, count - telemetry.num_vms))
        order, ranks = np.pad(order, more), np.pad(ranks, more, constant_values=-1.0)
    return np.where(ranks >= 0.0, order, NOBODY), ranks


def urgency(telemetry: ClusterTelemetry) -> Floats:
    """How much each VM needs an order, (C, H, V), -1 where there is none.

    0..1 a good mover, 1..2 one that moves or has a twin, 2..3 one that borrows, 3..4 one that
    stalls.
    """
    size = telemetry.size_bytes
    capacity = np.maximum(telemetry.capacity_bytes, 1.0)[:, :, None]
    outbound, _ = free_link(
        telemetry.nic_bytes_s, telemetry.sent_bytes_s, telemetry.received_bytes_s
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        again = np.minimum(  # bytes written while the VM is sent once
            telemetry.dirty_rate_bytes_s * (size / outbound[:, :, None]),
            telemetry.dirty_set_bytes,
        )
        rank = size / capacity / (1.0 + np.where(np.isnan(again), 0.0, again) / size)
    mover = np.where(np.isnan(rank), 0.0, rank).clip(0.0, 0.999)
    # Among equals the better mover goes first.
    tie = 0.01 * mover
    busy = (telemetry.move_phase != IDLE) | (telemetry.twin != NOBODY)
    rank = np.where(busy, 1.0 + tie + 0.98 * telemetry.move_progress.clip(0.0, 1.0), mover)
    borrows = telemetry.borrowing | (telemetry.far_bytes > 0.0)
    far = (telemetry.far_bytes / capacity).clip(0.0, 1.0)
    rank = np.where(borrows, 2.0 + tie + 0.98 * np.where(np.isnan(far), 0.0, far), rank)
    stall = telemetry.per_host(telemetry.hosts.psi_some_frac)
    with np.errstate(invalid="ignore"):
        rank = np.where(stall > STALL_FLOOR, 3.0 + tie + 0.98 * stall.clip(0.0, 1.0), rank)
    return np.where(telemetry.present, rank, -1.0)
