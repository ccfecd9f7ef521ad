"""The tables of one cluster, as kernels take them: views, a row per host.

Two tuples instead of twenty arguments. Nearly every kernel needs the first; the second is for those
that run hosts or carry VMs about. What numba compiles grows with what it is handed, hence two.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gymbal_envs.simulator.cluster.migration_layout import NUM_DIRTY, NUM_GROUPS
from gymbal_envs.simulator.compile import Demand, Floats, Ints, Streams, kernel


class Tables(NamedTuple):
    """H hosts with V VM slots: the hosts' state, and the cluster's (`layout`)."""

    world_vm: Floats  # (H, NUM_WORLD_VM, V)
    world_host: Floats  # (H, NUM_WORLD_HOST)
    vm: Floats  # (H, NUM_VM, V)
    outcome: Floats  # (H, NUM_OUTCOME, V)
    cluster: Floats  # (NUM_CLUSTER,)
    member: Floats  # (H, NUM_MEMBER)
    guest: Floats  # (H, NUM_GUEST, V)
    slot: Floats  # (H, V, FAR_AT + H)
    pages: Floats  # (NUM_PAGES, H, H)
    link: Floats  # (NUM_LINK, 2 H + 2)
    power: Floats  # (H, NUM_POWER_STATE), as the next three: `gymbal_envs.simulator.host_power`
    power_fixed: Floats  # (H, NUM_POWER_FIXED)
    power_outcome: Floats  # (H, NUM_POWER_OUTCOME)
    watts: Floats  # (H, NUM_LEVELS) by utilisation


class HostTables(NamedTuple):
    """What only a host's own physics reads, and what it needs to run."""

    constants: Floats
    curve: Floats  # (H, V, ...)
    programs: Floats  # (H, V, ...)
    active: Floats  # (H, V, ...)
    demand: Demand  # (H, KNOTS, NUM_DEMAND, V)
    told: Floats  # (H, NUM_TOLD, V)
    host: Floats  # (H, NUM_HOST)
    pending: Floats  # (H, NUM_SENSED, V)
    visible: Floats  # (H, NUM_SENSED, V)
    streams: Streams  # (H,)


class Scratch(NamedTuple):
    """Room for a tick of one cluster; kernels leave nothing in it for one another."""

    rate: Floats  # (2, F) bytes/s of flows: wanted, granted; H H pairs of hosts and H V moves
    route: Ints  # (5, F): up to three links of a flow, and of a move: host and slot of the VM
    dirty: Floats  # (NUM_GROUPS, NUM_DIRTY)
    serving: Floats  # (H,)
    faults: Floats  # (3, V)


WANTED, GRANTED = 0, 1
MOVER, MOVER_SLOT = 3, 4


@kernel
def cluster_rows(t: Tables, c: int) -> Tables:
    """The tables of cluster ``c`` out of those of a batch."""
    h = t.pages.shape[2]
    first, last = c * h, (c + 1) * h
    return Tables(
        t.world_vm[first:last],
        t.world_host[first:last],
        t.vm[first:last],
        t.outcome[first:last],
        t.cluster[c],
        t.member[first:last],
        t.guest[first:last],
        t.slot[first:last],
        t.pages[c],
        t.link[c],
        t.power[first:last],
        t.power_fixed[first:last],
        t.power_outcome[first:last],
        t.watts[first:last],
    )


@kernel
def host_rows(d: HostTables, c: int, h: int) -> HostTables:
    """The same for the tables of the hosts' own physics; ``h`` hosts to a cluster."""
    first, last = c * h, (c + 1) * h
    return HostTables(
        d.constants,
        d.curve[first:last],
        d.programs[first:last],
        d.active[first:last],
        d.demand[first:last],
        d.told[first:last],
        d.host[first:last],
        d.pending[first:last],
        d.visible[first:last],
        d.streams[first:last],
    )


@kernel
def make_scratch(num_hosts: int, num_vms: int) -> Scratch:
    """Scratch for clusters of H hosts with V slots."""
    flows = num_hosts * num_hosts + num_hosts * num_vms
    return Scratch(
        np.zeros((2, flows)),
        np.zeros((5, flows), dtype=np.int64),
        np.zeros((NUM_GROUPS, NUM_DIRTY)),
        np.zeros(num_hosts),
        np.zeros((3, num_vms)),
    )
