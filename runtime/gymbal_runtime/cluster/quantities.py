"""The units tables of a cluster; `gymbal_runtime.cluster.rows` is their code.

What is seen of a VM's memory is the memory part's (`parts.memory_quantities`), without what a
balloon heuristic proposes and without histograms. The rest is here.
"""

from __future__ import annotations

from gymbal_runtime.parts.memory import MEMORY
from gymbal_runtime.quantities import BY_DEFINITION, CLIP, Quantity

HOUR_S = 3600.0
_HOUR = "log1p(x) / log1p(3600)"
_HOUR_BOUND = "one hour: longer is the same to a decision"

_NOT_HERE = ("base_of_actual", "base_of_fair", "access_rate", "fault_share", "has_histogram")
MEMORY_QUANTITIES: tuple[Quantity, ...] = tuple(
    q
    for q in MEMORY.vm_quantities
    if q.name not in _NOT_HERE and not q.name.startswith("lru_slice_")
)
"""What is seen of each VM's memory."""


def _flag(name: str, meaning: str) -> Quantity:
    return Quantity(name, "1", 0, 1, f"1 {meaning}", BY_DEFINITION)


def _share(name: str, transform: str, high: float = 1.0) -> Quantity:
    return Quantity(name, "1", 0, high, transform, BY_DEFINITION if high == 1.0 else CLIP)


def _time(name: str) -> Quantity:
    return Quantity(name, "s", 0, 1, _HOUR, _HOUR_BOUND)


TOLD_QUANTITIES: tuple[Quantity, ...] = (
    _flag("told_squeeze", "where the heuristic proposes SQUEEZE"),
    _flag("told_borrow", "where it proposes BORROW"),
    _flag("told_home", "where it proposes RECALL, MERGE or CANCEL"),
    _flag("told_clone", "where it proposes CLONE"),
    _flag("told_migrate", "where it proposes MIGRATE"),
    _flag("told_first", "where its most urgent order is this VM's"),
)

SITUATION_QUANTITIES: tuple[Quantity, ...] = (
    _flag("suffering", "while the VM is short of memory, until the release time is over"),
    _time("suffering_s"),
    Quantity("past_overloads", "1", 0, 1, "log2(1 + x) / 4", "15 overloads"),
    _time("past_overload_s"),
    _share("far_of_fair", "far bytes / fair share of the budget", 4),
    _share("far_of_swapped", "far bytes / swap used"),
    _flag("borrowing", "while the VM's evictions go to other hosts"),
    _flag("boosted", "while its neighbours give to it"),
    _flag("clonable", "where its load can be divided"),
    _flag("has_twin", "where it is a clone or has one"),
    _flag("pinned", "with a passthrough device"),
    _share("size_of_capacity", "bytes that a move would reserve / host's capacity"),
    _share("dirty_of_link", "dirty rate / bytes/s that its host can still send", 2),
    _share("dirty_set_of_size", "dirty set / size"),
    _time("first_pass_s"),
    _time("move_total_s"),
    Quantity("move_downtime_s", "s", 0, 1, "log1p(x / 0.1 s) / log1p(1e3)", "100 s paused"),
    _flag("converges", "where the passes of a pre-copy would shrink"),
    _flag("copying", "while it is copied to its target"),
    _flag("pushed", "while its pages follow it"),
    _share("move_progress", "part of the pass that is done"),
    _time("move_s"),
    _share("fits_share", "hosts that it could move to / other hosts of the cluster"),
    _share("size_of_best_room", "size / largest room of another host", 4),
)
"""What is seen of each VM besides its memory."""

VM_QUANTITIES = MEMORY_QUANTITIES + SITUATION_QUANTITIES + TOLD_QUANTITIES

TRACKED = ("pressure", "swap_in", "far_of_capacity", "actual_of_capacity", "usable_of_capacity")
"""What is remembered of every VM, in the order of `HISTORY_QUANTITIES`."""

HISTORY_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("pressure_change", "1", -1, 1, "now - then", BY_DEFINITION),
    Quantity("swap_in_change", "1", -1, 1, "difference of the scaled rate", BY_DEFINITION),
    Quantity("far_change", "1", -1, 1, "(now - then) / host's capacity", BY_DEFINITION),
    Quantity("actual_change", "1", -1, 1, "(now - then) / host's capacity", BY_DEFINITION),
    Quantity("usable_change", "1", -1, 1, "(now - then) / host's capacity", BY_DEFINITION),
)
"""Repeated for each remembered decision, newest first; they follow a VM that moves."""

HOST_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("free", "1", -0.5, 1, "1 - sum of actual / budget", CLIP),
    _share("used", "sum of actual - usable / budget", 2),
    _share("swapped", "sum of swap used / budget", 2),
    Quantity("provisioned", "1", 0, 4, "log2(1 + sum of max / budget)", "15x overcommitted"),
    Quantity("swap_latency", "s", 0, 1, "log10(x / 1 us) / 5", "1 us (CXL) to 100 ms (HDD queue)"),
    Quantity("vms", "1", 0, 1, "log2(number of VMs) / 8", "256 VMs"),
    _share("room", "room for arrivals / capacity"),
    _share("lendable", "what it would lend now / capacity"),
    _share("lent", "lent / capacity"),
    _share("reserved", "reserved for arrivals / capacity"),
    _share("pool", "set aside to be lent / capacity"),
    _share("far", "its VMs' far bytes / capacity", 2),
    _flag("lends", "while its memory service is alive"),
    _share("vacant", "vacant slots / slots"),
    _share("suffering_share", "suffering VMs / VMs"),
    _share("worst_pressure", "highest PSI some of its VMs"),
    _share("link_out", "bytes/s sent / link rate"),
    _share("link_in", "bytes/s received / link rate"),
    Quantity("link_rate", "bytes/s", 0, 1, "log10(x / 10 MB/s) / 4", "100 GB/s"),
    Quantity("far_latency", "s", 0, 1, "log10(x / 1 us) / 5", "1 us (CXL) to 100 ms"),
    Quantity("size", "1", -1, 1, "log2(capacity / mean of the cluster) / 3", "8x apart"),
    Quantity("moves_out", "1", 0, 1, "log2(1 + VMs being copied away) / 3", "7 at once"),
    Quantity("moves_in", "1", 0, 1, "log2(1 + slots reserved) / 3", "7 at once"),
    _share("same_site", "hosts of its site / hosts of the cluster"),
    _flag("told_target", "where the heuristic's most urgent order leads to"),
)

CLUSTER_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("hosts", "1", 0, 1, "log2(hosts) / 8", "256 hosts"),
    Quantity("vms", "1", 0, 1, "log2(1 + VMs) / 16", "65,535 VMs"),
    _share("room", "room of all hosts / capacity"),
    _share("lendable", "what hosts would lend / capacity"),
    _share("lent", "lent / capacity"),
    _share("used", "what VMs use (actual - usable) / capacity", 2),
    _share("swapped", "swap used / capacity", 2),
    _share("suffering_share", "suffering VMs / VMs"),
    _share("suffering_hosts", "hosts with a suffering VM / hosts"),
    _share("link_load", "mean of the larger of sent and received / link rate"),
    Quantity("moves", "1", 0, 1, "log2(1 + VMs being copied) / 5", "31 at once"),
    Quantity("orders", "1", 0, 1, "log2(1 + orders that the heuristic proposes) / 5", "31 at once"),
    _flag("balance", "where the heuristic lets local agents divide memory"),
)
