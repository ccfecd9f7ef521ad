"""What happens in one cluster, written down decision by decision: for pictures and for reports."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.cluster_scenario import ClusterScenario
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.cluster import layout as its
from gymbal_envs.tasks.recording import Recorder
from gymbal_runtime.cluster.telemetry import NOBODY

if TYPE_CHECKING:
    from gymbal_envs.tasks.balanced_clusters import BalancedClusters

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

_BOOKS = {
    "vm_id": "vm_id",
    "far_bytes": "far_bytes",
    "lent_bytes": "lent_bytes",
    "reserved_bytes": "reserved_bytes",
    "pool_bytes": "pool_bytes",
    "borrowing": "borrowing",
    "boosted": "boosted",
    "phase": "move_phase",
    "goal": "move_target",
    "move_s": "move_s",
    "twin": "twin",
}
"""Fields of an episode that are fields of the cluster's telemetry: exact, and of now."""
_HAPPENED = {
    "moved_bytes": its.MOVE_BYTES,
    "paged_bytes": its.FAR_BYTES,
    "cloned_bytes": its.CLONE_BYTES,
    "down_s": its.DOWN_S,
    "failed": its.FAILED,
    "refused": its.REFUSED,
}
"""Fields of an episode that are rows of the engine's guests: what happened in the interval."""


@dataclass(frozen=True, eq=False)
class ClusterEpisode:
    """One cluster of H host places with V slots each at T instants, the first at its start.

    What is lost in an interval stands at the instant that ends it.
    """

    scenario: ClusterScenario
    time_s: Floats  # (T,)
    exists: Bools  # (H,)
    capacity_bytes: Floats  # (H,) memory for guests before anything is set aside
    lent_bytes: Floats  # (T, H) of it, pages of other hosts' VMs
    reserved_bytes: Floats  # (T, H) of it, set aside for VMs on their way
    pool_bytes: Floats  # (T, H) of it, set aside to be lent
    vm_id: Ints  # (T, H, V) -1 where no VM is
    held_bytes: Floats  # (T, H, V) memory of the guest
    needed_bytes: Floats  # (T, H, V) its kernel and working set
    far_bytes: Floats  # (T, H, V) its pages in other hosts' memory
    lost_frac: Floats  # (T, H, V) of the interval's progress
    lost_to_memory_frac: Floats  # (T, H, V) of it, because of memory
    killed: Floats  # (T, H, V) processes, in the interval
    shares: Floats  # (T, H, V)
    borrowing: Bools  # (T, H, V)
    boosted: Bools  # (T, H, V)
    phase: Ints  # (T, H, V) of the VM's move, as in `ClusterTelemetry`
    goal: Ints  # (T, H, V) host that it moves to, while PUSHING where it came from; -1 none
    move_s: Floats  # (T, H, V) since the move was ordered
    twin: Ints  # (T, H, V) host of its clone or origin; -1 none
    moved_bytes: Floats  # (T, H, V) on the wire in the interval, for moves
    paged_bytes: Floats  # (T, H, V) on the wire, far pages
    cloned_bytes: Floats  # (T, H, V) on the wire, pages of clones
    down_s: Floats  # (T, H, V) of the interval, paused by a move or a fork
    failed: Floats  # (T, H, V) moves given up by themselves in the interval
    refused: Floats  # (T, H, V) orders that could not be carried out
    idle_byte_s: Floats  # (T, H) of the interval: memory set aside that held nothing
    sleeps: Bools  # (T, H) a host that is not on: it is asleep, or on its way to or from it

    @property
    def hosts(self) -> Ints:
        """Places with a host, in order."""
        return np.flatnonzero(self.exists)

    @property
    def available_bytes(self) -> Floats:
        """What each host has for its own VMs, (T, H): all but lent, reserved and pool."""
        aside = self.lent_bytes + self.reserved_bytes + self.pool_bytes
        return np.maximum(self.capacity_bytes - aside, 0.0)

    @property
    def host_lost_frac(self) -> Floats:
        """Share-weighted mean of the progress lost on each host, (T, H); 0 without VMs."""
        return self._weighted(self.lost_frac, axis=2)

    @property
    def mean_lost_frac(self) -> Floats:
        """The same over the whole cluster, (T,)."""
        rows = (self.time_s.size, -1)
        return self._weighted(self.lost_frac.reshape(rows), axis=1)

    def _weighted(self, values: Floats, axis: int) -> Floats:
        weight = np.where(self.vm_id != NOBODY, self.shares, 0.0).reshape(values.shape)
        mean: Floats = (weight * values).sum(axis) / np.maximum(weight.sum(axis), 1e-12)
        return mean

    @cached_property
    def tracks(self) -> VmTracks:
        """The same by VM instead of by slot."""
        return VmTracks.of(self.vm_id)


