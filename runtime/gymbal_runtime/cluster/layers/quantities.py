"""The units tables of `gymbal/Cluster-v0`; `gymbal_runtime.cluster.layers.rows` is their code."""

from __future__ import annotations

from gymbal_runtime.host_columns import COUNT, EIGHT_TIMES, MANY, STATE_QUANTITIES
from gymbal_runtime.quantities import BY_DEFINITION, CLIP, Quantity
from gymbal_runtime.row_layout import RowLayout, Table

_OF_MEMORY = "/ its memory"

HOST_QUANTITIES: tuple[Quantity, ...] = (
    *STATE_QUANTITIES,
    Quantity("used", "1", 0, 2, f"what its VMs use {_OF_MEMORY}", CLIP),
    Quantity("room", "1", 0, 1, f"what an arriving VM may have reserved {_OF_MEMORY}",
             BY_DEFINITION),
    Quantity("reserved", "1", 0, 1, f"for VMs on their way {_OF_MEMORY}", BY_DEFINITION),
    Quantity("swapped", "1", 0, 2, f"what its VMs have swapped {_OF_MEMORY}", CLIP),
    Quantity("far", "1", 0, 1, f"of it, in other hosts' memory {_OF_MEMORY}", CLIP),
    Quantity("lent", "1", 0, 1, f"pages of other hosts' VMs {_OF_MEMORY}", BY_DEFINITION),
    Quantity("lendable", "1", 0, 1, f"what it would lend now {_OF_MEMORY}", BY_DEFINITION),
    Quantity("pressure", "1", 0, 1, "mean part of the time that its VMs stall on memory, by shares",
             BY_DEFINITION),
    Quantity("worst_pressure", "1", 0, 1, "the most that one of them does", BY_DEFINITION),
    Quantity("swap_in", "bytes/s", 0, 1.5, "log1p(x / 1 MB/s) / log1p(1e4)", "10 GB/s"),
    Quantity("cpu_wanted", "1", 0, 2, "cores that its VMs want / its cores", CLIP),
    Quantity("steal", "1", 0, 1, "mean part of the wanted CPU time not got", BY_DEFINITION),
    Quantity("largest", "1", 0, 1, f"what its largest VM uses {_OF_MEMORY}", CLIP),
    Quantity("vms", "1", 0, 1, f"VMs: {COUNT}", MANY),
    Quantity("vacant", "1", 0, 1, "part of its slots", BY_DEFINITION),
    Quantity("leaving", "1", 0, 1, f"VMs being copied from here: {COUNT}", MANY),
    Quantity("coming", "1", 0, 1, f"VMs on their way here: {COUNT}", MANY),
    Quantity("weight", "1", -2, 2, "log2(mean share of its VMs / mean of all VMs) / 2",
             "16x apart"),
    Quantity("memory", "1", -1, 1, "log2(memory / mean of the hosts) / 3", EIGHT_TIMES),
    Quantity("cores", "1", -1, 1, "log2(cores / mean of the hosts) / 3", EIGHT_TIMES),
    Quantity("swap_wait", "s", 0, 1.2, "one swap-in: log10(x / 1 us) / 5", "0.1 s, a busy disk"),
    Quantity("link_out", "1", 0, 1, "used of its port", BY_DEFINITION),
    Quantity("link_in", "1", 0, 1, "the same, inbound", BY_DEFINITION),
    Quantity("link_rate", "bytes/s", 0, 1.2, "log10(x / 10 MB/s) / 4", "100 GB/s"),
    Quantity("watts", "1", 0, 1.2, "W now / W at 100 %", CLIP),
    Quantity("idle_share", "1", 0, 1, "W idle / W at 100 %", BY_DEFINITION),
    Quantity("sleep_share", "1", 0, 1, "W asleep / W idle", CLIP),
    Quantity("wake_s", "s", 0, 1.2, "time to wake: log1p(x / 1 s) / log1p(300)", "five minutes"),
    Quantity("turn", "1", 0, 1, "rank by use among hosts that are on, least first", BY_DEFINITION),
    Quantity("to_sleep", "1", 0, 1, "1 where the stack tells it to sleep", BY_DEFINITION),
    Quantity("to_wake", "1", 0, 1, "1 where the stack tells it to wake", BY_DEFINITION),
    Quantity("moves_out", "1", 0, 1, "part of its VMs that the stack moves away", BY_DEFINITION),
    Quantity("moves_in", "1", 0, 1, f"VMs that the stack sends or starts here: {COUNT}", MANY),
    Quantity("borrows", "1", 0, 1, "part of its VMs that the stack lets borrow", BY_DEFINITION),
    Quantity("used_after", "1", 0, 2, f"with what the stack moves {_OF_MEMORY}", CLIP),
)  # fmt: skip

