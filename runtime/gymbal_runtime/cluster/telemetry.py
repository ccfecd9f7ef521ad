"""What a cluster of hosts reports: the hosts' own records, and what only a cluster manager knows.

Arrays have a leading axis of clusters (C), then hosts (H), then VM slots (V). Row ``c * H + h`` of
the hosts' record is host h of cluster c, so that an agent for single hosts runs on a whole batch of
clusters as it is. A host that does not exist has no VM present; its other values mean nothing.

The hosts' sensors are sampled, late and noisy. What the manager keeps books of (slots, memory set
aside, moves) is exact and of now: `gymbal_runtime.cluster.orders.Legal` reads nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.telemetry import Bools, Floats, Telemetry, empty_telemetry

Ints = NDArray[np.int64]

NOBODY = -1
"""No host, no slot, no VM."""

IDLE, SETUP, COPYING, LAST_COPY, PUSHING = 0, 1, 2, 3, 4
"""Phases of a move: none; being set up; pages are copied while the VM runs; the VM is paused; the
VM runs at the target and its pages follow (post-copy). The phases of the migration kernel."""


@dataclass(frozen=True, slots=True)
class ClusterTelemetry:
    """One record of C clusters of H hosts with V VM slots each.

    A VM has one row: at its source until the switch-over, at its target from then on. Rates are
    means over the last interval.
    """

    hosts: Telemetry  # (C * H,) hosts' own records; their budget is without lent, reserved and pool

    exists: Bools  # (C, H) False: this cluster has fewer hosts
    lends: Bools  # (C, H) its memory service is alive: it may lend and serve pages
    site: Ints  # (C, H) data centre that the host stands in
    capacity_bytes: Floats  # (C, H) memory for guests before anything is set aside
    lent_bytes: Floats  # (C, H) of it, far memory that holds pages of other hosts' VMs
    reserved_bytes: Floats  # (C, H) of it, set aside for VMs and clones that are on their way
    pool_bytes: Floats  # (C, H) of it, set aside to be lent, and not lent now; 0: elastic lending
    room_bytes: Floats  # (C, H) exactly what an arriving VM may have reserved there now, >= 0
    lendable_bytes: Floats  # (C, H) exactly what the host would lend now; 0 where it does not lend
    nic_bytes_s: Floats  # (C, H) link rate of its network card, each direction
    sent_bytes_s: Floats  # (C, H) used of it lately, by everything
    received_bytes_s: Floats  # (C, H) the same, inbound
    far_latency_s: Floats  # (C, H) mean wait for one far page lately, NaN before the first

    vm_id: Ints  # (C, H, V) identity that a VM keeps when it moves, unique in its cluster; -1 none
    size_bytes: Floats  # (C, H, V) exactly what a target must reserve for the VM's move
    clone_bytes: Floats  # (C, H, V) exactly what a target must reserve for its clone
    far_bytes: Floats  # (C, H, V) pages of the VM that lie in other hosts' memory
    borrowing: Bools  # (C, H, V) what it evicts goes to other hosts first
    boosted: Bools  # (C, H, V) its neighbours give to it for now
    dirty_rate_bytes_s: Floats  # (C, H, V) bytes of distinct pages written per second; NaN unknown
    dirty_set_bytes: Floats  # (C, H, V) pages that it writes again and again; NaN unknown
    move_phase: Ints  # (C, H, V) IDLE, SETUP, COPYING, LAST_COPY or PUSHING
    move_target: Ints  # (C, H, V) host that it moves to (while PUSHING: where it came from); -1
    move_progress: Floats  # (C, H, V) part of the present pass that is done, 0..1
    move_s: Floats  # (C, H, V) seconds since the move was ordered
    arriving: Bools  # (C, H, V) the slot is empty and reserved for a VM or clone on its way
    clonable: Bools  # (C, H, V) its program can be divided between two copies
    twin: Ints  # (C, H, V) host of its clone or origin, -1 none
    pinned: Bools  # (C, H, V) it has a passthrough device, which a move takes away first

    @property
    def num_clusters(self) -> int:
        """Number of clusters in the record, C."""
        return int(self.exists.shape[0])

    @property
    def num_hosts(self) -> int:
        """Number of host places of each cluster, H, whether there is a host or not."""
        return int(self.exists.shape[1])

    @property
    def num_vms(self) -> int:
        """Number of VM slots of each host, V, whether occupied or not."""
        return int(self.vm_id.shape[2])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, V)."""
        return self.num_clusters, self.num_hosts, self.num_vms

    @property
    def time_s(self) -> Floats:
        """Seconds on each cluster's clock, (C,)."""
        clock: Floats = self.per_host(self.hosts.time_s)[:, 0]
        return clock

    @property
    def present(self) -> Bools:
        """Which slots hold a VM, (C, H, V)."""
        present: Bools = self.per_host(self.hosts.present)
        return present

    @property
    def vacant(self) -> Bools:
        """Which slots of hosts that exist could take a VM, (C, H, V): neither held nor reserved."""
        return ~self.present & ~self.arriving & self.exists[:, :, None]

    def per_host(self, values: NDArray[Any]) -> NDArray[Any]:
        """A column of the hosts' record, (C * H, ...), as a view (C, H, ...)."""
        return values.reshape(self.num_clusters, self.num_hosts, *values.shape[1:])

    def take_clusters(self, index: Ints) -> Self:
        """The record of some of the clusters, in the order of ``index``."""
        places = (np.asarray(index)[:, None] * self.num_hosts + np.arange(self.num_hosts)).ravel()
        taken: dict[str, Any] = {
            f.name: getattr(self, f.name)[index] for f in fields(self) if f.name != "hosts"
        }
        return type(self)(hosts=self.hosts.take_hosts(places), **taken)


PER_HOST_FLOATS = (
    "capacity_bytes",
    "lent_bytes",
    "reserved_bytes",
    "pool_bytes",
    "room_bytes",
    "lendable_bytes",
    "nic_bytes_s",
    "sent_bytes_s",
    "received_bytes_s",
)
PER_VM_FLOATS = (
    "size_bytes",
    "clone_bytes",
    "far_bytes",
    "dirty_rate_bytes_s",
    "dirty_set_bytes",
    "move_progress",
    "move_s",
)
PER_VM_BOOLS = ("borrowing", "boosted", "arriving", "clonable", "pinned")


def empty_cluster(num_clusters: int, num_hosts: int, num_vms: int) -> ClusterTelemetry:
    """A record of hosts that exist, lend, and hold no VM: a frame to fill in."""
    host = (num_clusters, num_hosts)
    rows = (*host, num_vms)
    values: dict[str, Any] = {name: np.zeros(host) for name in PER_HOST_FLOATS}
    values |= {name: np.zeros(rows) for name in PER_VM_FLOATS}
    values |= {name: np.zeros(rows, dtype=np.bool_) for name in PER_VM_BOOLS}
    return ClusterTelemetry(
        hosts=empty_telemetry(num_clusters * num_hosts, num_vms),
        exists=np.ones(host, dtype=np.bool_),
        lends=np.ones(host, dtype=np.bool_),
        site=np.zeros(host, dtype=np.int64),
        far_latency_s=np.full(host, np.nan),
        vm_id=np.full(rows, NOBODY, dtype=np.int64),
        move_phase=np.zeros(rows, dtype=np.int64),
        move_target=np.full(rows, NOBODY, dtype=np.int64),
        twin=np.full(rows, NOBODY, dtype=np.int64),
        **values,
    )
