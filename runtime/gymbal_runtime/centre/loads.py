"""What VMs add up to on hosts, and where it is going: sums that cost no more than V + H."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.centre.orders import CentreOrders
from gymbal_runtime.centre.telemetry import NOWHERE, CentreTelemetry, Ints
from gymbal_runtime.telemetry import Bools, Floats


def per_host(place: Ints, values: NDArray[np.generic], num_hosts: int) -> Floats:
    """Sum of ``values`` (C, V) over the VMs of each host, (C, H); who is NOWHERE is left out."""
    centres, there = place.shape[0], place != NOWHERE
    flat = (np.arange(centres)[:, None] * num_hosts + place)[there]
    weights = np.asarray(values, dtype=np.float64)[there]
    total = np.bincount(flat, weights, centres * num_hosts).reshape(centres, num_hosts)
    return np.asarray(total, dtype=np.float64)


def largest_per_host(place: Ints, values: Floats, num_hosts: int) -> Floats:
    """Largest of ``values`` (C, V), not negative, among the VMs of each host, (C, H); else 0."""
    centres, there = place.shape[0], place != NOWHERE
    flat = (np.arange(centres)[:, None] * num_hosts + place)[there]
    largest = np.zeros(centres * num_hosts)
    np.maximum.at(largest, flat, values[there])
    return largest.reshape(centres, num_hosts)


def ratio(some: Floats, whole: Floats, otherwise: float = 0.0) -> Floats:
    """``some / whole``, or ``otherwise`` where there is nothing to be a part of."""
    part: Floats = np.where(whole > 0.0, some / np.where(whole > 0.0, whole, 1.0), otherwise)
    return part


@dataclass(frozen=True, slots=True)
class Past:
    """What a line of past records says, over the last axis; newest first, NaN: not known.

    Attributes:
        mean: of what is known; 0 where nothing is.
        largest: of it.
        spread: its standard deviation.
        ahead: the least-squares line through it, one record after the newest, not negative; the
            newest where there are fewer than two.
    """

    mean: Floats
    largest: Floats
    spread: Floats
    ahead: Floats

    @classmethod
    def of(cls, records: Floats) -> Past:
        """Read (..., K) records."""
        known = ~np.isnan(records)
        count = np.maximum(known.sum(axis=-1), 1)
        values = np.where(known, records, 0.0)
        when = -np.arange(records.shape[-1], dtype=np.float64)
        mean = values.sum(axis=-1) / count
        middle = (known * when).sum(axis=-1) / count
        off = np.where(known, records - mean[..., None], 0.0)
        late = known * (when - middle[..., None])
        slope = ratio((off * late).sum(axis=-1), (late * late).sum(axis=-1))
        return cls(
            mean=mean,
            largest=values.max(axis=-1, initial=0.0),
            spread=np.sqrt((off * off).sum(axis=-1) / count),
            ahead=np.maximum(mean + slope * (1.0 - middle), 0.0),
        )


@dataclass(frozen=True, slots=True)
class Loads:
    """VMs and what they want, added up by host, (C, H), and by centre.

    Attributes:
        wanted: MIPS that the VMs of each host want now.
        got: MIPS of it that they got in the last interval's proportion.
        movable: MIPS of it that are of VMs not on their way.
        largest: MIPS of the VM that wants most.
        past: MIPS that its present VMs wanted, (C, H, HISTORY), newest first; NaN: not known.
        vms: number of its VMs.
        coming: VMs on their way here.
        leaving: VMs on their way from here.
        memory_bytes: of its VMs.
        shares: sum of its VMs' shares.
        after: MIPS that its VMs would want with the heuristic's moves.
        sent: VMs that the heuristic moves away.
        received: VMs that the heuristic sends here.
        waiting: (C,) VMs without a host.
        total: (C,) MIPS that all VMs want, those that wait included.
        total_past: (C, HISTORY) the same in the past.
    """

    wanted: Floats
    got: Floats
    movable: Floats
    largest: Floats
    past: Floats
    vms: Floats
    coming: Floats
    leaving: Floats
    memory_bytes: Floats
    shares: Floats
    after: Floats
    sent: Floats
    received: Floats
    waiting: Floats
    total: Floats
    total_past: Floats

    @classmethod
    def of(cls, telemetry: CentreTelemetry, base: CentreOrders) -> Loads:
        """Add up a record and what is proposed for it."""
        t, hosts = telemetry, telemetry.num_hosts
        here = np.where(t.present, t.host_of, NOWHERE)
        going = np.where(t.present, t.moving_to, NOWHERE)
        under_way = going != NOWHERE
        told = np.where(t.present, base.target, NOWHERE)
        told = np.where(told == here, NOWHERE, told)
        place = np.where(told != NOWHERE, told, np.where(under_way, going, here))
        wanted = np.where(t.present, t.wanted_frac * t.vm_mips, 0.0)
        past = np.where(t.present[..., None], t.history * t.vm_mips[..., None], np.nan)
        one = np.ones(wanted.shape)
        moving_here = np.where(told != NOWHERE, here, NOWHERE)
        return cls(
            wanted=per_host(here, wanted, hosts),
            got=per_host(here, wanted * t.got_frac, hosts),
            movable=per_host(np.where(under_way, NOWHERE, here), wanted, hosts),
            largest=largest_per_host(here, wanted, hosts),
            past=_past_of_hosts(here, past, hosts),
            vms=per_host(here, one, hosts),
            coming=per_host(going, one, hosts),
            leaving=per_host(np.where(under_way, here, NOWHERE), one, hosts),
            memory_bytes=per_host(here, t.vm_memory_bytes, hosts),
            shares=per_host(here, t.shares, hosts),
            after=per_host(place, wanted, hosts),
            sent=per_host(moving_here, one, hosts),
            received=per_host(told, one, hosts),
            waiting=(t.present & (here == NOWHERE) & ~under_way).sum(axis=1, dtype=np.float64),
            total=wanted.sum(axis=1),
            total_past=_summed(past, 1),
        )


def _past_of_hosts(place: Ints, past: Floats, num_hosts: int) -> Floats:
    """Past demand (C, V, K) by host, (C, H, K); NaN where no VM of a host has a record."""
    known: Bools = ~np.isnan(past)
    values = np.where(known, past, 0.0)
    columns = []
    for k in range(past.shape[-1]):
        total = per_host(place, values[..., k], num_hosts)
        count = per_host(place, known[..., k], num_hosts)
        columns.append(np.where(count > 0, total, np.nan))
    return np.stack(columns, axis=-1)


def _summed(past: Floats, axis: int) -> Floats:
    """Sum of what is known, NaN where nothing is."""
    known = ~np.isnan(past)
    total: Floats = np.where(
        known.any(axis=axis), np.where(known, past, 0.0).sum(axis=axis), np.nan
    )
    return total


def needed_hosts(telemetry: CentreTelemetry, total_mips: Floats) -> Floats:
    """Least number of hosts, (C,), whose MIPS and whose memory suffice for all VMs.

    Each is reached with the largest hosts alone, so no fewer will do.
    """
    t = telemetry
    memory = np.where(t.present, t.vm_memory_bytes, 0.0).sum(axis=1)
    least = np.zeros(t.num_centres)
    for wanted, room in ((total_mips, t.cpu_mips), (memory, t.memory_bytes)):
        largest_first = -np.sort(-np.where(t.exists, room, 0.0), axis=1)
        short = np.cumsum(largest_first, axis=1) < wanted[:, None]
        least = np.maximum(least, np.where(wanted > 0, short.sum(axis=1) + 1, 0))
    most: Floats = np.minimum(least, t.exists.sum(axis=1))
    return most


__all__ = ["Loads", "Past", "largest_per_host", "needed_hosts", "per_host", "ratio"]
