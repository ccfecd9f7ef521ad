"""The state of a CloudSim data centre as flat arrays, and its sums."""

from __future__ import annotations

from typing import NamedTuple

from gymbal_envs.simulator.compile import Floats, Ints

# sums (NUM_SUMS,): what is reported at the end
ENERGY_J = 0
REQUESTED = 1  # MIPS seconds that VMs asked for
GIVEN = 2  # MIPS seconds that they got
LOST_MOVING = 3  # MIPS seconds that they did not get while they migrated
ACTIVE_S = 4  # host seconds with some load
VIOLATED_S = 5  # of these, with less CPU given than asked for
SHUTDOWNS = 6
MIGRATIONS = 7
ACTIVE_HOSTS = 8  # sum over scheduling events
EVENTS = 9  # scheduling events
LAST_S = 10  # time of the last event
NUM_SUMS = 11


class Centre(NamedTuple):
    """Who is where and who gets what, since the last event."""

    trace: Floats  # (T + 1, V) utilisation of the provisioned CPU; the last row repeats
    alive: Ints  # (V,) 0 once a VM asked for nothing: CloudSim takes it for completed
    host_of: Ints  # (V,) where it runs; while it migrates, its source
    moving: Ints  # (V,) 1 while it migrates
    vms: Ints  # (H, V) VMs of each host in order of arrival, migrating ones at both ends
    num_vms: Ints  # (H,)
    given_mips: Floats  # (V,)
    used_mips: Floats  # (H,) given to its VMs, without the 10 % that migrations cost them
    asked_mips: Floats  # (H,) by its VMs, arriving ones included
    free_mips: Floats  # (H,)
    was_active: Ints  # (H,) at the event before
    sums: Floats  # (NUM_SUMS,)
