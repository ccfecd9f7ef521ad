"""The units table of memory; `gymbal_runtime.parts.memory` is its code."""

from __future__ import annotations

from gymbal_runtime.quantities import BY_DEFINITION, CLIP, Quantity

VM_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("actual_of_max", "1", 0, 1, "actual / max", BY_DEFINITION),
    Quantity("actual_of_fair", "1", 0, 4, "actual / fair share of the budget", CLIP),
    Quantity("max_of_fair", "1", 0, 8, "max / fair share", CLIP),
    Quantity("min_of_fair", "1", 0, 2, "min / fair share", CLIP),
    Quantity("usable_of_actual", "1", 0, 1, "usable / actual", BY_DEFINITION),
    Quantity("usable_of_fair", "1", 0, 2, "usable / fair share", CLIP),
    Quantity("active_of_actual", "1", 0, 1.5, "active / actual", CLIP),
    Quantity("working_set_of_actual", "1", 0, 1.5, "estimated working set / actual", CLIP),
    Quantity("working_set_of_fair", "1", 0, 4, "estimated working set / fair share", CLIP),
    Quantity("base_of_actual", "1", -1, 1, "heuristic's target / actual - 1", CLIP),
    Quantity("base_of_fair", "1", 0, 4, "heuristic's target / fair share", CLIP),
    Quantity("swapped_of_fair", "1", 0, 4, "swap used / fair share", CLIP),
    Quantity("swap_in", "bytes/s", 0, 1, "log1p(x / 1 MB/s) / log1p(1e4)", "10 GB/s: fastest link"),
    Quantity(
        "swap_out", "bytes/s", 0, 1, "log1p(x / 1 MB/s) / log1p(1e4)", "10 GB/s: fastest link"
    ),
    Quantity("major_faults", "1/s", 0, 1, "log1p(x) / log1p(1e6)", "1 / (1 us): fastest tier"),
    Quantity("pressure", "1", 0, 1, "PSI some", BY_DEFINITION),
    Quantity("cpu", "cores", 0, 1, "log1p(x) / log1p(64)", "64 vCPUs"),
    Quantity("steal", "1", 0, 1, "steal", BY_DEFINITION),
    Quantity("weight", "1", -2, 2, "log2(shares / mean shares of the host) / 2", "16x apart"),
    Quantity("access_rate", "1/s", 0, 1, "log1p(LRU hits + faults) / log1p(1e6)", "1e6 touches/s"),
    *(
        Quantity(f"lru_slice_{k}", "1", 0, 1, "share of accesses in this eighth", BY_DEFINITION)
        for k in range(8)
    ),
    Quantity("fault_share", "1", 0, 1, "faults / (LRU hits + faults)", BY_DEFINITION),
    Quantity("has_histogram", "1", 0, 1, "1 where an LRU histogram runs", BY_DEFINITION),
    Quantity("has_guest_stats", "1", 0, 1, "1 where the guest reports usable", BY_DEFINITION),
)

HISTORY_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("usable_change", "1", -1, 1, "(now - then) / fair share", CLIP),
    Quantity("working_set_change", "1", -1, 1, "(now - then) / fair share", CLIP),
    Quantity("actual_change", "1", -1, 1, "(now - then) / fair share", CLIP),
    Quantity("pressure_change", "1", -1, 1, "now - then", BY_DEFINITION),
    Quantity("faults_change", "1", -1, 1, "difference of the transformed rate", BY_DEFINITION),
)
"""Repeated for each remembered decision, newest first."""

HOST_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("free", "1", -0.5, 1, "1 - sum of actual / budget", CLIP),
    Quantity("wanted", "1", 0, 3, "sum of estimated working sets / budget", CLIP),
    Quantity("provisioned", "1", 0, 4, "log2(1 + sum of max / budget)", "15x overcommitted"),
    Quantity("swap_latency", "s", 0, 1, "log10(x / 1 us) / 5", "1 us (CXL) to 100 ms (HDD queue)"),
    Quantity("mean_pressure", "1", 0, 1, "share-weighted mean of PSI some", BY_DEFINITION),
    Quantity("vms", "1", 0, 1, "log2(number of VMs) / 8", "256 VMs"),
)
