"""The last thing between a decision and a host: whatever comes in, what goes out is feasible.

Pure functions on arrays of H hosts and V slots; training runs the same code as the controller.
Rules, in this order:

1. a host whose record is stale or implausible is left alone (``NO_CHANGE``);
2. a target that is not finite leaves its VM alone;
3. a target is limited to ``max_change_frac`` of what the VM holds, then to the configured floor and
   ceiling (those are promises to the VM's owner, the pace is only prudence, so they win);
4. a change within the dead band is not worth a balloon's work;
5. if the host would be over its budget, the moving VMs are projected onto what the others leave;
   if even that is not enough, nobody is given more, and only the shrinking VMs move;
6. where the limits say so (never in training), a guest keeps its working set and, while it is in
   trouble, all that it holds (`guard_protection`);
7. of the other fields of a command, what a host cannot do is left as it is (`guard_llc`,
   `guard_settings`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.command import NO_CHANGE, Command
from gymbal_runtime.guard_llc import guard_llc
from gymbal_runtime.guard_protection import Protection, protect
from gymbal_runtime.guard_settings import guard_settings
from gymbal_runtime.heuristics.split import project_to_budget
from gymbal_runtime.plausibility import plausible_hosts
from gymbal_runtime.telemetry import Telemetry

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]

_ROUNDING = 1e-9
"""Relative room left below the budget, so that a sum of rounded targets is not above it."""


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """How far and how fast a decision may go.

    Attributes:
        max_change_frac: largest change of a VM in one decision, as a fraction of what it holds (of
            its floor where it holds less); 1 lets it double or empty, ``inf`` is no limit.
        dead_band_frac: changes up to this fraction of what the VM holds are not made.
        max_age_s: a record older than this many seconds is not acted upon.

    Raises:
        ValueError: a limit is negative or NaN.
    """

    max_change_frac: float = 10.0
    dead_band_frac: float = 0.01
    max_age_s: float = 30.0

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if not value >= 0:
                raise ValueError(f"{limit.name} must be zero or positive, got {value}")


@dataclass(frozen=True, slots=True)
class GuardReport:
    """Which rule fired on which host; counts are of VMs."""

    stale: Bools  # (H,) the record is too old
    implausible: Bools  # (H,) the record makes no sense
    misshapen: Bools  # (H,) the command was not one target per slot
    infinite: Counts  # (H,) targets that were infinite
    clamped: Counts  # (H,) targets outside floor and ceiling
    paced: Counts  # (H,) targets cut by max_change_frac
    dead_band: Counts  # (H,) changes too small to make
    over_budget: Bools  # (H,) the targets had to be projected onto the budget
    withheld: Bools  # (H,) no VM was given more, because others hold on to too much
    protected: Counts  # (H,) targets below what the guest needs
    llc_refused: Counts  # (H,) VMs whose part of the cache was impossible
    cpu_weight_refused: Counts  # (H,) weights that no scheduler takes
    cpu_cap_cores_refused: Counts  # (H,) caps that would all but stop the VM
    device_mode_refused: Counts  # (H,) modes that there are not, or no device to hand through
    monitor_level_refused: Counts  # (H,) levels that there are not

    def hits(self, host: int = 0) -> dict[str, int]:
        """The rules that fired on one host, by name, with the number of VMs (or 1) they hit."""
        counts = {f.name: int(getattr(self, f.name)[host]) for f in fields(self)}
        return {name: count for name, count in counts.items() if count}


@np.errstate(all="ignore")
def guard(
    command: Command,
    telemetry: Telemetry,
    limits: GuardLimits | None = None,
    protection: Protection | None = None,
) -> tuple[Command, GuardReport]:
    """Make a command feasible.

    For every host, the sum over its VMs of the target (of ``actual_bytes`` where ``NO_CHANGE``) is
    at most the larger of the budget and what the VMs hold now; every target lies between floor and
    ceiling. Never raises on any numbers, whatever their kind.

    Args:
        command: (H, V) anything.
        telemetry: the record it was decided on.
        limits: defaults to ``GuardLimits()``.
        protection: of the guests' working sets; None, as in training, protects only the floors.

    Returns:
        The command to give, and what was changed.
    """
    limits = limits or GuardLimits()
    stale = ~(telemetry.age_s <= limits.max_age_s)
    implausible = ~plausible_hosts(telemetry)
    decidable = telemetry.present & ~(stale | implausible)[:, None]
    protected = np.zeros(telemetry.num_hosts, dtype=np.int64)
    floors = telemetry
    if protection is not None:
        command, floors, protected = protect(command, telemetry, protection)
    balloons, fired = _guard_balloons(command.balloon_bytes, floors, decidable, limits)
    llc, fired["llc_refused"] = _guard_cache(command, telemetry, decidable)
    settings, refused = guard_settings(command, telemetry, decidable)
    fired |= {f"{name}_refused": count for name, count in refused.items()}
    report = GuardReport(stale=stale, implausible=implausible, protected=protected, **fired)
    return Command(balloon_bytes=balloons, **llc, **settings), report


def _guard_cache(
    command: Command, telemetry: Telemetry, decidable: Bools
) -> tuple[dict[str, Floats], Counts]:
    """The cache's fields of the command, where it has them, and VMs that were refused (H,)."""
    if command.llc_class is None and command.llc_units is None:
        return {}, np.zeros(telemetry.num_hosts, dtype=np.int64)
    return guard_llc(command, telemetry, decidable)


