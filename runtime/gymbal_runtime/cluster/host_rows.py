"""What is seen of hosts and of clusters: the code of two tables of the cluster's quantities.

NaN, infinite and out-of-bounds entries are allowed here; `observation` bounds them.
"""

from __future__ import annotations

import numpy as np

from gymbal_runtime.cluster.history import ClusterHistory
from gymbal_runtime.cluster.orders import WAIT, Orders
from gymbal_runtime.cluster.rows import Columns
from gymbal_runtime.cluster.telemetry import LAST_COPY, PUSHING, SETUP, ClusterTelemetry
from gymbal_runtime.parts.scales import known, total
from gymbal_runtime.telemetry import Floats


def host_columns(
    telemetry: ClusterTelemetry, memory: ClusterHistory, told_target: Floats
) -> Columns:
    """What is seen of each host, (C * H,) each.

    Args:
        telemetry: the record.
        memory: what is remembered after this record.
        told_target: (C, H) 1 for the host to which the heuristic's most urgent order leads.
    """
    exists = telemetry.exists
    capacity = telemetry.capacity_bytes
    phase = telemetry.move_phase
    leaving = (phase >= SETUP) & (phase <= LAST_COPY) & telemetry.present
    vms = np.maximum(telemetry.present.sum(axis=2), 1)
    suffering = telemetry.present & ~np.isnan(memory.onset_s)
    stall = known(telemetry.per_host(telemetry.hosts.psi_some_frac)) * telemetry.present
    count = np.maximum(exists.sum(axis=1, keepdims=True), 1)
    mean_capacity = np.where(exists, capacity, 0.0).sum(axis=1, keepdims=True) / count
    same_site = (telemetry.site[:, :, None] == telemetry.site[:, None, :]) & exists[:, None, :]
    columns: Columns = {
        "room": telemetry.room_bytes / capacity,
        "lendable": telemetry.lendable_bytes / capacity,
        "lent": telemetry.lent_bytes / capacity,
        "reserved": telemetry.reserved_bytes / capacity,
        "pool": telemetry.pool_bytes / capacity,
        "far": np.where(telemetry.present, telemetry.far_bytes, 0.0).sum(axis=2) / capacity,
        "lends": telemetry.lends,
        "vacant": telemetry.vacant.mean(axis=2),
        "suffering_share": suffering.sum(axis=2) / vms,
        "worst_pressure": stall.max(axis=2),
        "link_out": telemetry.sent_bytes_s / telemetry.nic_bytes_s,
        "link_in": telemetry.received_bytes_s / telemetry.nic_bytes_s,
        "link_rate": np.log10(np.maximum(telemetry.nic_bytes_s, 1.0) / 1e7) / 4.0,
        "far_latency": np.log10(np.maximum(telemetry.far_latency_s, 1e-6) / 1e-6) / 5.0,
        "size": np.log2(capacity / mean_capacity) / 3.0,
        "moves_out": np.log2(1.0 + leaving.sum(axis=2)) / 3.0,
        "moves_in": np.log2(1.0 + telemetry.arriving.sum(axis=2)) / 3.0,
        "same_site": same_site.sum(axis=2) / count,
        "told_target": told_target,
    }
    flat = {name: np.asarray(values).reshape(-1) for name, values in columns.items()}
    return flat | _memory_columns(telemetry)


def _memory_columns(telemetry: ClusterTelemetry) -> Columns:
    """What is seen of each host's own memory, (C * H,) each."""
    hosts = telemetry.hosts
    present, budget = hosts.present, hosts.budget_bytes
    used = np.maximum(hosts.actual_bytes - known(hosts.usable_bytes), 0.0)
    return {
        "free": 1.0 - total(hosts.actual_bytes, present) / budget,
        "used": total(used, present) / budget,
        "swapped": total(known(hosts.swap_used_bytes), present) / budget,
        "provisioned": np.log2(1.0 + total(hosts.memory_max_bytes, present) / budget),
        "swap_latency": np.log10(np.maximum(hosts.swap_latency_s, 1e-6) / 1e-6) / 5.0,
        "vms": np.log2(np.maximum(present.sum(axis=1), 1)) / 8.0,
    }


def cluster_columns(telemetry: ClusterTelemetry, memory: ClusterHistory, base: Orders) -> Columns:
    """What is seen of each cluster as a whole, (C,) each."""
    hosts, exists, present = telemetry.hosts, telemetry.exists, telemetry.present
    capacity = np.where(exists, telemetry.capacity_bytes, 0.0).sum(axis=1)
    num_hosts = np.maximum(exists.sum(axis=1), 1)
    num_vms = present.sum(axis=(1, 2))
    suffering = present & ~np.isnan(memory.onset_s)
    used = telemetry.per_host(np.maximum(hosts.actual_bytes - known(hosts.usable_bytes), 0.0))
    swapped = telemetry.per_host(known(hosts.swap_used_bytes))
    load = np.maximum(telemetry.sent_bytes_s, telemetry.received_bytes_s) / telemetry.nic_bytes_s
    copied = (telemetry.move_phase >= SETUP) & (telemetry.move_phase <= PUSHING) & present

    def of_hosts(values: Floats) -> Floats:
        total: Floats = np.where(exists, values, 0.0).sum(axis=1)
        return total

    return {
        "hosts": np.log2(num_hosts) / 8.0,
        "vms": np.log2(1.0 + num_vms) / 16.0,
        "room": of_hosts(telemetry.room_bytes) / capacity,
        "lendable": of_hosts(telemetry.lendable_bytes) / capacity,
        "lent": of_hosts(telemetry.lent_bytes) / capacity,
        "used": np.where(present, used, 0.0).sum(axis=(1, 2)) / capacity,
        "swapped": np.where(present, swapped, 0.0).sum(axis=(1, 2)) / capacity,
        "suffering_share": suffering.sum(axis=(1, 2)) / np.maximum(num_vms, 1),
        "suffering_hosts": suffering.any(axis=2).sum(axis=1) / num_hosts,
        "link_load": of_hosts(load) / num_hosts,
        "moves": np.log2(1.0 + copied.sum(axis=(1, 2))) / 5.0,
        "orders": np.log2(1.0 + (base.verb != WAIT).sum(axis=(1, 2))) / 5.0,
        "balance": base.balance,
    }