HISTORY_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("is_on_change", "1", -1, 1, "now - then", BY_DEFINITION),
    Quantity("used_change", "1", -2, 2, "now - then", CLIP),
    Quantity("swapped_change", "1", -2, 2, "now - then", CLIP),
    Quantity("pressure_change", "1", -1, 1, "now - then", BY_DEFINITION),
    Quantity("vms_change", "1", -1, 1, "difference of the transformed numbers", BY_DEFINITION),
)

CLUSTER_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("hosts", "1", 0, 1, COUNT, MANY),
    Quantity("vms_per_host", "1", 0, 1, f"VMs / hosts: {COUNT}", MANY),
    Quantity("load", "1", 0, 2, "what all VMs use / memory of all hosts", CLIP),
    Quantity("load_on", "1", 0, 2, "the same / memory of hosts that are on", CLIP),
    Quantity("cpu_on", "1", 0, 2, "wanted cores / cores of hosts that are on", CLIP),
    Quantity("room", "1", 0, 1, "room / memory of all hosts", BY_DEFINITION),
    Quantity("on", "1", 0, 1, "part of the hosts that is on", BY_DEFINITION),
    Quantity("waking", "1", 0, 1, "part of the hosts that is waking", BY_DEFINITION),
    Quantity("draining", "1", 0, 1, "part of the hosts that is to sleep", BY_DEFINITION),
    Quantity("imbalance", "1", 0, 1, "standard deviation of use over hosts that are on", CLIP),
    Quantity("swapped", "1", 0, 2, "what all VMs have swapped / memory of all hosts", CLIP),
    Quantity("lent", "1", 0, 1, "far pages / memory of all hosts", BY_DEFINITION),
    Quantity("pressure", "1", 0, 1, "mean part of the time that VMs stall on memory, by shares",
             BY_DEFINITION),
    Quantity("moving", "1", 0, 1, "part of the VMs that is on its way", BY_DEFINITION),
    Quantity("waiting", "1", 0, 1, f"VMs without a host: {COUNT}", MANY),
    Quantity("waited_s", "s", 0, 1.2, "the longest: log1p(x / 60 s) / log1p(60)", "one hour"),
    Quantity("watts", "1", 0, 1.2, "W of all hosts / the same at 100 %", CLIP),
    Quantity("link_load", "1", 0, 1, "mean use of the busier way of the ports", BY_DEFINITION),
    Quantity("proposed_moves", "1", 0, 1, "part of the VMs that the stack moves", BY_DEFINITION),
    Quantity("proposed_sleeps", "1", 0, 1, "part of the hosts that it tells to sleep",
             BY_DEFINITION),
    Quantity("proposed_wakes", "1", 0, 1, "part of the hosts that it tells to wake",
             BY_DEFINITION),
)  # fmt: skip

CLUSTER_HISTORY_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("load_change", "1", -2, 2, "now - then", CLIP),
    Quantity("cpu_on_change", "1", -2, 2, "now - then", CLIP),
    Quantity("on_change", "1", -1, 1, "now - then", BY_DEFINITION),
)

LAYOUT = RowLayout(
    row=Table(
        HOST_QUANTITIES,
        HISTORY_QUANTITIES,
        ("is_on", "used", "swapped", "pressure", "vms"),
    ),
    whole=Table(CLUSTER_QUANTITIES, CLUSTER_HISTORY_QUANTITIES, ("load", "cpu_on", "on")),
)
