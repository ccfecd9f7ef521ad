"""From the engine's tables to what a cluster reports, and to what is measured of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster import migration_layout as move_at
from gymbal_envs.simulator.host_power import (
    ENERGY,
    FULL_S,
    NUM_STATES,
    SLEEP_W,
    SLEEPS,
    STATE,
    STATE_S,
    STATE_TIME,
    WAKE_S,
    WAKE_W,
    WAKES,
)
from gymbal_envs.simulator.readings import read_telemetry
from gymbal_runtime.centre.telemetry import ON
from gymbal_runtime.cluster.powered import PoweredTelemetry
from gymbal_runtime.cluster.telemetry import NOBODY, ClusterTelemetry
from gymbal_runtime.telemetry import Telemetry

if TYPE_CHECKING:
    from gymbal_envs.simulator.cluster.engine import ClusterEngine

Floats = NDArray[np.float64]
T = TypeVar("T", bound=np.generic)

DIRTY_WINDOW_S = 1.0
"""Seconds over which distinct written pages are counted (QEMU's calc-dirty-rate: 1 s)."""


def read_cluster(engine: ClusterEngine) -> ClusterTelemetry:
    """What every cluster reports now."""
    return ClusterTelemetry(**_columns(engine))


def read_powered(engine: ClusterEngine) -> PoweredTelemetry:
    """The same with what hosts draw, and who waits for a host.

    Nothing is said of VMs that have not come yet.
    """
    shape = (engine.num_clusters, engine.num_hosts)
    rows = (*shape, engine.num_vms)
    columns, guest = _columns(engine), engine.guest
    waiting = guest[:, at.WAITING] > 0
    hosts: Telemetry = columns["hosts"]
    known = hosts.present | waiting
    now = np.repeat(engine.cluster[:, at.TIME], engine.num_hosts)[:, None]
    columns["hosts"] = replace(
        hosts,
        shares=np.where(known, hosts.shares, 0.0),
        memory_max_bytes=np.where(known, hosts.memory_max_bytes, 0.0),
        memory_min_bytes=np.where(known, hosts.memory_min_bytes, 0.0),
    )
    return PoweredTelemetry(
        state=engine.power[:, STATE].astype(np.int64).reshape(shape),
        state_s=engine.power[:, STATE_S].reshape(shape).copy(),
        draining=(engine.member[:, at.DRAINS] > 0).reshape(shape),
        cores=engine.member[:, at.CORES].reshape(shape).copy(),
        watts=engine.member[:, at.WATTS].reshape(shape).copy(),
        power_w=engine.watts.reshape(*shape, -1).copy(),
        sleep_w=engine.power_fixed[:, SLEEP_W].reshape(shape).copy(),
        wake_s=engine.power_fixed[:, WAKE_S].reshape(shape).copy(),
        wake_w=engine.power_fixed[:, WAKE_W].reshape(shape).copy(),
        waiting=waiting.reshape(rows),
        waited_s=np.where(waiting, now - guest[:, at.ARRIVED_AT], 0.0).reshape(rows),
        **columns,
    )


def _columns(engine: ClusterEngine) -> dict[str, Any]:
    """What every cluster reports, by field."""
    hosts = read_telemetry(engine.hosts)
    shape = (engine.num_clusters, engine.num_hosts)
    rows = (*shape, engine.num_vms)
    member, guest, phase = engine.member, engine.guest, engine.slot[:, :, move_at.PHASE]
    present = hosts.present
    moving = phase != move_at.IDLE
    now = np.repeat(engine.cluster[:, at.TIME], engine.num_hosts)[:, None]
    rate, writes = dirtying(engine)
    seconds = max(engine.interval_s, engine.params.clock.tick_s)

    def of_host(values: NDArray[T]) -> NDArray[T]:
        return values.reshape(shape).copy()

    def of_vm(values: NDArray[T]) -> NDArray[T]:
        return values.reshape(rows).copy()

    return {
        "hosts": hosts,
        "exists": of_host(member[:, at.EXISTS] > 0),
        "lends": of_host(member[:, at.SERVES] > 0),
        "site": of_host(member[:, at.SITE].astype(np.int64)),
        "capacity_bytes": of_host(member[:, at.PHYSICAL]),
        "lent_bytes": of_host(member[:, at.LENT]),
        "reserved_bytes": of_host(member[:, at.RESERVED] + member[:, at.LEFT_HERE]),
        "pool_bytes": of_host(member[:, at.POOL]),
        "room_bytes": of_host(member[:, at.ROOM]),
        "lendable_bytes": of_host(member[:, at.LENDABLE]),
        "nic_bytes_s": of_host(member[:, at.NIC]),
        "sent_bytes_s": of_host(member[:, at.SENT] / seconds),
        "received_bytes_s": of_host(member[:, at.RECEIVED] / seconds),
        "far_latency_s": of_host(member[:, at.FAR_WAIT]),
        "vm_id": of_vm(np.where(present, guest[:, at.IDENTITY], NOBODY).astype(np.int64)),
        "size_bytes": of_vm(guest[:, at.SIZE]),
        "clone_bytes": of_vm(guest[:, at.CLONE_SIZE]),
        "far_bytes": of_vm(guest[:, at.FAR]),
        "borrowing": of_vm(guest[:, at.BORROWING] > 0),
        "boosted": of_vm(present & (guest[:, at.BOOSTED_UNTIL] > now)),
        "dirty_rate_bytes_s": of_vm(np.where(present, rate, np.nan)),
        "dirty_set_bytes": of_vm(np.where(present, writes, np.nan)),
        "move_phase": of_vm(phase.astype(np.int64)),
        "move_target": of_vm(np.where(moving, guest[:, at.MOVE_TARGET], NOBODY).astype(np.int64)),
        "move_progress": of_vm(np.where(moving, engine.slot[:, :, move_at.PASS_DONE], 0.0)),
        "move_s": of_vm(np.where(moving, now - guest[:, at.MOVE_SINCE], 0.0)),
        "arriving": of_vm(guest[:, at.ARRIVING] > 0),
        "clonable": of_vm(present & (guest[:, at.CLONABLE] > 0)),
        "twin": of_vm(guest[:, at.TWIN_HOST].astype(np.int64)),
        "pinned": of_vm(present & (engine.hosts.vm[:, host_at.DEVICE_MODE] > 0)),
    }


def dirtying(engine: ClusterEngine) -> tuple[Floats, Floats]:
    """Bytes of distinct pages that every VM writes per second, and that it writes at all, (N, V).

    Groups of models.md 6.1 at the progress of the last tick: what a log of written pages, fetched
    after `DIRTY_WINDOW_S`, would show.
    """
    vm = engine.hosts.vm
    n, v = engine.hosts.num_worlds, engine.num_vms
    form = engine.slot[:, :, at.DIRTY_FORM : at.FAR_AT].reshape(n, v, move_at.NUM_GROUPS, -1)
    size = form[..., move_at.SIZE] * vm[:, host_at.HOT][..., None]
    tau = np.maximum(form[..., move_at.TAU], 1e-9)
    served = vm[:, host_at.GRANTED_CORES] / np.maximum(vm[:, host_at.WANTED_CORES], 1e-9)
    rows = (host_at.SPEED, host_at.CACHE_SPEED, host_at.IO_SPEED, host_at.WAKE_SPEED)
    ran = served * vm[:, rows].prod(axis=1) * (1.0 - vm[:, host_at.HELD_BACK])
    ran[vm[:, host_at.STALL_S] > 0.0] = 0.0
    written_s = (DIRTY_WINDOW_S * ran)[..., None]
    sweeps = form[..., move_at.KIND] == move_at.SWEEP
    part = np.where(sweeps, np.minimum(written_s / tau, 1.0), -np.expm1(-written_s / tau))
    writes = np.where(np.isfinite(form[..., move_at.TAU]), size, 0.0)
    return (size * part).sum(axis=-1) / DIRTY_WINDOW_S, writes.sum(axis=-1)


VM_SUMS = {
    "move_downtime_s": at.DOWN_S,
    "move_held_back_s": at.HELD_S,
    "move_bytes": at.MOVE_BYTES,
    "far_bytes": at.FAR_BYTES,
    "clone_bytes": at.CLONE_BYTES,
    "pulled_bytes": at.PULLED,
    "moves_begun": at.BEGUN,
    "moves_finished": at.FINISHED,
    "moves_cancelled": at.CANCELLED,
    "moves_failed": at.FAILED,
    "cloned": at.CLONED,
    "merged": at.MERGED,
    "orders_refused": at.REFUSED,
    "far_bytes_lost": at.LOST_BYTES,
    "vms_stopped": at.STOPPED,
}
"""What `measured` adds up over a cluster's VMs, by name."""
HOST_SUMS = {
    "set_aside_byte_s": at.IDLE_BYTE_S,
    "lent_byte_s": at.LENT_BYTE_S,
    "called_back_bytes": at.CALLED_BACK,
    "network_bytes": at.SENT,
}
"""What `measured` adds up over its hosts."""
MEASURED = (*VM_SUMS, *HOST_SUMS)


POWER_SUMS = {
    "on_s": STATE_TIME + ON,
    "full_s": FULL_S,
    "sleeps": SLEEPS,
    "wakes": WAKES,
}
"""What `power_measured` adds up over a cluster's hosts, by name."""
WAITING_SUMS = {"waited_s": at.WAITED_S, "vms_placed": at.PLACED}
"""What it adds up over its VMs."""


def host_energy_j(engine: ClusterEngine) -> Floats:
    """J that each host took in the last interval, (C, H)."""
    out = engine.power_outcome.reshape(engine.num_clusters, engine.num_hosts, -1)
    energy: Floats = out[:, :, ENERGY : ENERGY + NUM_STATES].sum(axis=2)
    return energy


def power_measured(engine: ClusterEngine) -> dict[str, Floats]:
    """What the last interval took of hosts that can sleep and of VMs that came, (C,) each.

    ``energy_j``, ``on_s`` and ``full_s`` (of host time), ``sleeps``, ``wakes``,
    ``power_orders_refused``, ``waited_s`` (of VM time) and ``vms_placed``.
    """
    c, h = engine.num_clusters, engine.num_hosts
    out = engine.power_outcome.reshape(c, h, -1)
    vms = engine.guest.reshape(c, h, at.NUM_GUEST, -1)
    refused = engine.member[:, at.POWER_REFUSED].reshape(c, h)
    return {
        "energy_j": out[:, :, ENERGY : ENERGY + NUM_STATES].sum(axis=(1, 2)),
        **{name: out[:, :, row].sum(axis=1) for name, row in POWER_SUMS.items()},
        **{name: vms[:, :, row].sum(axis=(1, 2)) for name, row in WAITING_SUMS.items()},
        "power_orders_refused": refused.sum(axis=1),
    }


def measured(engine: ClusterEngine, names: Iterable[str] = MEASURED) -> dict[str, Floats]:
    """What happened in each cluster in the last interval, (C,) each; names and units above."""
    c, h = engine.num_clusters, engine.num_hosts
    vms = engine.guest.reshape(c, h, at.NUM_GUEST, -1)
    hosts = engine.member.reshape(c, h, at.NUM_MEMBER)

    def total(name: str) -> Floats:
        if name in HOST_SUMS:
            return hosts[:, :, HOST_SUMS[name]].sum(axis=1)
        return vms[:, :, VM_SUMS[name]].sum(axis=(1, 2))

    return {name: total(name) for name in names}
