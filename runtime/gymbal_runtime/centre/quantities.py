"""The units tables of data centres; `gymbal_runtime.centre.rows` is their code."""

from __future__ import annotations

from gymbal_runtime.host_columns import COUNT, EIGHT_TIMES, MANY, STATE_QUANTITIES
from gymbal_runtime.quantities import BY_DEFINITION, CLIP, Quantity
from gymbal_runtime.row_layout import RowLayout, Table

_PER_MIPS = "log2(W per MIPS / mean of the centre's hosts) / 3"
_OF_CAPACITY = "wanted MIPS of its VMs / its MIPS"
_FAR = "log1p(x) / log1p(1023)"

HOST_QUANTITIES: tuple[Quantity, ...] = (
    *STATE_QUANTITIES,
    Quantity("utilisation", "1", 0, 2, f"now: {_OF_CAPACITY}", CLIP),
    Quantity("used", "1", 0, 1, "used MIPS in the last interval / its MIPS", CLIP),
    Quantity("mean_utilisation", "1", 0, 2, f"mean of the history: {_OF_CAPACITY}", CLIP),
    Quantity("max_utilisation", "1", 0, 2, f"most in the history: {_OF_CAPACITY}", CLIP),
    Quantity("spread", "1", 0, 1, "standard deviation in the history", CLIP),
    Quantity("forecast", "1", 0, 2, "line through the history, one interval ahead", CLIP),
    Quantity("got", "1", 0, 1, "CPU time that its VMs got / wanted", BY_DEFINITION),
    Quantity("memory_held", "1", 0, 1, "held / memory", BY_DEFINITION),
    Quantity("cpu", "1", -1, 1, "log2(MIPS / mean of the centre's hosts) / 3", EIGHT_TIMES),
    Quantity("memory", "1", -1, 1, "log2(memory / mean of the centre's hosts) / 3", EIGHT_TIMES),
    Quantity("peak_cost", "1", -1, 1, f"at 100 %: {_PER_MIPS}", EIGHT_TIMES),
    Quantity("idle_cost", "1", -1, 1, f"at 0 %: {_PER_MIPS}", EIGHT_TIMES),
    Quantity("idle_share", "1", 0, 1, "W idle / W at 100 %", BY_DEFINITION),
    Quantity("sleep_share", "1", 0, 1, "W asleep / W idle", CLIP),
    Quantity("wake_s", "1", 0, 2, "time to wake / interval", CLIP),
    Quantity("wake_cost", "1", 0, 4, "energy to wake / energy of idling for an interval", CLIP),
    Quantity("vms", "1", 0, 1, f"VMs: {COUNT}", MANY),
    Quantity("coming", "1", 0, 1, f"VMs on their way here: {COUNT}", MANY),
    Quantity("leaving", "1", 0, 1, f"VMs on their way from here: {COUNT}", MANY),
    Quantity("movable", "1", 0, 1, "part of the wanted MIPS that is of VMs not moving",
             BY_DEFINITION),
    Quantity("largest", "1", 0, 1, "largest VM: wanted MIPS / its MIPS", CLIP),
    Quantity("clear_s", "1", 0, 2, "time to send all its VMs' memory / interval", CLIP),
    Quantity("weight", "1", -2, 2, "log2(mean share of its VMs / mean of all VMs) / 2",
             "16x apart"),
    Quantity("turn", "1", 0, 1, "rank by utilisation among hosts with VMs, least first",
             BY_DEFINITION),
    Quantity("to_sleep", "1", 0, 1, "1 where the heuristic tells it to sleep", BY_DEFINITION),
    Quantity("to_wake", "1", 0, 1, "1 where the heuristic tells it to wake", BY_DEFINITION),
    Quantity("moves_out", "1", 0, 1, "part of its VMs that the heuristic moves away",
             BY_DEFINITION),
    Quantity("moves_in", "1", 0, 1, f"VMs that the heuristic sends here: {COUNT}", MANY),
    Quantity("utilisation_after", "1", 0, 2, f"with the heuristic's moves: {_OF_CAPACITY}", CLIP),
)  # fmt: skip

HISTORY_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("is_on_change", "1", -1, 1, "now - then", BY_DEFINITION),
    Quantity("utilisation_change", "1", -2, 2, "now - then", CLIP),
    Quantity("memory_held_change", "1", -1, 1, "now - then", BY_DEFINITION),
    Quantity("vms_change", "1", -1, 1, "difference of the transformed numbers", BY_DEFINITION),
)

CENTRE_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("hosts", "1", 0, 1, f"hosts: {_FAR}", "1024 hosts"),
    Quantity("vms_per_host", "1", 0, 1, f"VMs / hosts: {COUNT}", MANY),
    Quantity("load", "1", 0, 2, "wanted MIPS / MIPS of all hosts", CLIP),
    Quantity("load_on", "1", 0, 2, "wanted MIPS / MIPS of hosts that are on", CLIP),
    Quantity("memory_on", "1", 0, 2, "memory of all VMs / memory of hosts that are on", CLIP),
    Quantity("on", "1", 0, 1, "part of the hosts that is on", BY_DEFINITION),
    Quantity("waking", "1", 0, 1, "part of the hosts that is waking", BY_DEFINITION),
    Quantity("needed", "1", 0, 1, "least hosts whose MIPS and memory suffice / hosts",
             BY_DEFINITION),
    Quantity("surplus", "1", -1, 1, "on - needed", BY_DEFINITION),
    Quantity("imbalance", "1", 0, 1, "standard deviation of utilisation over hosts that are on",
             CLIP),
    Quantity("got", "1", 0, 1, "CPU time that VMs got / wanted", BY_DEFINITION),
    Quantity("mean_load", "1", 0, 2, "mean of the history / MIPS of all hosts", CLIP),
    Quantity("max_load", "1", 0, 2, "most in the history / MIPS of all hosts", CLIP),
    Quantity("trend", "1", -1, 1, "(line through the history, one interval ahead - now) / MIPS of "
             "all hosts", CLIP),
    Quantity("waiting", "1", 0, 1, f"VMs without a host: {_FAR}", "1024 VMs"),
    Quantity("moving", "1", 0, 1, "part of the VMs that is on its way", BY_DEFINITION),
    Quantity("proposed_moves", "1", 0, 1, "part of the VMs that the heuristic moves",
             BY_DEFINITION),
    Quantity("proposed_sleeps", "1", 0, 1, "part of the hosts that it tells to sleep",
             BY_DEFINITION),
    Quantity("proposed_wakes", "1", 0, 1, "part of the hosts that it tells to wake",
             BY_DEFINITION),
)  # fmt: skip

CENTRE_HISTORY_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("load_change", "1", -1, 1, "now - then", CLIP),
    Quantity("on_change", "1", -1, 1, "now - then", BY_DEFINITION),
)

LAYOUT = RowLayout(
    row=Table(HOST_QUANTITIES, HISTORY_QUANTITIES, ("is_on", "utilisation", "memory_held", "vms")),
    whole=Table(CENTRE_QUANTITIES, CENTRE_HISTORY_QUANTITIES, ("load", "on")),
)