@dataclass(frozen=True, eq=False)
class VmTracks:
    """Where each of n VMs is at T instants; clones are VMs of their own."""

    ids: Ints  # (n,) rising
    host: Ints  # (T, n) -1 where there is none yet, or no more
    slot: Ints  # (T, n) likewise

    @classmethod
    def of(cls, vm_id: Ints) -> VmTracks:
        """From the identities in each slot, (T, H, V)."""
        ids = np.unique(vm_id[vm_id != NOBODY])
        when, host, slot = np.nonzero(vm_id != NOBODY)
        column = np.searchsorted(ids, vm_id[when, host, slot])
        hosts = np.full((vm_id.shape[0], ids.size), NOBODY)
        slots = hosts.copy()
        hosts[when, column], slots[when, column] = host, slot
        return cls(ids, hosts, slots)

    @property
    def num_vms(self) -> int:
        """Number of VMs that were ever there, n."""
        return int(self.ids.size)

    @property
    def home(self) -> Ints:
        """Host where each VM was first seen, (n,)."""
        first = np.argmax(self.host != NOBODY, axis=0)
        home: Ints = np.take_along_axis(self.host, first[None], axis=0)[0]
        return home

    def of_vms(self, values: NDArray[Any], absent: Any = 0) -> NDArray[Any]:
        """Values by slot (T, H, V) as values by VM (T, n), ``absent`` where it is not there."""
        when = np.arange(self.host.shape[0])[:, None]
        return np.where(self.host == NOBODY, absent, values[when, self.host, self.slot])


class ClusterRecorder(Recorder):
    """Writes down what happens in one of the clusters, from now until its episode ends.

    Args:
        worlds: just reset; the first instant is written down now.
        cluster: which of them.
    """

    _worlds: BalancedClusters[Any]

    def __init__(self, worlds: BalancedClusters[Any], cluster: int = 0) -> None:
        # At the end of an episode the world is given the next scenario: this one is kept.
        self.scenario: ClusterScenario = worlds.source(int(worlds.episodes[cluster]))
        telemetry = worlds.telemetry
        self._exists = telemetry.exists[cluster].copy()
        self._capacity = telemetry.capacity_bytes[cluster].copy()
        self._rows: dict[str, list[NDArray[Any]]] = {}
        super().__init__(worlds, cluster)

    def episode(self) -> ClusterEpisode:
        """What was written down until now."""
        return ClusterEpisode(
            scenario=self.scenario,
            time_s=np.array(self._time_s),
            exists=self._exists,
            capacity_bytes=self._capacity,
            **{name: np.array(rows) for name, rows in self._rows.items()},
        )

    def _note(self) -> None:
        for name, values in self._now_by_name().items():
            self._rows.setdefault(name, []).append(np.array(values))

    def _now_by_name(self) -> dict[str, NDArray[Any]]:
        telemetry, cluster = self._worlds.telemetry, self._index
        interval_s = self._interval_s
        whole, places = self._worlds.engine, self._worlds.num_hosts
        engine = whole.hosts
        mine = slice(cluster * places, (cluster + 1) * places)
        state, outcome = engine.vm[mine], engine.outcome[mine]
        constant = engine.world_vm[mine]
        here = telemetry.vm_id[cluster] != NOBODY
        known = {name: getattr(telemetry, field)[cluster] for name, field in _BOOKS.items()}
        for name, row in _HAPPENED.items():
            known[name] = whole.guest[mine, row]
        return known | {
            "idle_byte_s": whole.member[mine, its.IDLE_BYTE_S],
            "sleeps": (whole.member[mine, its.EXISTS] > 0) & (whole.member[mine, its.RUNS] == 0),
            "held_bytes": np.where(here, state[:, at.ACTUAL], 0.0),
            "needed_bytes": np.where(here, state[:, at.WORKING_SET] + constant[:, at.KERNEL], 0.0),
            "lost_frac": np.where(here, outcome[:, at.LOST] / interval_s, 0.0),
            "lost_to_memory_frac": np.where(here, outcome[:, at.LOST_MEMORY] / interval_s, 0.0),
            "killed": np.where(here, outcome[:, at.KILLED], 0.0),
            "shares": np.where(here, constant[:, at.SHARES], 0.0),
        }
