"""Telemetry to columns and rows: the code of the tables in `gymbal_runtime.centre.quantities`.

The clock is not among them: episodes begin at any time of day, and a record does not say at which.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_runtime.centre.loads import Loads, Past, needed_hosts, ratio
from gymbal_runtime.centre.orders import SLEEP, WAKE, CentreOrders
from gymbal_runtime.centre.quantities import (
    CENTRE_HISTORY_QUANTITIES,
    CENTRE_QUANTITIES,
    CENTRE_TRACKED,
    HISTORY_QUANTITIES,
    HOST_QUANTITIES,
    TRACKED,
)
from gymbal_runtime.centre.telemetry import HOST_STATES, WAKING, CentreTelemetry
from gymbal_runtime.observation import HISTORY_STEPS
from gymbal_runtime.parts.scales import log_scaled
from gymbal_runtime.quantities import Quantity, bounded, bounds_of
from gymbal_runtime.telemetry import Bools, Floats

Columns = dict[str, Floats]
_FEW, _MANY = 63.0, 1023.0


@dataclass(frozen=True, slots=True)
class CentreHistory:
    """What the codec remembers of the last decisions, newest first; NaN = not seen yet."""

    hosts: Floats  # (HISTORY_STEPS, C, H, tracked quantities)
    centre: Floats  # (HISTORY_STEPS, C, tracked quantities)

    @classmethod
    def empty(cls, num_centres: int, num_hosts: int) -> CentreHistory:
        """No decision was taken yet."""
        return cls(
            np.full((HISTORY_STEPS, num_centres, num_hosts, len(TRACKED)), np.nan),
            np.full((HISTORY_STEPS, num_centres, len(CENTRE_TRACKED)), np.nan),
        )

    def forget(self, centres: Bools) -> CentreHistory:
        """The same memory without the marked centres (C,)."""
        return CentreHistory(
            np.where(centres[None, :, None, None], np.nan, self.hosts),
            np.where(centres[None, :, None], np.nan, self.centre),
        )


@dataclass(frozen=True, slots=True)
class CentreLayout:
    """Which number stands where in a row.

    Attributes:
        host: quantities of a host now.
        history: changes of the tracked ones, repeated for each remembered decision.
        centre: quantities of a centre, with the changes of its own.
    """

    host: tuple[Quantity, ...]
    history: tuple[Quantity, ...]
    centre: tuple[Quantity, ...]


LAYOUT = CentreLayout(
    HOST_QUANTITIES,
    HISTORY_QUANTITIES,
    CENTRE_QUANTITIES + CENTRE_HISTORY_QUANTITIES * HISTORY_STEPS,
)
HOST_BOUNDS = bounds_of(LAYOUT.host + LAYOUT.history * HISTORY_STEPS)
CENTRE_BOUNDS = bounds_of(LAYOUT.centre)
"""Of whole rows, (F,) and (G,)."""


def rows_of(
    telemetry: CentreTelemetry, base: CentreOrders, history: CentreHistory
) -> tuple[Floats, Floats, CentreHistory]:
    """Rows of the hosts (C, H, F) and of the centres (C, G), and the new history."""
    with np.errstate(all="ignore"):  # empty places may hold anything
        loads = Loads.of(telemetry, base)
        seen = _host_columns(telemetry, loads) | _proposal_columns(telemetry, base, loads)
        centre = _centre_columns(telemetry, base, loads)
        now = np.stack([seen[name] for name in TRACKED], axis=-1)
        centre_now = np.stack([centre[name] for name in CENTRE_TRACKED], axis=-1)
        hosts = np.concatenate(
            [
                np.stack([seen[q.name] for q in HOST_QUANTITIES], axis=-1),
                *[now - then for then in history.hosts],
            ],
            axis=-1,
        )
        centres = np.concatenate(
            [
                np.stack([centre[q.name] for q in CENTRE_QUANTITIES], axis=-1),
                *[centre_now - then for then in history.centre],
            ],
            axis=-1,
        )
        hosts, centres = bounded(hosts, *HOST_BOUNDS), bounded(centres, *CENTRE_BOUNDS)
    hosts *= telemetry.exists[:, :, None]
    memory = CentreHistory(
        np.concatenate([now[None], history.hosts[:-1]]),
        np.concatenate([centre_now[None], history.centre[:-1]]),
    )
    return hosts, centres, memory


def _host_columns(t: CentreTelemetry, loads: Loads) -> Columns:
    """(C, H) of each quantity of a host, without what is proposed for it."""
    past = Past.of(loads.past / t.cpu_mips[..., None])
    utilisation = loads.wanted / t.cpu_mips
    states = {f"is_{name}": _flag(t.state == number) for number, name in enumerate(HOST_STATES)}
    return states | _fixed_columns(t) | {
        "draining": _flag(t.draining),
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
        "turn": _turn(utilisation, t.running & (loads.vms > 0)),
    }  # fmt: skip


def _fixed_columns(t: CentreTelemetry) -> Columns:
    """What hosts are made of, against the others of their centre."""
    peak, idle = t.power_w[..., -1], t.power_w[..., 0]

    def against_mean(values: Floats) -> Floats:
        count = np.maximum(t.exists.sum(axis=1), 1)
        mean = np.where(t.exists, values, 0.0).sum(axis=1) / count
        apart: Floats = np.log2(values / mean[:, None]) / 3.0
        return apart

    return {
        "cpu": against_mean(t.cpu_mips),
        "memory": against_mean(t.memory_bytes),
        "peak_cost": against_mean(peak / t.cpu_mips),
        "idle_cost": against_mean(idle / t.cpu_mips),
        "idle_share": ratio(idle, peak),
        "sleep_share": ratio(t.sleep_w, idle, 1.0),
        "wake_s": t.wake_s / t.interval_s[:, None],
        "wake_cost": ratio(t.wake_s * t.wake_w, idle * t.interval_s[:, None], 4.0),
    }


def _proposal_columns(t: CentreTelemetry, base: CentreOrders, loads: Loads) -> Columns:
    """What the heuristic would do with each host, (C, H) each."""
    return {
        "to_sleep": _flag(base.power == SLEEP),
        "to_wake": _flag(base.power == WAKE),
        "moves_out": ratio(loads.sent, loads.vms),
        "moves_in": log_scaled(loads.received, 1.0, _FEW),
        "utilisation_after": loads.after / t.cpu_mips,
    }


def _centre_columns(t: CentreTelemetry, base: CentreOrders, loads: Loads) -> Columns:
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
        "imbalance": _imbalance(loads.wanted / t.cpu_mips, running),
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


def _turn(utilisation: Floats, used: Bools) -> Floats:
    """Place by utilisation among hosts with VMs, 0 first, over their number."""
    key = np.where(used, utilisation, np.inf)
    place = np.argsort(np.argsort(key, axis=1, kind="stable"), axis=1, kind="stable")
    count = np.maximum(used.sum(axis=1, keepdims=True), 1)
    return np.where(used, place / count, 0.0)


def _imbalance(utilisation: Floats, running: Bools) -> Floats:
    """Standard deviation over the hosts that are on, (C,)."""
    count = np.maximum(running.sum(axis=1), 1)
    mean = np.where(running, utilisation, 0.0).sum(axis=1) / count
    off = np.where(running, utilisation - mean[:, None], 0.0)
    deviation: Floats = np.sqrt((off * off).sum(axis=1) / count)
    return deviation


def _flag(where: Bools) -> Floats:
    return where.astype(np.float64)
