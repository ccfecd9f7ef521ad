"""Which empty hosts sleep, which stay on, and since when they are idle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.centre.orders import LEAVE, SLEEP, WAKE
from gymbal_runtime.centre.telemetry import ASLEEP, NOWHERE, SUSPENDING, WAKING, CentreTelemetry
from gymbal_runtime.telemetry import Bools, Floats

Ints = NDArray[np.int64]
Verbs = NDArray[np.int8]


def break_even_s(telemetry: CentreTelemetry) -> Floats:
    """Seconds of idling that cost as much energy as waking, (C, H).

    ``t_wait`` of DelayedOff (Gandhi et al., AutoScale, ACM TOCS 30(4), 2012; models.md 7.1).
    """
    idle_w = np.maximum(telemetry.power_w[..., 0], 1e-9)
    wait: Floats = telemetry.wake_s * telemetry.wake_w / idle_w
    return wait


def cheapest_first(telemetry: CentreTelemetry, hosts: Bools) -> Ints:
    """Rank of each of these hosts, (C, H), by W per MIPS at full load; others come last."""
    cost = telemetry.power_w[..., -1] / np.maximum(telemetry.cpu_mips, 1e-9)
    order = np.argsort(np.where(hosts, cost, np.inf), axis=1, kind="stable")
    rank: Ints = np.argsort(order, axis=1, kind="stable")
    return rank


def wake_some(telemetry: CentreTelemetry, count: Ints, power: Verbs) -> None:
    """Wake up to ``count`` (C,) sleeping hosts that are told nothing yet, cheapest first."""
    state = telemetry.state
    sleeping = telemetry.exists & ((state == ASLEEP) | (state == SUSPENDING)) & (power == LEAVE)
    rank = cheapest_first(telemetry, sleeping)
    power[sleeping & (rank < count[:, None])] = WAKE


def vms_per_host(place: NDArray[Any], num_hosts: int) -> Ints:
    """Number of VMs on each host, (C, H), from their hosts (C, V)."""
    centres = place.shape[0]
    there = place != NOWHERE
    flat = (np.arange(centres)[:, None] * num_hosts + place)[there]
    return np.bincount(flat, minlength=centres * num_hosts).reshape(centres, num_hosts)


@dataclass(eq=False)
class IdleClock:
    """Since when hosts have no VM; what the rules remember of a centre.

    Attributes:
        since_s: (C, H) time of the first record in which the host was on and empty; NaN: it is not.
    """

    since_s: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def forget(self, num_centres: int, centres: Bools | None) -> None:
        """Forget the marked centres (C,), or all where that is None or their number is new."""
        if centres is None or self.since_s.shape[0] != num_centres:
            self.since_s = np.zeros((0, 0))
        else:
            self.since_s[centres] = np.nan

    def idle_s(self, telemetry: CentreTelemetry) -> Floats:
        """Seconds that hosts are known to be idle, (C, H); 0 where they are not."""
        if self.since_s.shape != telemetry.exists.shape:
            self.since_s = np.full(telemetry.exists.shape, np.nan)
        place = np.where(telemetry.present, telemetry.host_of, NOWHERE)
        going = np.where(telemetry.present, telemetry.moving_to, NOWHERE)
        hosts = telemetry.num_hosts
        empty = vms_per_host(place, hosts) + vms_per_host(going, hosts) == 0
        empty &= telemetry.running
        now = np.broadcast_to(telemetry.time_s[:, None], empty.shape)
        self.since_s[:] = np.where(empty, np.fmin(self.since_s, now), np.nan)
        return np.where(empty, now - self.since_s, 0.0)

    def tell(
        self,
        telemetry: CentreTelemetry,
        after: NDArray[Any],
        power: Verbs,
        spare: Callable[[Ints], Ints],
        awake_s: float,
        patience: float,
    ) -> None:
        """Tell hosts that will be empty to sleep, but for the spare ones; wake missing spare ones.

        Args:
            telemetry: the record.
            after: (C, V) where VMs will be.
            power: (C, H) what hosts are told; added to.
            spare: from the number of hosts in use (C,) to that of empty ones to keep on.
            awake_s: that a host is on before it may sleep.
            patience: times `break_even_s` that it is idle before.
        """
        count = vms_per_host(after, telemetry.num_hosts)
        empty = telemetry.running & (count == 0)
        wanted = spare((telemetry.exists & (count > 0)).sum(axis=1))
        # Hosts that are told to sleep already go on with it, unless they are needed.
        rank = cheapest_first(telemetry, empty & ~telemetry.draining)
        awake = (empty & ~telemetry.draining).sum(axis=1)
        kept = empty & ~telemetry.draining & (rank < wanted[:, None])
        missing = np.maximum(wanted - awake, 0)
        again = empty & telemetry.draining
        again &= cheapest_first(telemetry, again) < missing[:, None]
        power[again] = WAKE
        coming = telemetry.exists & ((telemetry.state == WAKING) | (power == WAKE))
        wake_some(telemetry, np.maximum(wanted - awake - coming.sum(axis=1), 0), power)
        idle = self.idle_s(telemetry)
        due = telemetry.state_s >= awake_s
        if patience > 0.0:
            due &= idle >= patience * break_even_s(telemetry)
        power[empty & ~kept & due & ~telemetry.draining & (power != WAKE)] = SLEEP
