"""How the rules read a cluster: who suffers and since when, what VMs need, what hosts have left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.cluster.orders import Legal, legal
from gymbal_runtime.cluster.suffering import Floors, above_floors, elapsed_s, note
from gymbal_runtime.cluster.telemetry import LAST_COPY, SETUP, ClusterTelemetry
from gymbal_runtime.cluster.vm_memory import VmMemory
from gymbal_runtime.telemetry import Bools, Floats

NUM_DURATIONS = 16
"""Overloads that are remembered of each VM."""

PEAK_MEMORY_S = 1800.0
"""s after which a peak of demand counts 1 / e of what it stood out."""
STALL_MEMORY_S = 20.0
"""s over which stalls are averaged: two decisions, so that one sample decides nothing."""

WIDTHS: dict[str, tuple[int, ...]] = {
    "onset_s": (),  # when the present overload began
    "last_s": (),  # when the VM was last short of memory
    "arrived_s": (),  # when it came to this host; NaN: it was there from the start
    "seen_s": (),  # time of the last record of it
    "peak_bytes": (),  # highest demand, slowly forgotten
    "stall": (),  # mean of the part of the time stalled on memory
    "overloads": (),  # number of overloads that are over; NaN: none
    "durations_s": (NUM_DURATIONS,),  # lengths of the last ones; NaN: none
    "short_share": (),  # part of the time that it was suffering, slowly forgotten
    "excess_bytes": (),  # mean of what it needed beyond what it held while suffering
}
"""What every rule remembers of each VM, and its axes after (C, H, V)."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What the rules decide from, besides the record itself."""

    legal: Legal
    suffering: Bools  # (C, H, V)
    elapsed_s: Floats  # (C, H, V) since the overload began, 0 where there is none
    calm_s: Floats  # (C, H, V) since the VM was last short of memory, infinite: never was
    hosted_s: Floats  # (C, H, V) since it came to this host, infinite: from the start
    need_bytes: Floats  # (C, H, V) memory with which it would not suffer, 0 where absent
    peak_bytes: Floats  # (C, H, V) the highest of late, 0 where absent
    stall: Floats  # (C, H, V) mean part of the time stalled, 0 where absent
    headroom_bytes: Floats  # (C, H) what arrivals could need there without overloading the host
    lack_bytes: Floats  # (C, H) what its VMs need beyond its memory; negative: to spare


def observe(
    telemetry: ClusterTelemetry, memory: VmMemory, floors: Floors, balanced: bool
) -> Situation:
    """Read a record and take note of it.

    Args:
        telemetry: the record.
        memory: arrays of `WIDTHS`, changed in place.
        floors: from when on a VM counts as suffering.
        balanced: memory follows demand; else VMs keep what they have and only room counts.
    """
    changes = memory.follow(telemetry, WIDTHS)
    arrays, now = memory.arrays, telemetry.time_s
    if changes is not None:
        arrays["arrived_s"][changes.reached] = now[changes.reached[0]]
    with np.errstate(all="ignore"):  # slots without a VM may hold anything
        above = above_floors(telemetry, floors)
        ended = note(arrays["onset_s"], arrays["last_s"], now, above, floors.release_s)
        _remember_durations(arrays, ended)
        suffering = telemetry.present & ~np.isnan(arrays["onset_s"])
        need = needed_bytes(telemetry, above)
        held = np.where(telemetry.present, telemetry.per_host(telemetry.hosts.actual_bytes), 0.0)
        _remember_levels(telemetry, arrays, need, held, suffering)
        peak = np.where(telemetry.present, np.maximum(arrays["peak_bytes"], need), 0.0)
        clock = now[:, None, None]
        since = [np.where(np.isnan(a), np.inf, clock - a) for a in _times(arrays)]
        budget = telemetry.per_host(telemetry.hosts.budget_bytes)
        spare = budget - need.sum(axis=2)
        return Situation(
            legal=legal(telemetry),
            suffering=suffering,
            elapsed_s=elapsed_s(arrays["onset_s"], now) * telemetry.present,
            calm_s=since[0],
            hosted_s=since[1],
            need_bytes=need,
            peak_bytes=peak,
            stall=np.where(telemetry.present, np.nan_to_num(arrays["stall"]), 0.0),
            headroom_bytes=_headroom(telemetry, peak, need, spare, balanced),
            lack_bytes=-spare,
        )


