"""What an interval of placement was worth: terms and measures of ``gymbal/Placement-v0``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.centre.engine import CentreEngine
from gymbal_envs.simulator.centre.readings import measured
from gymbal_envs.tasks.centre_terms import JOULES_PER_KWH

Floats = NDArray[np.float64]

PLACEMENT_COUNTS = (
    "lost_to_cache", "lost_to_io", "lost_to_waking", "active_hosts", "energy_j", "wakes",
    "waited_s", "vms_placed", "vm_orders_refused",
)  # fmt: skip
"""What `placement_counts` gives of each interval; names and units in `readings` and below."""

PLACEMENT_MEASURES = (
    "slowdown_hosts", "lost_to_cache", "lost_to_io", "lost_to_waking", "active_hosts",
    "energy_kwh", "wakes", "wait_s", "orders_refused",
)  # fmt: skip
"""What `placement_measures` makes of them for an episode."""

_SUMS = (
    "wanted_weight", "got_weight", "waiting_weight", "cache_weight", "io_weight", "waking_weight",
    "on_s", "waking_s", "suspending_s",
)  # fmt: skip


def placement_terms(engine: CentreEngine) -> dict[str, Floats]:
    """The unweighted terms of the last interval, each (C,) and not negative.

    ``slowdown``: part of what VMs with a host wanted to get done that they did not: CPU time on a
    full host, waiting for memory, devices and cores that others use, too; weighted by shares.
    ``waiting``: part of what all VMs wanted that was lost because they had no host. ``hosts_on``:
    part of the hosts that were on or on their way to or from it.
    """
    sums = measured(engine, _SUMS)
    hosts = np.maximum((engine.world_host[:, at.EXISTS] > 0).sum(axis=1), 1)
    awake = sums["on_s"] + sums["waking_s"] + sums["suspending_s"]
    parts = _parts(sums)
    return {
        "slowdown": parts["slowdown"],
        "waiting": sums["waiting_weight"] / np.maximum(sums["wanted_weight"], 1e-12),
        "hosts_on": awake / (hosts * engine.world[:, at.INTERVAL_S]),
    }


def placement_counts(engine: CentreEngine) -> dict[str, Floats]:
    """What the reward does not say about the last interval, (C,) each; may be added up.

    ``lost_to_...`` are parts of the slowdown by cause; the rest of it is CPU time.
    """
    counts = measured(engine, (*_SUMS, *PLACEMENT_COUNTS[3:]))
    parts = _parts(counts)
    causes = {f"lost_to_{cause}": parts[cause] for cause in ("cache", "io", "waking")}
    return {name: (counts | causes)[name] for name in PLACEMENT_COUNTS}


def placement_measures(means: Mapping[str, Floats], steps: int) -> dict[str, Floats]:
    """Measures of whole episodes, from means per decision of terms and `PLACEMENT_COUNTS`.

    ``slowdown_hosts`` is the slowdown times the part of the hosts that are on, as ESV is energy
    times SLAV: who halves the slowdown with twice the hosts has won nothing. ``wait_s`` is the mean
    time without a host of a VM that got one.

    Args:
        means: (N,) each, of N episodes.
        steps: decisions of an episode.
    """
    return {
        "slowdown_hosts": means["slowdown"] * means["hosts_on"],
        "energy_kwh": means["energy_j"] * steps / JOULES_PER_KWH,
        "wakes": means["wakes"] * steps,
        "wait_s": means["waited_s"] / np.maximum(means["vms_placed"], 1e-12),
        "orders_refused": means["vm_orders_refused"] * steps,
    }


def _parts(sums: Mapping[str, Floats]) -> dict[str, Floats]:
    """Of what VMs with a host wanted: what was lost, in all and by cause."""
    wanted = sums["wanted_weight"] - sums["waiting_weight"]
    here = np.maximum(wanted, 1e-12)
    causes = {cause: sums[f"{cause}_weight"] / here for cause in ("cache", "io", "waking")}
    lacked = np.maximum(wanted - sums["got_weight"], 0.0) / here
    return causes | {"slowdown": lacked + causes["cache"] + causes["io"] + causes["waking"]}
