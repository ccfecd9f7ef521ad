"""The units table of the last-level cache; `gymbal_runtime.parts.cache` is its code."""

from __future__ import annotations

from gymbal_runtime.quantities import BY_DEFINITION, CLIP, Quantity

SLOWDOWN_KNOTS = tuple(range(1, 13))
"""Twelfths of the cache at which a VM's estimated speed is seen."""
REMEMBERED_KNOTS = (1, 2, 3, 4, 6, 9, 12)
"""Those whose changes are seen, too: curves are noisy, and programs keep theirs for a while."""

_SLOWDOWN = "log2(estimated CPI with {} / CPI now) / 3; 0 if unknown"

_GAIN = "10 x share-weighted change of progress foreseen with {}"

VM_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("held", "1", 0, 1, "units of the VM's class / units of the cache", BY_DEFINITION),
    Quantity("held_alone", "1", 0, 1, "1 / VMs in its class", BY_DEFINITION),
    Quantity("base", "1", 0, 1, "units of the heuristic's class / units", BY_DEFINITION),
    Quantity("base_alone", "1", 0, 1, "1 / VMs in the heuristic's class", BY_DEFINITION),
    Quantity("base_change", "1", -1, 1, "heuristic's part - held part", BY_DEFINITION),
    Quantity("base_of_fair", "1", 0, 4, "heuristic's part / (units / VMs)", CLIP),
    Quantity("occupancy", "1", 0, 1, "occupied bytes / cache", BY_DEFINITION),
    Quantity("occupancy_of_held", "1", 0, 2, "occupied bytes / held part", CLIP),
    Quantity("misses_of_references", "1", 0, 1, "misses / references", BY_DEFINITION),
    Quantity("references", "1/s", 0, 1, "log1p(x / 1e4) / log1p(1e5)", "1e9/s: an L2 miss a ns"),
    Quantity("misses", "1/s", 0, 1, "log1p(x / 1e4) / log1p(1e5)", "1e9/s: 64 GB/s of lines"),
    Quantity("cpi", "cycles", -0.5, 1, "log2(cycles / instructions) / 4", "1/4 to 16"),
    Quantity("stall", "1", 0, 1, "cycles waiting behind the cache", BY_DEFINITION),
    Quantity("bandwidth", "1", 0, 1, "traffic / limit of the socket", BY_DEFINITION),
    Quantity("cpu", "cores", 0, 1, "log1p(x) / log1p(64)", "64 vCPUs"),
    Quantity("weight", "1", -2, 2, "log2(shares / mean shares of the host) / 2", "16x apart"),
    Quantity("hint_slowdown", "1", 0, 1, "log2(profile's slowdown at 1/12) / 4", "16x"),
    *(
        Quantity(f"slowdown_{k}", "1", -1, 1, _SLOWDOWN.format(f"{k}/12"), "8x either way")
        for k in SLOWDOWN_KNOTS
    ),
    Quantity("slowdown_base", "1", -1, 1, _SLOWDOWN.format("heuristic's part"), "8x either way"),
    Quantity("gain_more", "1", -1, 1, _GAIN.format("1/12 more than the heuristic's part"), CLIP),
    Quantity("loss_less", "1", -1, 1, _GAIN.format("1/12 less than the heuristic's part"), CLIP),
    Quantity("has_curve", "1", 0, 1, "1 where there is a miss curve", BY_DEFINITION),
    Quantity("move_all", "1", 0, 2, "time to move all active pages / 5 s; 0 for ways", CLIP),
    Quantity("move_to_base", "1", 0, 2, "time to move to the heuristic's part / 5 s", CLIP),
)

TRACKED: tuple[str, ...] = (
    *("stall", "misses", "occupancy", "cpi", "gain_more", "loss_less"),
    *(f"slowdown_{k}" for k in REMEMBERED_KNOTS),
)

HISTORY_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("stall_change", "1", -1, 1, "now - then", BY_DEFINITION),
    Quantity("misses_change", "1", -1, 1, "difference of the transformed rate", BY_DEFINITION),
    Quantity("occupancy_change", "1", -1, 1, "now - then", BY_DEFINITION),
    Quantity("cpi_change", "1", -1, 1, "difference of the transformed ratio", CLIP),
    Quantity("gain_more_change", "1", -1, 1, "now - then", CLIP),
    Quantity("loss_less_change", "1", -1, 1, "now - then", CLIP),
    *(Quantity(f"slowdown_{k}_change", "1", -1, 1, "now - then", CLIP) for k in REMEMBERED_KNOTS),
)
"""Repeated for each remembered decision, newest first."""

HOST_QUANTITIES: tuple[Quantity, ...] = (
    Quantity("bandwidth", "1", 0, 1.5, "sum of traffic / limit", CLIP),
    Quantity("units", "1", 0, 1, "log2(units) / 7", "128 colours"),
    Quantity("units_of_vms", "1", 0, 1, "log2(units / VMs) / 6", "64 a VM"),
    Quantity("min_units", "1", 0, 1, "minimum of a class * VMs / units", CLIP),
    Quantity("classes_of_vms", "1", 0, 2, "classes / VMs", CLIP),
    Quantity("recolours", "1", 0, 1, "1 where a change moves pages", BY_DEFINITION),
    Quantity("vms", "1", 0, 1, "log2(number of VMs) / 8", "256 VMs"),
    Quantity("stall", "1", 0, 1, "share-weighted mean of stalls", BY_DEFINITION),
    Quantity("stall_sum", "1", 0, 1, "sum of stalls / 8", CLIP),
    Quantity("base_churn", "1", 0, 1, "mean |heuristic's part - held part|", BY_DEFINITION),
)
