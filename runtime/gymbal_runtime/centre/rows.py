"""Telemetry to columns: the code of the tables in `gymbal_runtime.centre.quantities`.

The clock is not among them: episodes begin at any time of day, and a record does not say at which.
"""

from __future__ import annotations

import numpy as np

from gymbal_runtime.centre.loads import Loads, Past, needed_hosts, ratio
from gymbal_runtime.centre.orders import SLEEP, WAKE, CentreOrders
from gymbal_runtime.centre.telemetry import HOST_STATES, WAKING, CentreTelemetry
from gymbal_runtime.host_columns import against_mean, flag, imbalance, turn
from gymbal_runtime.parts.scales import log_scaled
from gymbal_runtime.row_layout import Columns
from gymbal_runtime.telemetry import Bools, Floats

_FEW, _MANY = 63.0, 1023.0


def host_columns(t: CentreTelemetry, base: CentreOrders, loads: Loads) -> Columns:
    """(C, H) of each quantity of a host."""
    past = Past.of(loads.past / t.cpu_mips[..., None])
    utilisation = loads.wanted / t.cpu_mips
    states = {f"is_{name}": flag(t.state == number) for number, name in enumerate(HOST_STATES)}
    return states | _fixed_columns(t) | _proposal_columns(t, base, loads) | {
        "draining": flag(t.draining),
        "state_s": log_scaled(t.state_s, 60.0, 1440.0),
        "utilisation": utilisation,
        "used": t.used_mips / t.cpu_mips,
        "mean_utilisation": past.mean,
        "max_utilisation": past.largest,
        "spread": past.spread,
        "forecast": past.ahead,
        "got": ratio(loads.got, loads.wanted, 1.0),
        "memory_held": t.held_bytes / t.memory_bytes,
        "vms": log_scaled(loads.vms, 1.0, _FEW),
        "coming": log_scaled(loads.coming, 1.0, _FEW),
        "leaving": log_scaled(loads.leaving, 1.0, _FEW),
        "movable": ratio(loads.movable, loads.wanted),
        "largest": loads.largest / t.cpu_mips,
        "clear_s": loads.memory_bytes / t.nic_bytes_s / t.interval_s[:, None],
        "weight": np.where(loads.vms > 0, np.log2(_relative_share(t, loads)) / 2.0, 0.0),
        "turn": turn(utilisation, t.running & (loads.vms > 0)),
    }  # fmt: skip


def _fixed_columns(t: CentreTelemetry) -> Columns:
    """What hosts are made of, against the others of their centre."""
    peak, idle = t.power_w[..., -1], t.power_w[..., 0]
    return {
        "cpu": against_mean(t.cpu_mips, t.exists),
        "memory": against_mean(t.memory_bytes, t.exists),
        "peak_cost": against_mean(peak / t.cpu_mips, t.exists),
        "idle_cost": against_mean(idle / t.cpu_mips, t.exists),
        "idle_share": ratio(idle, peak),
        "sleep_share": ratio(t.sleep_w, idle, 1.0),
        "wake_s": t.wake_s / t.interval_s[:, None],
        "wake_cost": ratio(t.wake_s * t.wake_w, idle * t.interval_s[:, None], 4.0),
    }


def _proposal_columns(t: CentreTelemetry, base: CentreOrders, loads: Loads) -> Columns:
    """What the heuristic would do with each host, (C, H) each."""
    return {
        "to_sleep": flag(base.power == SLEEP),
        "to_wake": flag(base.power == WAKE),
        "moves_out": ratio(loads.sent, loads.vms),
        "moves_in": log_scaled(loads.received, 1.0, _FEW),
        "utilisation_after": loads.after / t.cpu_mips,
    }


def centre_columns(t: CentreTelemetry, base: CentreOrders, loads: Loads) -> Columns:
    """(C,) of each quantity of a centre."""
    hosts, vms = t.exists.sum(axis=1), t.present.sum(axis=1)
    number, running = np.maximum(hosts, 1), t.running
    cpu = np.where(t.exists, t.cpu_mips, 0.0).sum(axis=1)
    memory = np.where(t.present, t.vm_memory_bytes, 0.0).sum(axis=1)
    past = Past.of(loads.total_past / cpu[:, None])
    load, on = loads.total / cpu, running.sum(axis=1) / number
    needed = needed_hosts(t, loads.total) / number
    moves = (t.present & (base.target >= 0) & (base.target != t.host_of)).sum(axis=1)

    def part(where: Bools) -> Floats:
        fraction: Floats = (where & t.exists).sum(axis=1) / number
        return fraction

    return {
        "hosts": log_scaled(hosts.astype(np.float64), 1.0, _MANY),
        "vms_per_host": log_scaled(vms / number, 1.0, _FEW),
        "load": load,
        "load_on": ratio(loads.total, np.where(running, t.cpu_mips, 0.0).sum(axis=1), 2.0),
        "memory_on": ratio(memory, np.where(running, t.memory_bytes, 0.0).sum(axis=1), 2.0),
        "on": on,
        "waking": part(t.state == WAKING),
        "needed": needed,
        "surplus": on - needed,
        "imbalance": imbalance(loads.wanted / t.cpu_mips, running),
        "got": ratio(np.where(t.exists, loads.got, 0.0).sum(axis=1), loads.total, 1.0),
        "mean_load": past.mean,
        "max_load": past.largest,
        "trend": past.ahead - load,
        "waiting": log_scaled(loads.waiting, 1.0, _MANY),
        "moving": (t.present & (t.moving_to >= 0)).sum(axis=1) / np.maximum(vms, 1),
        "proposed_moves": moves / np.maximum(vms, 1),
        "proposed_sleeps": part(base.power == SLEEP),
        "proposed_wakes": part(base.power == WAKE),
    }


def _relative_share(t: CentreTelemetry, loads: Loads) -> Floats:
    """Mean share of each host's VMs over that of all VMs of the centre, (C, H)."""
    total = np.where(t.present, t.shares, 0.0).sum(axis=1)
    mean = total / np.maximum(t.present.sum(axis=1), 1)
    relative: Floats = ratio(loads.shares, loads.vms) / np.maximum(mean, 1e-12)[:, None]
    return relative