def needed_bytes(telemetry: ClusterTelemetry, short: Bools) -> Floats:
    """Memory with which each VM would not be short, (C, H, V); 0 where there is none.

    What it cannot give up, plus what lies in swap while it swaps in; what is not measured counts as
    used. Swap of a VM that is not short holds pages that nobody asks for.
    """
    hosts = telemetry.hosts
    usable = np.where(np.isnan(hosts.usable_bytes), 0.0, hosts.usable_bytes)
    swapped = np.where(np.isnan(hosts.swap_used_bytes), 0.0, hosts.swap_used_bytes)
    used = np.maximum(hosts.actual_bytes - usable, 0.0)
    need = np.where(short.reshape(used.shape), used + swapped, used)
    bounded = np.maximum(np.minimum(need, hosts.memory_max_bytes), hosts.memory_min_bytes)
    needed: Floats = telemetry.per_host(np.where(hosts.present, bounded, 0.0))
    return needed


def leaving(telemetry: ClusterTelemetry) -> Bools:
    """VMs (C, H, V) that are being copied to another host."""
    phase = telemetry.move_phase
    return telemetry.present & (phase >= SETUP) & (phase <= LAST_COPY)


def _times(arrays: dict[str, Floats]) -> tuple[Floats, Floats]:
    return arrays["last_s"], arrays["arrived_s"]


def _remember_durations(arrays: dict[str, Floats], ended: Floats) -> None:
    """Put the lengths of overloads that have just ended in their VMs' rings."""
    over = np.nonzero(~np.isnan(ended))
    if not len(over[0]):
        return
    count = np.nan_to_num(arrays["overloads"][over])
    arrays["durations_s"][(*over, count.astype(np.int64) % NUM_DURATIONS)] = ended[over]
    arrays["overloads"][over] = count + 1.0


def _remember_levels(
    telemetry: ClusterTelemetry,
    arrays: dict[str, Floats],
    need: Floats,
    held: Floats,
    suffering: Bools,
) -> None:
    """Slowly forgotten levels: demand at its peak, stalls, and how often and how far it lacks."""
    clock = np.broadcast_to(telemetry.time_s[:, None, None], need.shape)
    passed = np.nan_to_num(np.maximum(clock - arrays["seen_s"], 0.0))
    kept = np.exp(-passed / PEAK_MEMORY_S)
    peak = arrays["peak_bytes"]
    peak[...] = np.fmax(need, need + (peak - need) * kept)
    stall = telemetry.per_host(telemetry.hosts.psi_some_frac)
    _average(arrays["stall"], stall, np.exp(-passed / STALL_MEMORY_S))
    _average(arrays["short_share"], suffering.astype(np.float64), kept)
    lacks = np.where(suffering, np.maximum(need - held, 0.0), np.nan)
    _average(arrays["excess_bytes"], lacks, np.exp(-passed / PEAK_MEMORY_S * 10.0))
    arrays["seen_s"][...] = np.where(telemetry.present, clock, np.nan)


def _average(mean: Floats, value: Floats, kept: Floats) -> None:
    """Moving average in place; what was not measured (NaN) changes nothing."""
    moved = value + (mean - value) * kept
    mean[...] = np.where(np.isnan(mean), value, np.where(np.isnan(value), mean, moved))


def _headroom(
    telemetry: ClusterTelemetry, peak: Floats, need: Floats, spare: Floats, balanced: bool
) -> Floats:
    """What arrivals could need on each host, (C, H), without those that are on their way."""
    room = telemetry.room_bytes
    if not balanced:
        return room
    # Peaks do not all come at once: half of what they stand out.
    rising = 0.5 * (peak - need).sum(axis=2)
    headroom: Floats = spare - rising - _coming(telemetry, peak)
    return headroom


def _coming(telemetry: ClusterTelemetry, peak: Floats) -> Floats:
    """What VMs on their way will need beyond what is reserved for them, (C, H)."""
    coming = np.zeros(telemetry.exists.shape)
    places: tuple[NDArray[np.int64], ...] = np.nonzero(leaving(telemetry))
    more = np.maximum(peak[places] - telemetry.size_bytes[places], 0.0)
    goal = telemetry.move_target[places]
    known = goal >= 0
    np.add.at(coming, (places[0][known], goal[known]), more[known])
    return coming
