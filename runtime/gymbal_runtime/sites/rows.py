"""Telemetry to columns and rows: the code of the tables in `gymbal_runtime.sites.quantities`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_runtime.observation import HISTORY_STEPS
from gymbal_runtime.parts.scales import log_scaled
from gymbal_runtime.quantities import Quantity, bounded, bounds_of
from gymbal_runtime.sites.estimates import (
    content_rate,
    copying,
    disk_s,
    expected_rate,
    memory_s,
    stop_downtime_s,
    worth,
)
from gymbal_runtime.sites.orders import VERBS, SitesOrders
from gymbal_runtime.sites.quantities import (
    HISTORY_QUANTITIES,
    TRACKED,
    VM_QUANTITIES,
    WORLD_HISTORY_QUANTITIES,
    WORLD_QUANTITIES,
    WORLD_TRACKED,
)
from gymbal_runtime.sites.telemetry import (
    ARRIVED,
    AT_SOURCE,
    BULK,
    MIRROR,
    NUM_RESIDUALS,
    PRECOPY,
    SitesTelemetry,
)
from gymbal_runtime.telemetry import Bools, Floats

Columns = dict[str, Floats]
_HOURS_S = 1e4
_DEADLINE_S = 7200.0


@dataclass(frozen=True, slots=True)
class SitesHistory:
    """What the codec remembers of the last decisions, newest first; NaN = not seen yet."""

    vms: Floats  # (HISTORY_STEPS, B, V, tracked quantities)
    worlds: Floats  # (HISTORY_STEPS, B, tracked quantities)

    @classmethod
    def empty(cls, num_worlds: int, num_vms: int) -> SitesHistory:
        """No decision was taken yet."""
        return cls(
            np.full((HISTORY_STEPS, num_worlds, num_vms, len(TRACKED)), np.nan),
            np.full((HISTORY_STEPS, num_worlds, len(WORLD_TRACKED)), np.nan),
        )

    def forget(self, worlds: Bools) -> SitesHistory:
        """The same memory without the marked worlds (B,)."""
        return SitesHistory(
            np.where(worlds[None, :, None, None], np.nan, self.vms),
            np.where(worlds[None, :, None], np.nan, self.worlds),
        )


@dataclass(frozen=True, slots=True)
class SitesLayout:
    """Which number stands where in a row.

    Attributes:
        vm: quantities of a VM now.
        history: changes of the tracked ones, repeated for each remembered decision.
        host: quantities of a world, with the changes of its own.
    """

    vm: tuple[Quantity, ...]
    history: tuple[Quantity, ...]
    host: tuple[Quantity, ...]


LAYOUT = SitesLayout(
    VM_QUANTITIES, HISTORY_QUANTITIES, WORLD_QUANTITIES + WORLD_HISTORY_QUANTITIES * HISTORY_STEPS
)
VM_BOUNDS = bounds_of(LAYOUT.vm + LAYOUT.history * HISTORY_STEPS)
WORLD_BOUNDS = bounds_of(LAYOUT.host)
"""Of whole rows, (F,) and (G,)."""


def rows_of(
    telemetry: SitesTelemetry, base: SitesOrders, history: SitesHistory
) -> tuple[Floats, Floats, SitesHistory]:
    """Rows of the VMs (B, V, F) and of the worlds (B, G), and the new history."""
    with np.errstate(all="ignore"):  # absent slots may hold anything
        seen = _vm_columns(telemetry, base)
        world = _world_columns(telemetry)
        now = np.stack([seen[name] for name in TRACKED], axis=-1)
        world_now = np.stack([world[name] for name in WORLD_TRACKED], axis=-1)
        vms = np.concatenate(
            [
                np.stack([seen[q.name] for q in VM_QUANTITIES], axis=-1),
                *[now - then for then in history.vms],
            ],
            axis=-1,
        )
        worlds = np.concatenate(
            [
                np.stack([world[q.name] for q in WORLD_QUANTITIES], axis=-1),
                *[world_now - then for then in history.worlds],
            ],
            axis=-1,
        )
        vms, worlds = bounded(vms, *VM_BOUNDS), bounded(worlds, *WORLD_BOUNDS)
    vms *= telemetry.present[:, :, None]
    memory = SitesHistory(
        np.concatenate([now[None], history.vms[:-1]]),
        np.concatenate([world_now[None], history.worlds[:-1]]),
    )
    return vms, worlds, memory


def _vm_columns(telemetry: SitesTelemetry, base: SitesOrders) -> Columns:
    """(B, V) of each quantity of a VM."""
    phase, present = telemetry.phase, telemetry.present
    weights = np.where(present, telemetry.shares, 0.0)
    mean_share = weights.sum(axis=1, keepdims=True) / np.maximum(
        present.sum(axis=1, keepdims=True), 1
    )
    memory, disk = telemetry.memory_bytes, telemetry.disk_bytes
    columns: Columns = {
        "is_at_source": _flag(phase == AT_SOURCE),
        "is_bulk": _flag(phase == BULK),
        "is_mirror": _flag(phase == MIRROR),
        "is_precopy": _flag(phase == PRECOPY),
        "is_paused": _flag(telemetry.paused),
        "is_arrived": _flag(phase == ARRIVED),
        "suspended": _flag(telemetry.suspended),
        "reduced": _flag(telemetry.reduced),
        "weight": np.log2(telemetry.shares / mean_share) / 2.0,
        "away_cost": np.log10(telemetry.away_cost / 1e-3) / 3.0,
        "worth": np.log2(worth(telemetry)) / 3.0,
        "turn": _turn(telemetry),
        "vcpus": log_scaled(telemetry.vcpus, 1.0, 64.0),
        "activity": telemetry.activity,
        "memory_left": telemetry.memory_left_bytes / memory,
        "memory_left_log": np.log2(telemetry.memory_left_bytes / memory + 2.0**-16) / 16.0,
        "disk_left": telemetry.disk_left_bytes / np.maximum(disk, 1.0),
        "disk_new": telemetry.disk_new_bytes / np.maximum(disk, 1.0),
        "redundancy_memory": telemetry.redundancy_memory,
        "redundancy_disk": telemetry.redundancy_disk,
        "sent": telemetry.sent_bytes / (memory + disk),
        "round": log_scaled(telemetry.round, 1.0, 1e3),
        "phase_s": log_scaled(telemetry.phase_s, 1.0, _HOURS_S),
        "move_s": log_scaled(telemetry.move_s, 1.0, _HOURS_S),
    }
    columns |= _rate_columns(telemetry) | _residual_columns(telemetry)
    return columns | {
        f"proposes_{name}": _flag(base.verb == verb) for verb, name in enumerate(VERBS)
    }


def _rate_columns(telemetry: SitesTelemetry) -> Columns:
    """What follows from the rate that a copy can expect."""
    always = np.ones(telemetry.present.shape, dtype=np.bool_)
    rate = expected_rate(telemetry)
    hashed = content_rate(telemetry, always, telemetry.redundancy_disk)
    cores = telemetry.hash_core_s_per_byte[:, None] * hashed / telemetry.vcpus
    plain_s = memory_s(telemetry, ~always) + disk_s(telemetry, ~always)
    reduced_s = memory_s(telemetry, always) + disk_s(telemetry, always)
    writes = telemetry.write_bytes_s / rate
    dirtying = telemetry.dirty_bytes_s / rate
    return {
        "memory_s": log_scaled(memory_s(telemetry), 1.0, _HOURS_S),
        "disk_s": log_scaled(disk_s(telemetry), 1.0, _HOURS_S),
        "stop_s": log_scaled(stop_downtime_s(telemetry), 0.1, 1e5),
        "reduced_time": reduced_s / plain_s,
        "hash_tax": cores * telemetry.activity,
        "writes": writes / (1.0 + writes),
        "dirtying": dirtying / (1.0 + dirtying),
        "sync_speed": 1.0 / (1.0 + telemetry.commit_rate * telemetry.commit_s[:, None]),
        "rate": telemetry.rate_bytes_s / np.maximum(telemetry.wan_free_bytes_s[:, None], 1.0),
    }


def _residual_columns(telemetry: SitesTelemetry) -> Columns:
    """Past residuals against what is left now: 0 where they are equal or there was none."""
    now = telemetry.memory_left_bytes + 4096.0
    ends = telemetry.residuals + 4096.0
    ratio = np.log2(ends / now[..., None]) / 8.0
    columns: Columns = {f"residual_{k}": ratio[..., k] for k in range(NUM_RESIDUALS)}
    least = np.where(np.isnan(ends), np.inf, ends).min(axis=-1)
    columns["above_least"] = np.where(np.isinf(least), 0.0, np.log2(now / least) / 8.0)
    return columns


def _turn(telemetry: SitesTelemetry) -> Floats:
    """Place in Smith's order among the VMs at the source, 0 first, over their number."""
    waiting = telemetry.present & (telemetry.phase == AT_SOURCE)
    size = telemetry.memory_bytes + telemetry.disk_bytes
    key = np.where(waiting, size / np.maximum(worth(telemetry), 1e-9), np.inf)
    place = np.argsort(np.argsort(key, axis=1, kind="stable"), axis=1, kind="stable")
    count = np.maximum(waiting.sum(axis=1, keepdims=True), 1)
    return np.where(waiting, place / count, 0.0)


