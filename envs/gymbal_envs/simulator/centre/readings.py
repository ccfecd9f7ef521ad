"""From the engine's tables to what a data centre reports, and to what is measured of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cache import LINE_BYTES
from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.cluster import migration_layout as mig
from gymbal_runtime.centre.orders import SLEEP
from gymbal_runtime.centre.sharing import SharingTelemetry
from gymbal_runtime.centre.telemetry import HOST_STATES, CentreTelemetry

if TYPE_CHECKING:
    from gymbal_envs.simulator.centre.engine import CentreEngine

Floats = NDArray[np.float64]


def read_centre(engine: CentreEngine) -> CentreTelemetry:
    """Telemetry of all centres, in arrays of its own."""
    fixed, host, out = engine.world_host, engine.host, engine.host_outcome
    sizes, vm = engine.world_vm, engine.vm
    present = vm[:, at.HERE] > 0
    clock = engine.physics.clock
    return CentreTelemetry(
        time_s=engine.world[:, at.TICK] * clock.tick_s,
        interval_s=np.full(engine.num_centres, clock.control_interval_s),
        exists=fixed[:, at.EXISTS] > 0,
        state=host[:, at.STATE].astype(np.int64),
        state_s=host[:, at.STATE_S].copy(),
        cpu_mips=fixed[:, at.CPU].copy(),
        core_mips=fixed[:, at.CORE].copy(),
        memory_bytes=fixed[:, at.MEMORY].copy(),
        nic_bytes_s=fixed[:, at.NIC].copy(),
        power_w=engine.curve.copy(),
        sleep_w=fixed[:, at.SLEEP_W].copy(),
        wake_s=fixed[:, at.WAKE_S].copy(),
        wake_w=fixed[:, at.WAKE_W].copy(),
        used_mips=out[:, at.USED_WORK] / engine.world[:, at.INTERVAL_S, None],
        held_bytes=host[:, at.HELD].copy(),
        draining=host[:, at.TOLD] == SLEEP,
        present=present,
        host_of=vm[:, at.HOST].astype(np.int64),
        moving_to=vm[:, at.TARGET].astype(np.int64),
        vm_mips=np.where(present, sizes[:, at.SPEED], 0.0),
        vcpus=np.where(present, sizes[:, at.VCPUS], 0.0),
        shares=np.where(present, sizes[:, at.SHARES], 0.0),
        vm_memory_bytes=np.where(present, sizes[:, at.VM_MEMORY], 0.0),
        dirty_bytes_s=dirtying(engine),
        wanted_frac=_part(vm[:, at.WANTED], sizes[:, at.SPEED], 0.0),
        got_frac=_part(engine.outcome[:, at.GOT_WORK], engine.outcome[:, at.WANTED_WORK], 1.0),
        history=engine.history.copy(),
        hosted_s=vm[:, at.HOSTED_S].copy(),
        sharing=read_sharing(engine) if engine.program.shape[1] > 0 else None,
    )


def read_sharing(engine: CentreEngine) -> SharingTelemetry:
    """Counters of the last tick, and what owners and static profiles say."""
    sizes, now = engine.world_vm, engine.sharing
    here = engine.vm[:, at.HERE] > 0
    runs = here & (now[:, at.SETTLED_ON] == engine.vm[:, at.HOST])
    exists = engine.world_host[:, at.EXISTS] > 0
    base = engine.program[:, :, host_at.CPI_BASE]

    def counted(values: Floats) -> Floats:
        return np.where(runs, values, np.nan)

    def known(row: int) -> Floats:
        return np.where(here, sizes[:, row], np.nan)

    return SharingTelemetry(
        llc_bytes=np.where(exists, engine.world[:, at.LLC_BYTES, None], 0.0),
        memory_bandwidth_bytes_s=engine.world_host[:, at.BANDWIDTH].copy(),
        device_bytes_s=engine.world_host[:, at.DEVICE].copy(),
        io_bytes_s=np.where(here, sizes[:, at.IO_FULL], 0.0),
        wakeups=np.where(here, sizes[:, at.WAKE_UPS], 0.0),
        instructions_s=counted(now[:, at.INSTRUCTIONS]),
        stall_frac=counted(1.0 - _part(base, now[:, at.CYCLES], 1.0)),
        fetched_bytes_s=counted(now[:, at.INSTRUCTIONS] * now[:, at.MISSES] * LINE_BYTES),
        llc_held_bytes=counted(now[:, at.OCCUPIED]),
        io_wanted_bytes_s=counted(now[:, at.IO_ASKED]),
        io_served_bytes_s=counted(now[:, at.IO_SERVED]),
        hint_slowdown=known(at.HINT_SLOWDOWN),
        hint_traffic_bytes_s=known(at.HINT_TRAFFIC),
        hint_cache_bytes=known(at.HINT_CACHE),
    )


def dirtying(engine: CentreEngine) -> Floats:
    """Bytes of distinct pages that every VM wrote per second of the last sample, (C, V).

    Groups of models.md 6.1 at the speed that the VM had in the last tick (before the first one: at
    what it wants), as a log of written pages would show them.
    """
    vm, seconds = engine.vm, engine.params.sample_s
    ran = np.where(engine.world[:, at.TICK, None] > 0, vm[:, at.GRANTED], vm[:, at.WANTED])
    ran = np.where(vm[:, at.HOST] >= 0, ran, 0.0)
    writing_s = seconds * _part(ran, engine.world_vm[:, at.SPEED], 0.0)[..., None]
    size, tau = engine.dirty[..., mig.SIZE], np.maximum(engine.dirty[..., mig.TAU], 1e-9)
    sweeps = engine.dirty[..., mig.KIND] == mig.SWEEP
    part = np.where(sweeps, np.minimum(writing_s / tau, 1.0), -np.expm1(-writing_s / tau))
    rate: Floats = (size * part).sum(axis=-1) / seconds
    return rate


def _part(some: Floats, whole: Floats, otherwise: float) -> Floats:
    """``some / whole``, or ``otherwise`` where there is nothing to be a part of."""
    part: Floats = np.where(whole > 0.0, some / np.where(whole > 0.0, whole, 1.0), otherwise)
    return part


VM_SUMS = {
    "wanted_mips_s": at.WANTED_WORK,
    "got_mips_s": at.GOT_WORK,
    "lost_waiting_mips_s": at.LOST_WAITING,
    "lost_moving_mips_s": at.LOST_MOVING,
    "waited_s": at.WAITED_S,
    "move_downtime_s": at.DOWN_S,
    "move_bytes": at.MOVE_BYTES,
    "moves_begun": at.BEGUN,
    "moves_finished": at.ENDED,
    "moves_failed": at.FAILED,
    "vms_placed": at.PLACED,
    "vm_orders_refused": at.REFUSED,
    "vm_s": at.PRESENT_S,
    "lost_cache_mips_s": at.LOST_CACHE,
    "lost_io_mips_s": at.LOST_IO,
    "lost_waking_mips_s": at.LOST_WAKING,
}
"""What `measured` adds up over a centre's VMs, by name."""
HOST_SUMS = {
    **{f"{state}_j": at.ENERGY + k for k, state in enumerate(HOST_STATES)},
    **{f"{state}_s": at.STATE_TIME + k for k, state in enumerate(HOST_STATES)},
    "active_s": at.ACTIVE_S,
    "full_s": at.FULL_S,
    "used_mips_s": at.USED_WORK,
    "copy_mips_s": at.COPY_WORK,
    "sleeps": at.SLEEPS,
    "wakes": at.WAKES,
    "host_orders_refused": at.HOST_REFUSED,
}
"""What `measured` adds up over its hosts. SLATAH of an episode is the sum of ``full_s`` over that
of ``active_s``, PDM that of ``lost_moving_mips_s`` over that of ``wanted_mips_s``: both as CloudSim
adds them up (models.md 7.2)."""
WEIGHTED = {
    "wanted_weight": at.WANTED_WORK,
    "got_weight": at.GOT_WORK,
    "waiting_weight": at.LOST_WAITING,
    "cache_weight": at.LOST_CACHE,
    "io_weight": at.LOST_IO,
    "waking_weight": at.LOST_WAKING,
}
"""What it adds up over VMs, weighted by their shares. The difference of the first two is the CPU
time that VMs lack; the last three are progress that they lack in the time they got."""
MEASURED = (*VM_SUMS, *HOST_SUMS, *WEIGHTED, "energy_j", "active_hosts")


def measured(engine: CentreEngine, names: Iterable[str] = MEASURED) -> dict[str, Floats]:
    """What happened in each centre in the last interval, (C,) each; names and units above.

    ``energy_j`` is that of all states together, ``active_hosts`` the mean number with a VM.

    Raises:
        KeyError: there is no such measure.
    """
    vms, hosts = engine.outcome, engine.host_outcome

    def total(name: str) -> Floats:
        if name in HOST_SUMS:
            return hosts[:, HOST_SUMS[name]].sum(axis=1)
        if name in VM_SUMS:
            return vms[:, VM_SUMS[name]].sum(axis=1)
        if name in WEIGHTED:
            return (engine.world_vm[:, at.SHARES] * vms[:, WEIGHTED[name]]).sum(axis=1)
        if name == "energy_j":
            return hosts[:, at.ENERGY : at.ENERGY + at.NUM_STATES].sum(axis=(1, 2))
        if name == "active_hosts":
            return hosts[:, at.ACTIVE_S].sum(axis=1) / engine.world[:, at.INTERVAL_S]
        raise KeyError(f"no measure {name!r}; there are {', '.join(MEASURED)}")

    return {name: total(name) for name in names}
