"""How a program behaves when memory is short.

A trace says how much memory a VM wants; a profile says how much it hurts not to have it. The
eight measured programs and the parametric families are drawn in ``docs/profiles.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gymbal_envs.demand.program_curves import (
    DEFAULT_DIRTY_FRAC,
    MeasuredCurve,
    read_curves,
    shipped_curves,
)
from gymbal_envs.demand.sheet import CurveError

# K: between the points a straight line is within 0.005 of 1 - x^0.4 (beyond x = 1/32).
NUM_CURVE_SEGMENTS = 32

HOT_CORE_FRAC = 1 / 64  # of the footprint: kernel, stack and globals, never paged out
WORKING_SET_MISS_RATIO = 0.05  # delta of WSS = min{x : m(x) <= delta}: models.md 1.2, as in MEB
NATIVE_INSTR_PER_S = 2e9  # assumed: 1 instruction per cycle at 2 GHz

# A measured program leaves its hot core about a million times a second. Fault pressures at which
# swapping is survivable are a few hundred to ten thousand touches per second (models.md 2.5), so
# rates are scaled by one common factor that puts the programs' geometric mean near 2000 per
# second. It is a modelling choice: scenarios state and vary the fault pressure on top of it.
TOUCH_RATE_SCALE = 2e-3

# Linux blocks the faulting thread, and all eight programs have one: no overlap of their faults.
SINGLE_THREAD_MLP = 1.0

DEFAULT_TOUCH_RATE_HZ = 2000.0


@dataclass(frozen=True, eq=False)
class Profile:
    """How a program behaves when only a part of its working set is resident.

    Attributes:
        name: The program or family.
        curve: (K + 1,) float64, read-only: share of the touches outside the always-hot core that
            miss when j / K of the working set is resident, j = 0..K. Starts at 1, ends at 0,
            never rises.
        touch_rate_hz: Touches outside the hot core per second of full-speed CPU: these can miss.
        dirty_frac: Share of the pages it loses that must be written to swap first, 0 to 1.
        mlp: How many of its faults overlap on average, at least 1.
        source: Where the numbers come from.

    Raises:
        ValueError: A field breaks its rule.
    """

    name: str
    curve: NDArray[np.float64]  # (K + 1,)
    touch_rate_hz: float
    dirty_frac: float = DEFAULT_DIRTY_FRAC
    mlp: float = SINGLE_THREAD_MLP
    source: str = ""

    def __post_init__(self) -> None:
        """Check every field, and keep a private read-only copy of the curve."""
        curve = np.array(self.curve, dtype=np.float64)
        curve.setflags(write=False)
        object.__setattr__(self, "curve", curve)
        num_points = NUM_CURVE_SEGMENTS + 1
        if curve.shape != (num_points,):
            raise ValueError(f"profile {self.name!r}: curve must have shape ({num_points},)")
        rules = (
            (curve[0] == 1 and curve[-1] == 0, "curve must run from 1 to 0"),
            (np.all(np.diff(curve) <= 0), "curve must not rise and be finite"),
            (0 < self.touch_rate_hz < np.inf, "touch_rate_hz must be above 0"),
            (0 <= self.dirty_frac <= 1, "dirty_frac must lie in [0, 1]"),
            (1 <= self.mlp < np.inf, "mlp must be at least 1"),
        )
        for holds, rule in rules:
            if not holds:
                raise ValueError(f"profile {self.name!r}: {rule}")

    @property
    def native_touch_rate_hz(self) -> float:
        """The rate as measured, 1/s at 2e9 instructions per second, before scaling."""
        return self.touch_rate_hz / TOUCH_RATE_SCALE

    def miss_ratio(self, resident_frac: ArrayLike) -> NDArray[np.float64]:
        """Interpolate the curve at shares of the working set, any shape, clipped to [0, 1]."""
        grid = np.linspace(0, 1, NUM_CURVE_SEGMENTS + 1)
        return np.asarray(np.interp(np.asarray(resident_frac, np.float64), grid, self.curve))


def load_profiles() -> tuple[Profile, ...]:
    """The eight measured programs that come with the package, in alphabetical order."""
    return tuple(profile_from_curve(curve) for curve in shipped_curves())


def read_profiles(path: str | Path) -> tuple[Profile, ...]:
    """Read measured curves of the user's own: one CSV, or a folder of ``*-page4k.csv``.

    Raises:
        CurveError: A file is not there or breaks the format; names file, row, column and rule.
    """
    return tuple(profile_from_curve(curve) for curve in read_curves(path))


LEAST_FALL = 1e-12
"""1, fall of a miss ratio that is more than rounding: no program makes as many references."""


def profile_from_curve(measured: MeasuredCurve) -> Profile:
    """Reduce a measured miss-ratio curve to what can hurt, per working set.

    Of all references, those to the hot core (the hottest 1/64 of the footprint, and at least the
    smallest size measured) always hit and those that miss at any size are cold. The rest,
    ``c(s) = (m(s) - m(footprint)) / (m(core) - m(footprint))``, depends on memory. The working
    set W is the smallest size with ``c(W) <= 0.05``, and the profile's curve is
    ``(c(x W) - c(W)) / (1 - c(W))``: exactly 1 without memory and 0 with the working set.

    Raises:
        CurveError: The curve is flat.
    """
    size, miss = measured.size_pages, measured.miss_ratio
    cold = miss[-1]
    core = max(measured.footprint_pages * HOT_CORE_FRAC, size[0])
    sensitive = np.interp(core, size, miss) - cold
    if not sensitive > LEAST_FALL:
        raise CurveError(f"{measured.source}: the miss ratio is flat, memory never matters")
    conditional = (miss - cold) / sensitive  # above 1 inside the core

    # Falling curves are inverted by interpolating the mirror image.
    first_met = int(np.argmax(conditional <= WORKING_SET_MISS_RATIO))
    pair = slice(first_met - 1, first_met + 1)
    working_set = np.interp(-WORKING_SET_MISS_RATIO, -conditional[pair], size[pair])
    resident = np.linspace(0, 1, NUM_CURVE_SEGMENTS + 1) * working_set
    residual = WORKING_SET_MISS_RATIO
    curve = (np.interp(resident, size, conditional) - residual) / (1 - residual)
    curve[0], curve[-1] = 1.0, 0.0

    touches_per_instr = measured.data_refs_per_instr * sensitive * (1 - residual)
    return Profile(
        name=measured.name,
        curve=np.minimum.accumulate(np.clip(curve, 0.0, 1.0)),
        touch_rate_hz=float(touches_per_instr * NATIVE_INSTR_PER_S * TOUCH_RATE_SCALE),
        dirty_frac=measured.dirty_frac,
        source=measured.source,
    )


def parametric_family(name: str, **params: float) -> Profile:
    """Make a profile from a formula: ``power``, ``cliff`` or ``streaming``.

    Raises:
        ValueError: No such family, or a parameter out of its range.
        TypeError: The family has no such parameter.
    """
    if name not in _FAMILIES:
        raise ValueError(f"no profile family {name!r}; there are {', '.join(_FAMILIES)}")
    return _FAMILIES[name](**params)


def power(alpha: float = 0.4, *, touch_rate_hz: float = DEFAULT_TOUCH_RATE_HZ) -> Profile:
    """Skewed reuse, ``m = 1 - x^alpha``: the first pages count most (0.4: models.md 2.5).

    Raises:
        ValueError: ``alpha`` is not above 0.
    """
    if not 0 < alpha < np.inf:
        raise ValueError(f"power: alpha must be above 0, not {alpha}")
    return _formula(f"power({alpha:g})", lambda x: 1 - x**alpha, touch_rate_hz)


def cliff(
    knee: float = 0.8, sharpness: float = 20.0, *, touch_rate_hz: float = DEFAULT_TOUCH_RATE_HZ
) -> Profile:
    """A loop over the whole working set: little helps until nearly all of it fits.

    A logistic step at ``knee`` (share of the working set) with slope ``sharpness``, stretched to
    run from exactly 1 to exactly 0.

    Raises:
        ValueError: ``knee`` is outside (0, 1) or ``sharpness`` outside (0, 500].
    """
    if not 0 < knee < 1:
        raise ValueError(f"cliff: knee must lie inside (0, 1), not {knee}")
    if not 0 < sharpness <= 500:
        raise ValueError(f"cliff: sharpness must lie in (0, 500], not {sharpness}")

    def step(x: NDArray[np.float64]) -> NDArray[np.float64]:
        logistic = 1 / (1 + np.exp(sharpness * (x - knee)))
        return np.asarray((logistic - logistic[-1]) / (logistic[0] - logistic[-1]))

    return _formula(f"cliff({knee:g}, {sharpness:g})", step, touch_rate_hz)


def streaming(*, touch_rate_hz: float = DEFAULT_TOUCH_RATE_HZ) -> Profile:
    """Uniform random reuse, ``m = 1 - x``: every page counts the same."""
    return _formula("streaming", lambda x: 1 - x, touch_rate_hz)


def _formula(
    name: str,
    miss_ratio: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    touch_rate_hz: float,
) -> Profile:
    """Sample ``miss_ratio`` over shares of the working set."""
    curve = miss_ratio(np.linspace(0, 1, NUM_CURVE_SEGMENTS + 1))
    return Profile(name, curve, touch_rate_hz, source="formula")


_FAMILIES: dict[str, Callable[..., Profile]] = {
    "power": power,
    "cliff": cliff,
    "streaming": streaming,
}
