"""Fewer hosts: empty the least used whose VMs fit elsewhere, let them sleep, wake them in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_runtime.centre.corrections import VETO
from gymbal_runtime.centre.orders import LEAVE, SLEEP, WAKE
from gymbal_runtime.centre.telemetry import ASLEEP, SUSPENDING, WAKING
from gymbal_runtime.cluster.heuristics.corrections import LayerCorrections
from gymbal_runtime.cluster.heuristics.draft import Draft
from gymbal_runtime.cluster.heuristics.rooms import Rooms, Sizes, clearing
from gymbal_runtime.cluster.heuristics.situation import Situation, leaving
from gymbal_runtime.cluster.orders import MIGRATE, WAIT
from gymbal_runtime.cluster.powered import PoweredTelemetry
from gymbal_runtime.cluster.telemetry import IDLE, NOBODY, Ints
from gymbal_runtime.telemetry import Bools, Floats

TRIES = 3
"""Hosts of a cluster that are looked at, least used first, until one can be emptied."""

Power = np.ndarray[tuple[int, ...], np.dtype[np.int8]]


@dataclass(frozen=True, eq=False)
class Consolidating:
    """One decision about which hosts of C clusters are on; see `Layered` for the options.

    At most one host of a cluster is emptied at a time, and at most one is woken per decision.
    """

    telemetry: PoweredTelemetry
    seen: Situation
    draft: Draft
    rooms: Rooms
    sizes: Sizes
    corrections: LayerCorrections
    fill_frac: float
    wake_gap: float
    least_on_s: float
    clear_moves: int

    def decide(self, power: Power, unplaced: Bools) -> None:
        """Write to ``power`` (C, H) and to the draft.

        Args:
            power: what hosts are told.
            unplaced: (C,) clusters in which a VM found no host.
        """
        short = self._short(unplaced)
        self._go_on(power)
        self._empty(power, short)
        self._sleep(power, short)
        self._wake(power, short)
        self.corrections.heed(self.telemetry, power)

    def _short(self, unplaced: Bools) -> Bools:
        """Clusters (C,) whose hosts are nearly full, or have a VM that finds no room."""
        t, stays = self.telemetry, self.telemetry.open_hosts
        supplies = stays | ((t.state == WAKING) & t.exists)
        supply = np.where(supplies, t.capacity_bytes * self.corrections.relief, 0.0).sum(axis=1)
        full = self._needed(stays).sum(axis=1) > (self.fill_frac + self.wake_gap) * supply
        cores = np.where(stays, self.rooms.cores, 0.0).sum(axis=1) < 0.0
        waking = (t.exists & (t.state == WAKING)).any(axis=1)
        helpless = self._helpless().any(axis=1)
        short: Bools = full | ((cores | unplaced | helpless) & ~waking)
        return short

    def _helpless(self) -> Bools:
        """Hosts (C, H) that lack memory, with a VM that suffers, and none that fits elsewhere."""
        lacks = (self.seen.lack_bytes > 0.0) & self.seen.suffering.any(axis=2)
        going = leaving(self.telemetry) | (self.draft.told.verb == MIGRATE)
        helpless: Bools = lacks & self.telemetry.open_hosts & ~going.any(axis=2)
        return helpless

    def _go_on(self, power: Power) -> None:
        """Move on with hosts that drain; those whose VMs find no room any more stay on."""
        t = self.telemetry
        clusters, hosts = np.nonzero(t.draining & t.running)
        if not clusters.size:
            return
        stuck = ~self._clear(clusters, hosts)
        power[clusters[stuck], hosts[stuck]] = WAKE

    def _empty(self, power: Power, short: Bools) -> None:
        """Begin to empty one host of each cluster that has one whose VMs all fit elsewhere."""
        t = self.telemetry
        ready = ~short & ~t.draining.any(axis=1) & ~t.waiting.any(axis=(1, 2))
        candidates = self._candidates() & t.present.any(axis=2) & ready[:, None]
        rank = np.where(candidates, self._utilisation() + self.corrections.keep, np.inf)
        for _ in range(TRIES):
            hosts = rank.argmin(axis=1)
            clusters = np.flatnonzero(rank[np.arange(len(rank)), hosts] < np.inf)
            if not clusters.size:
                return
            chosen = hosts[clusters]
            rank[clusters, chosen] = np.inf
            done = self._clear(clusters, chosen)
            power[clusters[done], chosen[done]] = SLEEP
            rank[clusters[done]] = np.inf

    def _clear(self, clusters: Ints, hosts: Ints) -> Bools:
        """Order moves of a host's VMs where all of them fit elsewhere, (n,).

        Some may wait for their turn, so that links are not divided among too many.
        """
        staying = self.telemetry.present & ~leaving(self.telemetry)
        goals, complete, tried = clearing(self.rooms, clusters, hosts, self.sizes, staying)
        fine = np.flatnonzero(complete)
        if not fine.size:
            return complete
        self.rooms.adopt(clusters[fine], tried.of(fine))
        legal = self.seen.legal.migrate[clusters, hosts]
        told = self.draft.told
        for slot in range(goals.shape[1]):
            goal = goals[:, slot]
            allowed = np.take_along_axis(legal[:, slot], np.maximum(goal, 0)[:, None], axis=1)
            free = self.draft.leaving[clusters, hosts] < self.clear_moves
            waits = told.verb[clusters, hosts, slot] == WAIT
            goes = np.flatnonzero(complete & (goal != NOBODY) & allowed[:, 0] & free & waits)
            at = (clusters[goes], hosts[goes])
            told.verb[(*at, slot)] = MIGRATE
            told.target[(*at, slot)] = goal[goes]
            self.draft.leaving[at] += 1
        return complete

    def _sleep(self, power: Power, short: Bools) -> None:
        """Let one empty host of each cluster sleep that can do without it."""
        t = self.telemetry
        idle = self._candidates() & ~t.present.any(axis=2) & (power == LEAVE)
        idle &= ~(short | t.waiting.any(axis=(1, 2)))[:, None]
        promised = self.rooms.slots < self.draft.slots  # somebody was just given to it
        idle &= ~promised
        others = t.open_hosts & (power != SLEEP)
        idle &= others.sum(axis=1, keepdims=True) > 1
        capacity = t.capacity_bytes * self.corrections.fill
        without = np.where(others, capacity, 0.0).sum(axis=1, keepdims=True) - capacity
        idle &= self._needed(others).sum(axis=1, keepdims=True) <= self.fill_frac * without
        keep = np.where(idle, self.corrections.keep, np.inf)
        hosts = keep.argmin(axis=1)
        rows = np.flatnonzero(keep[np.arange(len(keep)), hosts] < np.inf)
        power[rows, hosts[rows]] = SLEEP

    def _wake(self, power: Power, short: Bools) -> None:
        """Keep a host that drains on where room is short, or wake the largest that sleeps."""
        t = self.telemetry
        sleeps = t.exists & ((t.state == ASLEEP) | (t.state == SUSPENDING))
        merit = np.where(t.draining & t.running, 1e6, np.where(sleeps, 0.0, -np.inf))
        largest = np.maximum(t.capacity_bytes.max(axis=1, keepdims=True), 1.0)
        merit = merit + self.corrections.keep + t.capacity_bytes / largest
        hosts = merit.argmax(axis=1)
        rows = np.flatnonzero(short & (merit[np.arange(len(merit)), hosts] > -np.inf))
        power[rows, hosts[rows]] = WAKE

    def _candidates(self) -> Bools:
        """Hosts (C, H) that have been on for long enough, calm, and with nobody on the way."""
        t = self.telemetry
        settled = (t.move_phase == IDLE) & (t.twin == NOBODY)
        quiet = ~(t.present & ~settled).any(axis=2) & ~t.arriving.any(axis=2)
        calm = ~self.seen.suffering.any(axis=2)
        ordered = (self.draft.told.verb == MIGRATE).any(axis=2)
        rested = (t.state_s >= self.least_on_s) & (self.corrections.keep <= VETO)
        candidates: Bools = t.open_hosts & quiet & calm & ~ordered & rested
        return candidates

    def _needed(self, hosts: Bools) -> Floats:
        """What the VMs of these hosts (C, H) may need of each, half of their peaks counted."""
        t = self.telemetry
        filled = self.corrections.fill * t.capacity_bytes - self.seen.headroom_bytes
        return np.where(hosts, filled, 0.0)

    def _utilisation(self) -> Floats:
        """Part of its memory that a host's VMs need, or of its cores if that is more, (C, H)."""
        t = self.telemetry
        memory = self.seen.need_bytes.sum(axis=2) / np.maximum(t.capacity_bytes, 1.0)
        cores = self.sizes.cores.sum(axis=2) / np.maximum(t.cores, 1e-9)
        utilisation: Floats = np.maximum(memory, cores)
        return utilisation