def _world_columns(telemetry: SitesTelemetry) -> Columns:
    """(B,) of each quantity of a world."""
    present, phase = telemetry.present, telemetry.phase
    count = np.maximum(present.sum(axis=1), 1)
    left = np.where(present, telemetry.memory_left_bytes + telemetry.disk_left_bytes, 0.0)
    time_left = telemetry.deadline_s - telemetry.time_s
    needed = left.sum(axis=1) / telemetry.wan_free_bytes_s
    behind = needed / np.maximum(time_left, 1.0)

    def part(where: Bools) -> Floats:
        fraction: Floats = (where & present).sum(axis=1) / count
        return fraction

    return {
        "free": telemetry.wan_free_bytes_s / telemetry.wan_bytes_s,
        "line": np.log10(telemetry.wan_bytes_s / 1e6) / 4.0,
        "flow_limit": telemetry.flow_limit_bytes_s / telemetry.wan_bytes_s,
        "rtt": np.log10(telemetry.rtt_s / 1e-3) / 3.0,
        "commit": np.log10(telemetry.commit_s / 1e-3) / 4.0,
        "deadline": np.minimum(time_left, _DEADLINE_S) / _DEADLINE_S,
        "behind": behind / (1.0 + behind),
        "vms": np.log2(count) / 8.0,
        "waiting": part(phase == AT_SOURCE),
        "copying": part(copying(telemetry)),
        "ready": part(phase == MIRROR),
        "paused": part(telemetry.paused),
        "arrived": part(phase == ARRIVED),
    }


def _flag(where: Bools) -> Floats:
    return where.astype(np.float64)
