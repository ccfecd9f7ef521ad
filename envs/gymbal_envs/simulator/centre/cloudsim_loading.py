"""Check the arguments of a CloudSim data centre, and make its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.centre.cloudsim_example import CloudSimParams, HostModel, VmModel
from gymbal_envs.simulator.centre.cloudsim_tables import NUM_SUMS, Centre
from gymbal_runtime.centre.rules.consolidation import Plan
from gymbal_runtime.centre.rules.detection import HISTORY
from gymbal_runtime.centre.rules.placement import NUM_SAVED, Books, Hosts
from gymbal_runtime.centre.rules.power import watts_table
from gymbal_runtime.centre.rules.selection import Guests


def new_hosts(hosts: Sequence[HostModel]) -> Hosts:
    """Tables of H hosts."""
    return Hosts(
        capacity_mips=np.array([host.capacity_mips for host in hosts]),
        core_mips=np.array([float(host.core_mips) for host in hosts]),
        watts=watts_table([host.curve for host in hosts]),
        fill=np.ones(len(hosts)),
        relief=np.ones(len(hosts)),
    )


def checked_trace(
    hosts: Sequence[HostModel],
    vms: Sequence[VmModel],
    cpu_pct: NDArray[Any],
    params: CloudSimParams,
) -> NDArray[np.float64]:
    """Trace as fractions, (T + 1, V), its last sample repeated.

    Raises:
        ValueError: naming the argument, the value and what to do.
    """
    if not hosts:
        raise ValueError("hosts is empty; give at least one")
    if cpu_pct.ndim != 2 or cpu_pct.shape[0] != len(vms) or not len(vms):
        raise ValueError(
            f"cpu_pct has shape {cpu_pct.shape}; give one row for each of the {len(vms)} VMs"
        )
    if cpu_pct.shape[1] < 2:
        raise ValueError(f"cpu_pct has {cpu_pct.shape[1]} samples; give at least 2")
    if not (np.all(cpu_pct >= 0) and np.all(cpu_pct <= 100)):
        raise ValueError(f"cpu_pct goes from {cpu_pct.min()} to {cpu_pct.max()}; give 0 to 100 %")
    longest_s = max(vm.ram_mb for vm in vms) / params.migration_mb_s
    if not longest_s < params.scheduling_interval_s:
        raise ValueError(
            f"ram_mb of the largest VM takes {longest_s:.0f} s to migrate; it must take less than "
            f"scheduling_interval_s = {params.scheduling_interval_s:g} s"
        )
    columns = np.asarray(cpu_pct, dtype=np.float64).T / 100.0
    return np.ascontiguousarray(np.vstack([columns, columns[-1:]]))


def new_guests(vms: Sequence[VmModel]) -> Guests:
    """V VMs that ask for nothing and have no past."""
    num_vms = len(vms)
    return Guests(
        mips=np.array([float(vm.mips) for vm in vms]),
        vcpus=np.ones(num_vms),
        ram_mb=np.array([float(vm.ram_mb) for vm in vms]),
        requested_mips=np.zeros(num_vms),
        requested_ram_mb=np.zeros(num_vms),
        utilisation=np.zeros(num_vms),
        history=np.zeros((num_vms, HISTORY)),
        samples=np.zeros(num_vms, np.int64),
    )


def new_centre(num_hosts: int, num_vms: int, trace: NDArray[np.float64]) -> Centre:
    """A centre without VMs on its hosts, before its first event."""
    return Centre(
        trace=trace,
        alive=np.ones(num_vms, np.int64),
        host_of=np.zeros(num_vms, np.int64),
        moving=np.zeros(num_vms, np.int64),
        vms=np.zeros((num_hosts, num_vms), np.int64),
        num_vms=np.zeros(num_hosts, np.int64),
        given_mips=np.zeros(num_vms),
        used_mips=np.zeros(num_hosts),
        asked_mips=np.zeros(num_hosts),
        free_mips=np.zeros(num_hosts),
        was_active=np.ones(num_hosts, np.int64),
        sums=np.zeros(NUM_SUMS),
    )


def new_plan(num_hosts: int, num_vms: int) -> Plan:
    """An empty plan."""
    return Plan(
        takes=np.ones(num_hosts, np.int64),
        gives=np.ones(num_hosts, np.int64),
        keep=np.zeros(num_hosts),
        movable=np.ones(num_vms, np.int64),
        vm=np.zeros(2 * num_vms, np.int64),
        host=np.zeros(2 * num_vms, np.int64),
        num_moves=np.zeros(1, np.int64),
        stranded=np.zeros(num_vms, np.int64),
        num_stranded=np.zeros(1, np.int64),
        overloaded=np.zeros(num_hosts, np.int64),
        closed=np.zeros(num_hosts, np.int64),
        candidates=np.zeros(num_hosts, np.int64),
        order=np.zeros(num_hosts, np.int64),
        moving=np.zeros(num_vms, np.int64),
        members=np.zeros(num_vms, np.int64),
        saved=np.zeros((num_vms, NUM_SAVED)),
        work=np.zeros(2 * HISTORY),
        matrix=np.zeros((HISTORY, HISTORY + 1)),
    )


def new_books(vms: NDArray[np.int64], ram_mb: Sequence[float]) -> Books:
    """Books of empty hosts; they share the lists of VMs, since a plan only adds behind the end."""
    num_hosts = len(ram_mb)
    return Books(
        vms=vms,
        num_vms=np.zeros(num_hosts, np.int64),
        load_mips=np.zeros(num_hosts),
        requested_mips=np.zeros(num_hosts),
        free_mips=np.zeros(num_hosts),
        free_ram_mb=np.array(ram_mb, dtype=np.float64),
        power_w=np.zeros(num_hosts),
        history=np.zeros((num_hosts, HISTORY)),
    )
