"""Telemetry to columns: the code of the tables in `gymbal_runtime.cluster.layers.quantities`.

A host is seen as the sum of its VMs, so that a step costs no more than V + H. The clock is not
seen: a record does not say at which time of day it was taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_runtime.centre.loads import ratio
from gymbal_runtime.centre.orders import SLEEP, WAKE
from gymbal_runtime.centre.telemetry import HOST_STATES, WAKING
from gymbal_runtime.cluster.heuristics.layered import wanted_cores
from gymbal_runtime.cluster.heuristics.situation import leaving
from gymbal_runtime.cluster.orders import BORROW, CLONE, MIGRATE, PLACE, Orders
from gymbal_runtime.cluster.powered import PoweredTelemetry
from gymbal_runtime.host_columns import against_mean, flag, imbalance, turn
from gymbal_runtime.parts.scales import known, log_scaled
from gymbal_runtime.row_layout import Columns
from gymbal_runtime.telemetry import Bools, Floats

_FEW = 63.0


@dataclass(frozen=True, slots=True)
class Loads:
    """What the VMs of each host add up to, (C, H) each but ``used`` (C, H, V)."""

    used: Floats  # bytes that a VM could not give up
    on_host: Floats  # bytes, of all VMs of a host
    swapped: Floats  # bytes
    cores: Floats  # wanted
    vms: Floats
    shares: Floats
    pressure: Floats  # part of the time stalled, weighted by shares and not yet divided by them

    @classmethod
    def of(cls, t: PoweredTelemetry) -> Loads:
        """Add up; slots without a VM may hold anything."""
        present, hosts = t.present, t.hosts

        def of_vms(values: Floats) -> Floats:
            return np.where(present, t.per_host(values), 0.0)

        used = of_vms(np.maximum(known(hosts.actual_bytes) - known(hosts.usable_bytes), 0.0))
        shares = of_vms(hosts.shares)
        stalls = shares * of_vms(known(hosts.psi_some_frac))
        return cls(
            used=used,
            on_host=used.sum(axis=2),
            swapped=of_vms(known(hosts.swap_used_bytes)).sum(axis=2),
            cores=wanted_cores(t).sum(axis=2),
            vms=present.sum(axis=2).astype(np.float64),
            shares=shares.sum(axis=2),
            pressure=stalls.sum(axis=2),
        )


def host_columns(t: PoweredTelemetry, base: Orders, loads: Loads) -> Columns:
    """(C, H) of each quantity of a host."""
    memory, hosts, present = t.capacity_bytes, t.hosts, t.present
    stall = np.where(present, t.per_host(known(hosts.psi_some_frac)), 0.0)
    read = np.where(present, t.per_host(known(hosts.swap_in_rate)), 0.0).sum(axis=2)
    steal = np.where(present, t.per_host(known(hosts.steal_frac)), 0.0).sum(axis=2)
    far = np.where(present, t.far_bytes, 0.0).sum(axis=2)
    states = {f"is_{name}": flag(t.state == number) for number, name in enumerate(HOST_STATES)}
    peak_w = t.power_w[..., -1]
    return states | _fixed_columns(t) | _proposal_columns(t, base, loads) | {
        "draining": flag(t.draining),
        "state_s": log_scaled(t.state_s, 60.0, 1440.0),
        "used": loads.on_host / memory,
        "room": t.room_bytes / memory,
        "reserved": t.reserved_bytes / memory,
        "swapped": loads.swapped / memory,
        "far": far / memory,
        "lent": t.lent_bytes / memory,
        "lendable": t.lendable_bytes / memory,
        "pressure": ratio(loads.pressure, loads.shares),
        "worst_pressure": stall.max(axis=2),
        "swap_in": log_scaled(read, 1e6, 1e4),
        "cpu_wanted": loads.cores / t.cores,
        "steal": ratio(steal, loads.vms),
        "largest": loads.used.max(axis=2) / memory,
        "vms": log_scaled(loads.vms, 1.0, _FEW),
        "vacant": t.vacant.mean(axis=2),
        "leaving": log_scaled(leaving(t).sum(axis=2).astype(np.float64), 1.0, _FEW),
        "coming": log_scaled(t.arriving.sum(axis=2).astype(np.float64), 1.0, _FEW),
        "weight": np.where(loads.vms > 0, np.log2(_relative_share(loads)) / 2.0, 0.0),
        "swap_wait": np.log10(np.maximum(t.per_host(hosts.swap_latency_s), 1e-6) / 1e-6) / 5.0,
        "link_out": t.sent_bytes_s / t.nic_bytes_s,
        "link_in": t.received_bytes_s / t.nic_bytes_s,
        "watts": ratio(t.watts, peak_w),
        "turn": turn(loads.on_host / memory, t.running),
    }  # fmt: skip


def _fixed_columns(t: PoweredTelemetry) -> Columns:
    """What hosts are made of."""
    peak, idle = t.power_w[..., -1], t.power_w[..., 0]
    return {
        "memory": against_mean(t.capacity_bytes, t.exists),
        "cores": against_mean(t.cores, t.exists),
        "link_rate": np.log10(np.maximum(t.nic_bytes_s, 1.0) / 1e7) / 4.0,
        "idle_share": ratio(idle, peak),
        "sleep_share": ratio(t.sleep_w, idle, 1.0),
        "wake_s": log_scaled(t.wake_s, 1.0, 300.0),
    }


def _proposal_columns(t: PoweredTelemetry, base: Orders, loads: Loads) -> Columns:
    """What the stack would do with each host, (C, H) each."""
    power = np.zeros(t.exists.shape) if base.power is None else base.power
    moved = base.verb == MIGRATE
    directed = moved | (base.verb == CLONE) | (base.verb == PLACE)
    sent, received = np.zeros(t.exists.shape), np.zeros(t.exists.shape)
    clusters, hosts, slots = np.nonzero(directed)
    goal = base.target[clusters, hosts, slots].astype(np.int64)
    size = np.where(t.waiting, t.size_bytes, loads.used)[clusters, hosts, slots]
    np.add.at(received, (clusters, goal), 1.0)
    after = loads.on_host.copy()
    np.add.at(after, (clusters, goal), size)
    away = moved[clusters, hosts, slots]
    np.subtract.at(after, (clusters[away], hosts[away]), size[away])
    np.add.at(sent, (clusters[away], hosts[away]), 1.0)
    borrows = (base.verb == BORROW).sum(axis=2).astype(np.float64)
    return {
        "to_sleep": flag(power == SLEEP),
        "to_wake": flag(power == WAKE),
        "moves_out": ratio(sent, loads.vms),
        "moves_in": log_scaled(received, 1.0, _FEW),
        "borrows": ratio(borrows, loads.vms),
        "used_after": after / t.capacity_bytes,
    }


def cluster_columns(t: PoweredTelemetry, base: Orders, loads: Loads) -> Columns:
    """(C,) of each quantity of a cluster."""
    number = np.maximum(t.exists.sum(axis=1), 1)
    vms = loads.vms.sum(axis=1)
    memory, running = np.where(t.exists, t.capacity_bytes, 0.0), t.running
    power = np.zeros(t.exists.shape) if base.power is None else base.power
    total = memory.sum(axis=1)
    used, cores = loads.on_host.sum(axis=1), loads.cores.sum(axis=1)
    moving = leaving(t).sum(axis=(1, 2))
    peak_w = np.where(t.exists, t.power_w[..., -1], 0.0).sum(axis=1)
    load = np.maximum(t.sent_bytes_s, t.received_bytes_s) / np.maximum(t.nic_bytes_s, 1.0)

    def part(where: Bools) -> Floats:
        fraction: Floats = (where & t.exists).sum(axis=1) / number
        return fraction

    return {
        "hosts": log_scaled(number.astype(np.float64), 1.0, _FEW),
        "vms_per_host": log_scaled(vms / number, 1.0, _FEW),
        "load": used / total,
        "load_on": ratio(used, np.where(running, memory, 0.0).sum(axis=1), 2.0),
        "cpu_on": ratio(cores, np.where(running, t.cores, 0.0).sum(axis=1), 2.0),
        "room": np.where(t.exists, t.room_bytes, 0.0).sum(axis=1) / total,
        "on": part(running),
        "waking": part(t.state == WAKING),
        "draining": part(t.draining),
        "imbalance": imbalance(loads.on_host / np.maximum(t.capacity_bytes, 1.0), running),
        "swapped": loads.swapped.sum(axis=1) / total,
        "lent": np.where(t.exists, t.lent_bytes, 0.0).sum(axis=1) / total,
        "pressure": ratio(loads.pressure.sum(axis=1), loads.shares.sum(axis=1)),
        "moving": ratio(moving.astype(np.float64), vms),
        "waiting": log_scaled(t.waiting.sum(axis=(1, 2)).astype(np.float64), 1.0, _FEW),
        "waited_s": log_scaled(t.waited_s.max(axis=(1, 2)), 60.0, 60.0),
        "watts": ratio(np.where(t.exists, t.watts, 0.0).sum(axis=1), peak_w),
        "link_load": np.where(t.exists, load, 0.0).sum(axis=1) / number,
        "proposed_moves": ratio((base.verb == MIGRATE).sum(axis=(1, 2)).astype(np.float64), vms),
        "proposed_sleeps": part(power == SLEEP),
        "proposed_wakes": part(power == WAKE),
    }


def _relative_share(loads: Loads) -> Floats:
    """Mean share of each host's VMs over that of all VMs of its cluster, (C, H)."""
    mean = loads.shares.sum(axis=1) / np.maximum(loads.vms.sum(axis=1), 1.0)
    relative: Floats = ratio(loads.shares, loads.vms) / np.maximum(mean, 1e-12)[:, None]
    return relative
