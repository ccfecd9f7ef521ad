"""What an interval of a data centre was worth: terms and measures of ``gymbal/Consolidation-v0``.

An episode's measures are those that the literature compares: energy, SLATAH, PDM, SLAV and ESV of
Beloglazov and Buyya (CCPE 24(13), 2012, section 3.5; models.md 7.2), from sums over all of its
decisions, as CloudSim adds them up.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.centre.engine import CentreEngine
from gymbal_envs.simulator.centre.readings import measured

Floats = NDArray[np.float64]

CENTRE_COUNTS = (
    "energy_j", "active_s", "full_s", "active_hosts", "wakes", "moves_begun", "move_downtime_s",
    "waited_s", "wanted_mips_s", "lost_moving_mips_s", "vm_orders_refused", "host_orders_refused",
)  # fmt: skip
"""What `centre_counts` gives of each interval; names and units in `readings`."""

CENTRE_MEASURES = (
    "energy_kwh", "slatah", "pdm", "slav", "esv", "migrations", "active_hosts", "wakes",
    "downtime_s", "waited_s", "orders_refused",
)  # fmt: skip
"""What `centre_measures` makes of them for an episode."""

JOULES_PER_KWH = 3.6e6
_SUMS_OF_TERMS = (
    "energy_j", "wanted_weight", "got_weight", "move_bytes", "full_s", "active_s",
    "lost_moving_mips_s", "wanted_mips_s",
)  # fmt: skip


def centre_terms(engine: CentreEngine) -> dict[str, Floats]:
    """The unweighted terms of the last interval, each (C,) and not negative.

    ``energy``: of all that the centre's hosts would take at peak power all the time (CloudSim's
    NPA, models.md 7.3), so that 1 means "nothing sleeps and nothing follows the load".
    ``progress_lost``: part of the wanted CPU time that VMs did not get, weighted by their shares;
    waiting, pauses and slowdown by moves count. ``migration_traffic``: bytes on the wire over the
    memory of all hosts. ``hosts_full`` and ``moving_loss``: SLATAH and PDM of the interval
    (`centre_measures`).
    """
    sums = measured(engine, _SUMS_OF_TERMS)
    exists = engine.world_host[:, at.EXISTS] > 0
    peak_w = np.where(exists, engine.curve.max(axis=2), 0.0).sum(axis=1)
    memory = np.where(exists, engine.world_host[:, at.MEMORY], 0.0).sum(axis=1)
    interval = engine.physics.clock.control_interval_s
    wanted = sums["wanted_weight"]
    lost = np.maximum(wanted - sums["got_weight"], 0.0) / np.maximum(wanted, 1e-12)
    return {
        "energy": sums["energy_j"] / np.maximum(peak_w * interval, 1e-12),
        "progress_lost": lost,
        "migration_traffic": sums["move_bytes"] / np.maximum(memory, 1.0),
        "hosts_full": _slatah(sums),
        "moving_loss": _pdm(sums),
    }


def host_energy_j(engine: CentreEngine) -> Floats:
    """J that each host took in the last interval, (C, H)."""
    energy: Floats = engine.host_outcome[:, at.ENERGY : at.ENERGY + at.NUM_STATES].sum(axis=1)
    return energy


def centre_counts(engine: CentreEngine) -> dict[str, Floats]:
    """What the reward does not say about the last interval, (C,) each; may be added up."""
    return measured(engine, CENTRE_COUNTS)


def centre_measures(means: Mapping[str, Floats], steps: int) -> dict[str, Floats]:
    """Measures of whole episodes, from the mean per decision of each of `CENTRE_COUNTS`.

    ``energy_kwh``, ``migrations``, ``wakes``, ``downtime_s`` (of VMs, by moves), ``waited_s`` (of
    VMs, without a host) and ``orders_refused`` are totals, ``active_hosts`` is a mean. ``slatah``:
    part of the time of hosts with VMs in which all their MIPS were used; ``pdm``: part of the
    wanted CPU time that moves took; ``slav``: their product; ``esv``: kWh times that.

    Args:
        means: (N,) each, of N episodes.
        steps: decisions of an episode.
    """
    slatah, pdm = _slatah(means), _pdm(means)
    energy_kwh = means["energy_j"] * steps / JOULES_PER_KWH
    return {
        "energy_kwh": energy_kwh,
        "slatah": slatah,
        "pdm": pdm,
        "slav": slatah * pdm,
        "esv": energy_kwh * slatah * pdm,
        "migrations": means["moves_begun"] * steps,
        "active_hosts": means["active_hosts"],
        "wakes": means["wakes"] * steps,
        "downtime_s": means["move_downtime_s"] * steps,
        "waited_s": means["waited_s"] * steps,
        "orders_refused": (means["vm_orders_refused"] + means["host_orders_refused"]) * steps,
    }


def _slatah(sums: Mapping[str, Floats]) -> Floats:
    part: Floats = sums["full_s"] / np.maximum(sums["active_s"], 1e-12)
    return part


def _pdm(sums: Mapping[str, Floats]) -> Floats:
    part: Floats = sums["lost_moving_mips_s"] / np.maximum(sums["wanted_mips_s"], 1e-12)
    return part
