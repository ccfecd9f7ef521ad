"""The tables of data centres as kernels take them, and room to work in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.cluster.network import NO_LINK
from gymbal_envs.simulator.compile import Demand, Floats, Ints, kernel, lean_kernel
from gymbal_envs.simulator.occupancy import NUM_SCRATCH
from gymbal_envs.simulator.whole_host import NUM_ACTIVE


class Tables(NamedTuple):
    """C centres; of one centre (`centre_rows`) all but the constants lack the first axis."""

    constants: Floats  # (NUM_CONSTANTS,)
    host_constants: Floats  # those of the kernels of one host: `gymbal_envs.simulator.layout`
    plan: Floats  # (C, NUM_PLAN) how VMs move: `cluster.migration_layout`
    world: Floats  # (C, NUM_WORLD)
    world_host: Floats  # (C, NUM_WORLD_HOST, H)
    curve: Floats  # (C, H, CURVE_POINTS) W by utilisation
    world_vm: Floats  # (C, NUM_WORLD_VM, V)
    demand: Demand  # (C, K, V) of the VM's own MIPS
    dirty: Floats  # (C, V, NUM_GROUPS, NUM_DIRTY) at full speed
    move: Floats  # (C, V, NUM_STATE) of the migration kernel
    host: Floats  # (C, NUM_HOST, H)
    vm: Floats  # (C, NUM_VM, V)
    history: Floats  # (C, V, HISTORY)
    outcome: Floats  # (C, NUM_OUTCOME, V)
    host_outcome: Floats  # (C, NUM_HOST_OUTCOME, H)
    program: Floats  # (C, V, NUM_ACTIVE) as the kernels of one host take it; V = 0: no contention
    sharing: Floats  # (C, NUM_SHARING, V), with as many VMs


class Bench(NamedTuple):
    """One host as the kernels of `gymbal_envs.simulator` take it, with room for V VMs."""

    world_vm: Floats  # (NUM_WORLD_VM, V)
    world_host: Floats  # (NUM_WORLD_HOST,)
    active: Floats  # (V, NUM_ACTIVE)
    vm: Floats  # (NUM_VM, V)
    host: Floats  # (NUM_HOST,)
    wants: Floats  # (NUM_SCRATCH, V)
    members: Ints  # (V,)


class Scratch(NamedTuple):
    """Room for one centre; F moves are under way, L ports take part in them."""

    order: Ints  # (V,) VMs that run, host by host
    start: Ints  # (H + 1,) where those of a host begin in ``order``
    cursor: Ints  # (H,)
    share: Floats  # (3, V) LIMITS, WEIGHTS, GRANTS of VMs in that order
    mover: Ints  # (V,) the first F are VMs that move
    route: Ints  # (3, V) ports of each: out of the source, into the target, none
    rate: Floats  # (2, V) bytes/s: ASKED, GIVEN
    port: Floats  # (3, L) bytes/s: CAPACITY, CARRIED, overwritten
    port_of: Ints  # (2 H,) port of a host's way out and in; `NO_LINK` between uses
    bench: Bench  # without room where no VM runs a program


LIMITS, WEIGHTS, GRANTS = range(3)
OUT, IN, THIRD = range(3)
ASKED, GIVEN = range(2)
CAPACITY, CARRIED, REST = range(3)


@kernel
def centre_rows(t: Tables, c: int) -> Tables:
    """The tables of centre ``c``, views of those of a batch."""
    return Tables(
        t.constants,
        t.host_constants,
        t.plan[c],
        t.world[c],
        t.world_host[c],
        t.curve[c],
        t.world_vm[c],
        t.demand[c],
        t.dirty[c],
        t.move[c],
        t.host[c],
        t.vm[c],
        t.history[c],
        t.outcome[c],
        t.host_outcome[c],
        t.program[c],
        t.sharing[c],
    )


@kernel
def make_scratch(num_hosts: int, num_vms: int, num_programs: int) -> Scratch:
    """Scratch for centres of this size; ``num_programs`` is 0 where there is no contention."""
    return Scratch(
        np.zeros(num_vms, dtype=np.int64),
        np.zeros(num_hosts + 1, dtype=np.int64),
        np.zeros(num_hosts, dtype=np.int64),
        np.zeros((3, num_vms)),
        np.zeros(num_vms, dtype=np.int64),
        np.full((3, num_vms), NO_LINK, dtype=np.int64),
        np.zeros((2, num_vms)),
        np.zeros((3, min(2 * num_vms, 2 * num_hosts))),
        np.full(2 * num_hosts, NO_LINK, dtype=np.int64),
        Bench(
            np.zeros((host_at.NUM_WORLD_VM, num_programs)),
            np.zeros(host_at.NUM_WORLD_HOST),
            np.zeros((num_programs, NUM_ACTIVE)),
            np.zeros((host_at.NUM_VM, num_programs)),
            np.zeros(host_at.NUM_HOST),
            np.zeros((NUM_SCRATCH, num_programs)),
            np.zeros(num_programs, dtype=np.int64),
        ),
    )


@lean_kernel
def sort_by_host(t: Tables, s: Scratch) -> None:
    """List the VMs of each host: ``order[start[h]:start[h + 1]]``, in the order of their rows."""
    num_hosts, num_vms = t.host.shape[1], t.vm.shape[1]
    for h in range(num_hosts + 1):
        s.start[h] = 0
    for v in range(num_vms):
        h = int(t.vm[at.HOST, v])
        if h >= 0:
            s.start[h + 1] += 1
    for h in range(num_hosts):
        s.start[h + 1] += s.start[h]
        s.cursor[h] = s.start[h]
    for v in range(num_vms):
        h = int(t.vm[at.HOST, v])
        if h >= 0:
            s.order[s.cursor[h]] = v
            s.cursor[h] += 1
