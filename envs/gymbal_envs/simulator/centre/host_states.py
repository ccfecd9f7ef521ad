"""The hosts of data centres as `gymbal_envs.simulator.host_power` takes them."""

from __future__ import annotations

from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.centre.presence import is_empty
from gymbal_envs.simulator.centre.tables import Tables
from gymbal_envs.simulator.compile import lean_kernel
from gymbal_envs.simulator.host_power import (
    NUM_POWER_FIXED,
    NUM_POWER_OUTCOME,
    NUM_POWER_STATE,
    pass_power_time,
    tell_power,
)


@lean_kernel
def tell_host(t: Tables, h: int, verb: int) -> None:
    """Tell a host to sleep or to wake; what cannot be is refused and counted."""
    told = t.world_host[at.EXISTS, h] > 0.0 and tell_power(t.host[:NUM_POWER_STATE, h], verb)
    if not told:
        t.host_outcome[at.HOST_REFUSED, h] += 1.0


@lean_kernel
def pass_time(t: Tables, h: int, dt: float) -> None:
    """Let ``dt`` seconds pass for a host of which VMs and moves use USED."""
    last = at.SLEEP_W + NUM_POWER_FIXED
    joules = pass_power_time(
        t.host[:NUM_POWER_STATE, h],
        t.world_host[at.SLEEP_W : last, h],
        t.curve[h],
        t.host_outcome[:NUM_POWER_OUTCOME, h],
        min(t.host[at.USED, h] / t.world_host[at.CPU, h], 1.0),
        t.host[at.RESIDENTS, h] > 0.0,
        is_empty(t, h),
        dt,
    )
    t.host[at.WATTS, h] = joules / dt
