"""What a policy is asked about: a few VMs and orders, chosen by a rule that anybody can check.

A policy that scored every order of every VM would face thousands of actions, nearly all of them
pointless, and would have to try them all to learn so. The rules read the record alone, so that
encoding, masking and decoding agree.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gymbal_runtime.cluster.move_estimate import free_link
from gymbal_runtime.cluster.orders import Legal
from gymbal_runtime.cluster.suffering import STALL_FLOOR
from gymbal_runtime.cluster.telemetry import IDLE, NOBODY, ClusterTelemetry, Ints
from gymbal_runtime.telemetry import Bools, Floats

USED_FLOOR = 0.8
"""1, part of a host's memory in use from which on a policy is asked about its VMs. One decision
before an overload begins, three of four hosts use more; all hosts do a fifth of the time."""
MOST_TARGETS = 3
"""Hosts that a VM may be sent to: those with most room, of the ones that it fits on."""


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


def pressed_hosts(telemetry: ClusterTelemetry) -> Bools:
    """Hosts (C, H) that may need an order: a VM stalls, or memory in use is above `USED_FLOOR`."""
    hosts = telemetry.hosts
    held = np.where(hosts.present, hosts.actual_bytes - np.nan_to_num(hosts.usable_bytes), 0.0)
    used = telemetry.per_host(held.sum(axis=1)) > USED_FLOOR * telemetry.capacity_bytes
    with np.errstate(invalid="ignore"):
        stalls: Bools = telemetry.per_host((hosts.psi_some_frac > STALL_FLOOR) & hosts.present)
    pressed: Bools = used | stalls.any(axis=2)
    return pressed


def sensible(legal: Legal, telemetry: ClusterTelemetry) -> Legal:
    """The legal orders (of candidates, C, H, K) that a policy may choose from.

    Squeezing, borrowing, moving and cloning only for VMs of `pressed_hosts`, the latter two only to
    the `MOST_TARGETS` hosts with most room. What undoes something may always be chosen.
    """
    pressed = pressed_hosts(telemetry)[:, :, None]
    return replace(
        legal,
        squeeze=legal.squeeze & pressed,
        borrow=legal.borrow & pressed,
        migrate=_roomiest(legal.migrate & pressed[..., None], telemetry.room_bytes),
        clone=legal.clone & pressed[..., None],
    )


def _roomiest(targets: Bools, room_bytes: Floats) -> Bools:
    """Of the targets (C, H, K, H), those `MOST_TARGETS` with most room; ties to the lower host."""
    order = np.argsort(-room_bytes, axis=1, kind="stable")
    sorted_targets = np.take_along_axis(targets, order[:, None, None, :], axis=3)
    first = sorted_targets & (sorted_targets.cumsum(axis=3) <= MOST_TARGETS)
    back: Bools = np.take_along_axis(first, order.argsort(axis=1)[:, None, None, :], axis=3)
    return back
