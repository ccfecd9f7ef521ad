"""The units tables of placement; `gymbal_runtime.placement.rows` is their code."""

from __future__ import annotations

from gymbal_runtime.placement.books import GROUPS
from gymbal_runtime.quantities import BY_DEFINITION, CLIP, Quantity

_EIGHT_TIMES = "8x apart"
_TABLE = "of the shipped table of co-runs"
_STANDARD = "3 standard deviations of the reference programs"

VM_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("wants", "1", 0, 1, "wanted MIPS / its MIPS", BY_DEFINITION),
    Quantity("mips", "1", -1, 1, "log2(wanted MIPS / 2000) / 3", _EIGHT_TIMES),
    Quantity("vcpus", "1", 0, 1, "vCPUs / 8", CLIP),
    Quantity("memory", "1", -1, 1, "log2(memory / 2 GiB) / 3", _EIGHT_TIMES),
    Quantity("weight", "1", -2, 2, "log2(share / mean share of all VMs) / 2", "16x apart"),
    Quantity("io", "1", 0, 1, "I/O that it wants / 1 GB/s", CLIP),
    Quantity("interactive", "1", 0, 1, "wake-ups, slices waited per slice of progress", CLIP),
    Quantity("is_profiled", "1", 0, 1, "1 where it has a static profile", BY_DEFINITION),
    Quantity("sensitivity", "1", -1, 1, "slowdown when short of cache, standardised / 3",
             _STANDARD),
    Quantity("traffic", "1", -1, 1, "bytes/s fetched when short of cache, standardised / 3",
             _STANDARD),
    Quantity("cache", "1", -1, 1, "bytes of cache that it can use, standardised / 3", _STANDARD),
    Quantity("candidates", "1", 0, 1, "candidate hosts / K", BY_DEFINITION),
    Quantity("least_lost", "1", 0, 4, f"least loss among candidates {_TABLE}, of its own worth",
             CLIP),
    Quantity("is_put_off", "1", 0, 1, "1 where the heuristic lets it wait", BY_DEFINITION),
)  # fmt: skip

CANDIDATE_QUANTITIES: tuple[Quantity, ...] = (
    *(
        Quantity(f"is_{name}", "1", 0, 1, f"1 in group {name.replace('_', ' ')}", BY_DEFINITION)
        for name in GROUPS
    ),
    Quantity("is_proposed", "1", 0, 1, "1 where the heuristic chose it", BY_DEFINITION),
    Quantity("wake_s", "1", 0, 4, "time to wake / interval, 0 where it is on", CLIP),
    Quantity("utilisation", "1", 0, 2, "wanted MIPS of its VMs / its MIPS", CLIP),
    Quantity("utilisation_after", "1", 0, 2, "with the VM", CLIP),
    Quantity("memory_after", "1", 0, 1, "held / memory, with the VM", BY_DEFINITION),
    Quantity("vms", "1", 0, 1, "log1p(VMs) / log1p(63)", "64: more than one host runs"),
    Quantity("cores", "1", -1, 1, "log2(MIPS / mean of the centre's hosts) / 3", _EIGHT_TIMES),
    Quantity("peak_cost", "1", -1, 1, "log2(W per MIPS at 100 % / mean of the centre) / 3",
             _EIGHT_TIMES),
    Quantity("suffered", "1", 0, 4, f"extra time of the VM {_TABLE}", CLIP),
    Quantity("caused", "1", 0, 4, f"loss of the VMs there {_TABLE} / worth of the VM", CLIP),
    Quantity("score", "1", -2, 2, f"(loss - least of the candidates) {_TABLE} / worth of the VM",
             CLIP),
    Quantity("bandwidth", "1", 0, 2, "fetched by its VMs / memory bandwidth: counters", CLIP),
    Quantity("bandwidth_after", "1", 0, 4, "with what the VM would fetch when short of cache",
             CLIP),
    Quantity("stalled", "1", 0, 1, "mean part of its VMs' cycles that wait for memory, by worth",
             BY_DEFINITION),
    Quantity("most_stalled", "1", 0, 1, "largest part of a VM", BY_DEFINITION),
    Quantity("sensitivity", "1", 0, 4, "mean slowdown of its VMs when short of cache, by worth, "
             "above 1", CLIP),
    Quantity("cache_wanted", "1", 0, 4, "cache that its VMs can use / its cache", CLIP),
    Quantity("io_after", "1", 0, 4, "I/O that its VMs and the VM want / bandwidth of its device",
             CLIP),
    Quantity("interactive", "1", 0, 1, "mean wake-ups of its VMs by worth", CLIP),
    Quantity("worth", "1", 0, 4, "worth of its VMs / mean over hosts with VMs / 4", CLIP),
    Quantity("age", "1", 0, 1, "mean time that its VMs run there / 4 h", CLIP),
)  # fmt: skip

CENTRE_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("hosts", "1", 0, 1, "log1p(hosts) / log1p(1023)", "1024 hosts"),
    Quantity("vms_per_host", "1", 0, 1, "log1p(VMs / hosts) / log1p(63)", "64 a host"),
    Quantity("load", "1", 0, 2, "wanted MIPS / MIPS of all hosts", CLIP),
    Quantity("load_on", "1", 0, 2, "wanted MIPS / MIPS of hosts that are on", CLIP),
    Quantity("memory_on", "1", 0, 2, "memory of all VMs / memory of hosts that are on", CLIP),
    Quantity("on", "1", 0, 1, "part of the hosts that is on", BY_DEFINITION),
    Quantity("empty", "1", 0, 1, "part of the hosts that is on without a VM", BY_DEFINITION),
    Quantity("waking", "1", 0, 1, "part of the hosts that is waking", BY_DEFINITION),
    Quantity("waiting", "1", 0, 1, "log1p(VMs without a host) / log1p(63)", "64 at once"),
    Quantity("stalled", "1", 0, 1, "mean part of cycles that wait for memory, by worth",
             BY_DEFINITION),
    Quantity("bandwidth", "1", 0, 2, "fetched / memory bandwidth of hosts that are on", CLIP),
    Quantity("cache_wanted", "1", 0, 4, "cache that VMs can use / cache of hosts that are on",
             CLIP),
    Quantity("sleep_cost", "1", 0, 4, "mean time to wake / interval", CLIP),
)  # fmt: skip