def _guard_balloons(
    targets: object, telemetry: Telemetry, decidable: Bools, limits: GuardLimits
) -> tuple[Floats, dict[str, Any]]:
    """Feasible targets (H, V), and the fields of the report that are about them."""
    asked = np.asarray(targets, dtype=np.float64)
    misshapen = asked.shape != decidable.shape
    if misshapen:
        asked = np.full(decidable.shape, NO_CHANGE)
    moving = decidable & np.isfinite(asked)

    # Every number below is finite: slots that are not decided on count as empty.
    actual, floor, ceiling, target = (
        np.where(mask, values, 0.0)
        for mask, values in (
            (decidable, telemetry.actual_bytes),
            (decidable, telemetry.memory_min_bytes),
            (decidable, telemetry.memory_max_bytes),
            (moving, asked),
        )
    )
    low, high = _reachable(actual, floor, ceiling, limits.max_change_frac)
    wanted = np.minimum(np.maximum(target, floor), ceiling)
    bounded = np.minimum(np.maximum(target, low), high)
    still = moving & (np.abs(bounded - actual) <= limits.dead_band_frac * actual)
    settled, over_budget, withheld = _within_budget(
        bounded, low, high, actual, moving & ~still, telemetry.budget_bytes
    )
    return settled, {
        "misshapen": np.full(decidable.shape[0], misshapen),
        "infinite": (decidable & np.isinf(asked)).sum(axis=1),
        "clamped": (moving & (wanted != target)).sum(axis=1),
        "paced": (moving & (bounded != wanted)).sum(axis=1),
        "dead_band": (still & (wanted != actual)).sum(axis=1),
        "over_budget": over_budget,
        "withheld": withheld,
    }


def _reachable(
    actual: Floats, floor: Floats, ceiling: Floats, max_change_frac: float
) -> tuple[Floats, Floats]:
    """Lowest and highest target of each VM in this decision, (H, V) bytes each."""
    if np.isinf(max_change_frac):
        return floor, ceiling
    reach = max_change_frac * np.maximum(actual, floor)
    low = np.minimum(np.maximum(actual - reach, floor), ceiling)
    high = np.minimum(np.maximum(actual + reach, floor), ceiling)
    return low, high


def _within_budget(
    bounded: Floats, low: Floats, high: Floats, actual: Floats, moving: Bools, budget: Floats
) -> tuple[Floats, Bools, Bools]:
    """Settle the moving VMs within what the others leave of the budget.

    Returns:
        (H, V) bytes or ``NO_CHANGE``; (H,) hosts that were over; (H,) hosts that may only shrink.
    """
    held = np.where(moving, bounded, actual).sum(axis=1)
    over = moving.any(axis=1) & (held > budget)
    reported = over & (held > budget * (1 + _ROUNDING))
    if over.any():
        others = np.where(moving, 0.0, actual).sum(axis=1)
        room = np.maximum(budget * (1 - _ROUNDING) - others, 0.0)[over]
        fitted = project_to_budget(bounded[over], low[over], high[over], room, moving[over])
        bounded = bounded.copy()
        bounded[over] = np.minimum(np.maximum(fitted, low[over]), high[over])
        moving = moving & np.isfinite(bounded)
        held = np.where(moving, bounded, actual).sum(axis=1)
    # Shrinking VMs alone can never exceed what is held now.
    withheld = moving.any(axis=1) & (held > np.maximum(budget, actual.sum(axis=1)))
    moving = moving & ~(withheld[:, None] & (bounded > actual))
    return np.where(moving, bounded, NO_CHANGE), reported, withheld
