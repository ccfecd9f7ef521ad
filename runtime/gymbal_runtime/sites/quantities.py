"""The units tables of moves between sites; `gymbal_runtime.sites.rows` is their code."""

from __future__ import annotations

from gymbal_runtime.quantities import BY_DEFINITION, CLIP, Quantity
from gymbal_runtime.sites.orders import VERBS
from gymbal_runtime.sites.telemetry import NUM_RESIDUALS

_HOURS = "log1p(x / 1 s) / log1p(1e4)"
_UP_TO_HOURS = "1e4 s: longer than an episode"

VM_QUANTITIES: tuple[Quantity, ...] = (
    *(
        Quantity(f"is_{name}", "1", 0, 1, f"1 in phase {name}", BY_DEFINITION)
        for name in ("at_source", "bulk", "mirror", "precopy", "paused", "arrived")
    ),
    Quantity("suspended", "1", 0, 1, "1 where copies stand still", BY_DEFINITION),
    Quantity("reduced", "1", 0, 1, "1 with redundancy elimination", BY_DEFINITION),
    Quantity("weight", "1", -2, 2, "log2(shares / mean shares) / 2", "16x apart"),
    Quantity("away_cost", "1/s", 0, 1, "log10(x / 0.001) / 3", "0.001 to 1"),
    Quantity("worth", "1", -2, 2, "log2(shares x away cost / mean) / 3", "64x apart"),
    Quantity("turn", "1", 0, 1, "place in Smith's order among those at the source", BY_DEFINITION),
    Quantity("vcpus", "cores", 0, 1, "log1p(x) / log1p(64)", "64 vCPUs"),
    Quantity("activity", "1", 0, 1, "CPU over the VM's own peak", BY_DEFINITION),
    Quantity("memory_s", "s", 0, 1, f"time to send the memory left: {_HOURS}", _UP_TO_HOURS),
    Quantity("disk_s", "s", 0, 1, f"time to send the disk left: {_HOURS}", _UP_TO_HOURS),
    Quantity("stop_s", "s", 0, 1, "downtime if stopped now: log1p(x / 0.1 s) / log1p(1e5)",
             _UP_TO_HOURS),
    Quantity("memory_left", "1", 0, 1, "memory left / memory", BY_DEFINITION),
    Quantity("memory_left_log", "1", -1, 0, "log2(memory left / memory) / 16", "2^-16 is nothing"),
    Quantity("disk_left", "1", 0, 1, "disk left / disk", BY_DEFINITION),
    Quantity("disk_new", "1", 0, 1, "disk never copied / disk", BY_DEFINITION),
    Quantity("redundancy_memory", "1", 0, 1, "as sampled", BY_DEFINITION),
    Quantity("redundancy_disk", "1", 0, 1, "as sampled", BY_DEFINITION),
    Quantity("reduced_time", "1", 0, 2, "time left with redundancy elimination / without", CLIP),
    Quantity("hash_tax", "1", 0, 1, "CPU that elimination takes / vCPUs x activity", CLIP),
    Quantity("writes", "1", 0, 1, "x / (1 + x), x = disk writes / expected rate", BY_DEFINITION),
    Quantity("dirtying", "1", 0, 1, "x / (1 + x), x = memory writes / expected rate",
             BY_DEFINITION),
    Quantity("sync_speed", "1", 0, 1, "speed with replicated writes", BY_DEFINITION),
    Quantity("rate", "1", 0, 1, "rate on the wire / free part of the line", CLIP),
    Quantity("sent", "1", 0, 4, "sent so far / (memory + disk)", CLIP),
    Quantity("round", "1", 0, 1, "log1p(rounds) / log1p(1000)", "1000 rounds"),
    *(
        Quantity(f"residual_{k}", "1", -1, 1, "log2(left at that round's end / left now) / 8", CLIP)
        for k in range(NUM_RESIDUALS)
    ),
    Quantity("above_least", "1", 0, 1, "log2(left now / least of these) / 8", CLIP),
    Quantity("phase_s", "s", 0, 1, f"in this phase: {_HOURS}", _UP_TO_HOURS),
    Quantity("move_s", "s", 0, 1, f"since the first order: {_HOURS}", _UP_TO_HOURS),
    *(
        Quantity(f"proposes_{verb}", "1", 0, 1, "1 where the heuristic says so", BY_DEFINITION)
        for verb in VERBS
    ),
)  # fmt: skip

TRACKED = ("activity", "stop_s", "memory_left_log", "disk_left", "dirtying")
HISTORY_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("activity_change", "1", -1, 1, "now - then", BY_DEFINITION),
    Quantity("stop_s_change", "1", -1, 1, "difference of the transformed time", BY_DEFINITION),
    Quantity("memory_left_change", "1", -1, 1, "difference of the logarithm / 16", BY_DEFINITION),
    Quantity("disk_left_change", "1", -1, 1, "now - then", BY_DEFINITION),
    Quantity("dirtying_change", "1", -1, 1, "difference of the transformed rate", BY_DEFINITION),
)
"""Changes of the tracked quantities, repeated for each remembered decision, newest first."""

WORLD_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("free", "1", 0, 1, "free part of the line / line", BY_DEFINITION),
    Quantity("line", "bytes/s", 0, 1, "log10(x / 1 MB/s) / 4", "10 GB/s: fastest line"),
    Quantity("flow_limit", "1", 0, 1, "the most that one copy gets / line", BY_DEFINITION),
    Quantity("rtt", "s", 0, 1, "log10(x / 1 ms) / 3", "1 ms to 1 s"),
    Quantity("commit", "s", 0, 1, "log10(x / 1 ms) / 4", "1 ms to 10 s"),
    Quantity("deadline", "s", -1, 1, "(deadline - now) / 7200 s", CLIP),
    Quantity("behind", "1", 0, 1, "x / (1 + x), x = time to send all / time to the deadline",
             BY_DEFINITION),
    Quantity("vms", "1", 0, 1, "log2(number of VMs) / 8", "256 VMs"),
    Quantity("waiting", "1", 0, 1, "part of the VMs at the source", BY_DEFINITION),
    Quantity("copying", "1", 0, 1, "part that copies", BY_DEFINITION),
    Quantity("ready", "1", 0, 1, "part whose disk is replicated", BY_DEFINITION),
    Quantity("paused", "1", 0, 1, "part that is paused", BY_DEFINITION),
    Quantity("arrived", "1", 0, 1, "part that has arrived", BY_DEFINITION),
)  # fmt: skip

WORLD_TRACKED = ("free",)
WORLD_HISTORY_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("free_change", "1", -1, 1, "now - then", BY_DEFINITION),
)
"""Repeated for each remembered decision, newest first."""
