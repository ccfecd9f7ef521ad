"""From the tables of the sites' engine to what an operator sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gymbal_envs.simulator.cluster import migration_layout as mig
from gymbal_envs.simulator.cluster import sites_layout as at
from gymbal_envs.simulator.cluster.sites_wants import memory_left
from gymbal_envs.simulator.compile import Floats, kernel
from gymbal_runtime.sites.telemetry import (
    AT_SOURCE,
    HAND_OVER,
    LAST_COPY,
    PRECOPY,
    SitesTelemetry,
)

if TYPE_CHECKING:
    from gymbal_envs.simulator.cluster.sites_engine import SitesEngine


def read_sites(engine: SitesEngine) -> SitesTelemetry:
    """Telemetry of all worlds, in arrays of its own."""
    params, interval = engine.params, engine.physics.clock.control_interval_s
    world, fixed, vm, link = engine.world, engine.world_vm, engine.vm, engine.link
    b = engine.num_worlds
    activity = vm[:, at.ACTIVITY].copy()
    present = fixed[:, at.PRESENT] > 0
    wire = engine.outcome[:, at.DISK_WIRE] + engine.outcome[:, at.MEMORY_WIRE]
    left = np.empty_like(activity)
    count_memory(fixed[:, at.MEMORY], engine.dirty, vm[:, at.PHASE], engine.move, left)
    return SitesTelemetry(
        time_s=link[:, at.TICK] * engine.physics.clock.tick_s,
        deadline_s=world[:, at.DEADLINE].copy(),
        late_cost=np.full(b, params.late_cost),
        wan_bytes_s=world[:, at.WAN].copy(),
        wan_free_bytes_s=link[:, at.FREE].copy(),
        flow_limit_bytes_s=world[:, at.FLOW_LIMIT].copy(),
        rtt_s=world[:, at.RTT].copy(),
        commit_s=link[:, at.COMMIT_S].copy(),
        hand_over_s=params.hand_over_trips * world[:, at.RTT] + params.route_switch_s,
        present=present,
        shares=fixed[:, at.SHARES].copy(),
        away_cost=fixed[:, at.AWAY_COST].copy(),
        vcpus=fixed[:, at.VCPUS].copy(),
        memory_bytes=fixed[:, at.MEMORY].copy(),
        disk_bytes=fixed[:, at.DISK].copy(),
        redundancy_memory=fixed[:, at.MEMORY_HINT].copy(),
        redundancy_disk=fixed[:, at.DISK_HINT].copy(),
        hash_core_s_per_byte=np.full(b, params.hash_core_s_per_byte),
        hash_bytes_s=np.full(b, params.hash_bytes_s),
        phase=np.where(present, vm[:, at.PHASE], AT_SOURCE).astype(np.int64),
        suspended=vm[:, at.SUSPENDED] > 0,
        reduced=vm[:, at.REDUCED] > 0,
        phase_s=vm[:, at.PHASE_S].copy(),
        move_s=vm[:, at.MOVE_S].copy(),
        activity=activity,
        write_bytes_s=fixed[:, at.WRITE_RATE] * activity,
        commit_rate=fixed[:, at.COMMITS] * activity,
        dirty_bytes_s=vm[:, at.DIRTY_SEEN].copy(),
        disk_left_bytes=vm[:, at.DISK_NEW] + vm[:, at.DISK_AGAIN],
        disk_new_bytes=vm[:, at.DISK_NEW].copy(),
        memory_left_bytes=left,
        round=engine.move[:, :, mig.ROUND].copy(),
        residuals=np.moveaxis(vm[:, at.RESIDUALS : at.RESIDUALS + at.NUM_RESIDUALS], 1, 2).copy(),
        rate_bytes_s=wire / interval,
        sent_bytes=vm[:, at.SENT].copy(),
    )


@kernel
def count_memory(memory: Floats, dirty: Floats, phase: Floats, move: Floats, left: Floats) -> None:
    """Memory that is left to copy, (B, V) bytes: all of it before pre-copy, nothing in the end."""
    for w in range(left.shape[0]):
        for v in range(left.shape[1]):
            if phase[w, v] == PRECOPY or phase[w, v] == LAST_COPY:
                left[w, v] = memory_left(dirty[w, v], move[w, v])
            elif phase[w, v] >= HAND_OVER:
                left[w, v] = 0.0
            else:
                left[w, v] = memory[w, v]
