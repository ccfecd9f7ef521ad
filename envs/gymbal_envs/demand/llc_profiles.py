"""How fast a program runs with a given part of the last-level cache (LLC).

Forty SPEC programs measured on hardware and our eight traced ones come with the package; where
the numbers come from, and how well they fit, is in ``docs/profiles.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gymbal_envs.demand.llc_fit import falling_fit, fit_cpi
from gymbal_envs.demand.llc_tables import LineCurve, WaysTable, read_llc_tables
from gymbal_envs.demand.sheet import CurveError, shipped_points, shipped_rows

MIB = 2**20

# The measured machine: a Skylake-SP with 27.5 MiB of LLC in 11 ways, and 1 MiB of private L2 per
# core. Its LLC is exclusive of the L2: a line is in one of them, so their sizes add.
WAY_BYTES = 2.5 * MIB
PRIVATE_BYTES = 1.0 * MIB

_SOURCES = {
    "cachesim": (
        "fitted to counters measured by the authors of github.com/pbbcache/cachesim @666c8ae, "
        "simulator/input/metrics.csv: SPEC CPU2000/2006 by Intel CAT ways"
    ),
    "gymbal": (
        "LRU stack distances measured by Gymbal; cpi0 and penalty_cycles are not measured, but "
        "the medians of the 40 SPEC programs"
    ),
}


@dataclass(frozen=True, eq=False)
class LlcProfile:
    """Misses and speed of a program as functions of the LLC bytes it occupies.

    ``CPI = cpi0 + penalty_cycles * mpi(bytes)`` while the memory bus is idle.

    Attributes:
        name: The program.
        size_bytes: (S,) float64, read-only: LLC sizes, increasing from 0.
        mpi: (S,) float64, read-only: LLC misses per instruction, non-increasing. At size 0 all
            LLC references miss, so ``mpi[0]`` is their rate.
        cpi0: Cycles per instruction if the LLC never missed.
        penalty_cycles: Cycles that a miss costs on average, overlap included.
        residual: Median relative error of the IPC over the sizes measured; NaN where no IPC was.
        source: Where the numbers come from.

    Raises:
        ValueError: A field breaks its rule.
    """

    name: str
    size_bytes: NDArray[np.float64]  # (S,) bytes
    mpi: NDArray[np.float64]  # (S,) misses/instruction
    cpi0: float
    penalty_cycles: float
    residual: float = float("nan")
    source: str = ""

    def __post_init__(self) -> None:
        """Check every field, and keep private read-only copies of the arrays."""
        size, mpi = (np.array(values, np.float64) for values in (self.size_bytes, self.mpi))
        for field, values in (("size_bytes", size), ("mpi", mpi)):
            values.setflags(write=False)
            object.__setattr__(self, field, values)
            _check(self.name, field, values.ndim == 1 and values.size > 0, "must not be empty")
            _check(self.name, field, np.all(np.isfinite(values)), "must not hold NaN or infinity")
        rules = (
            ("size_bytes", size[0] == 0, f"must start at 0, not {size[0]:g}"),
            ("size_bytes", np.all(np.diff(size) > 0), "must increase"),
            ("mpi", mpi.shape == size.shape, f"must have shape {size.shape}, not {mpi.shape}"),
            ("mpi", np.all(mpi >= 0), "must not be negative"),
            ("mpi", np.all(np.diff(mpi) <= 0), "must not rise with size"),
            ("cpi0", 0 < self.cpi0 < np.inf, f"must be above 0, not {self.cpi0}"),
            (
                "penalty_cycles",
                0 <= self.penalty_cycles < np.inf,
                f"must be at least 0, not {self.penalty_cycles}",
            ),
            ("residual", not self.residual < 0, f"must be at least 0 or NaN, not {self.residual}"),
        )
        for field, holds, rule in rules:
            _check(self.name, field, holds, rule)

    def mpi_at(self, size_bytes: ArrayLike) -> NDArray[np.float64]:
        """Misses per instruction with so many bytes, any shape; flat beyond the last size."""
        sizes = np.asarray(size_bytes, dtype=np.float64)
        return np.asarray(np.interp(sizes, self.size_bytes, self.mpi))

    def cpi_at(self, size_bytes: ArrayLike) -> NDArray[np.float64]:
        """Cycles per instruction with so many bytes, any shape, on an idle memory bus."""
        return np.asarray(self.cpi0 + self.penalty_cycles * self.mpi_at(size_bytes))

    def slowdown(self, size_bytes: ArrayLike, llc_bytes: float) -> NDArray[np.float64]:
        """Time with so many bytes over time with the whole LLC of ``llc_bytes``, any shape."""
        return np.asarray(self.cpi_at(size_bytes) / self.cpi_at(llc_bytes))

    def on_grid(self, llc_bytes: float, num_segments: int) -> NDArray[np.float64]:
        """(num_segments + 1,) misses per instruction at equal steps from 0 to ``llc_bytes``.

        Raises:
            ValueError: ``llc_bytes`` is not above 0 or ``num_segments`` below 1.
        """
        if not 0 < llc_bytes < np.inf:
            raise ValueError(f"llc_bytes must be above 0, not {llc_bytes}")
        if num_segments < 1:
            raise ValueError(f"num_segments must be at least 1, not {num_segments}")
        return self.mpi_at(np.linspace(0.0, llc_bytes, num_segments + 1))


def load_llc_profiles() -> tuple[LlcProfile, ...]:
    """The 40 SPEC programs, then the eight of ``load_profiles``, each in alphabetical order."""
    return _shipped()


def read_llc_profiles(
    path: str | Path, *, way_bytes: float = WAY_BYTES, private_bytes: float = PRIVATE_BYTES
) -> tuple[LlcProfile, ...]:
    """Read measurements of the user's own: a CSV of either format of ``llc_tables``, or a folder.

    Args:
        path: A file, or a folder of ``*-line64.csv``.
        way_bytes: Size of a way of the LLC on which a table by ways was measured.
        private_bytes: Private cache in front of the LLC, for line curves: see ``from_line_curve``.

    Raises:
        CurveError: A file is not there or breaks its format; names file, row, column and rule.
        ValueError: A size is not positive.
    """
    if not 0 < way_bytes < np.inf:
        raise ValueError(f"way_bytes must be above 0, not {way_bytes}")
    if not 0 < private_bytes < np.inf:
        raise ValueError(f"private_bytes must be above 0, not {private_bytes}")
    typical_cpi0, typical_penalty = typical_costs(_shipped())
    return tuple(
        from_ways(table, typical_penalty, way_bytes)
        if isinstance(table, WaysTable)
        else from_line_curve(table, typical_cpi0, typical_penalty, private_bytes)
        for table in read_llc_tables(path)
    )


def from_ways(table: WaysTable, typical_penalty: float, way_bytes: float = WAY_BYTES) -> LlcProfile:
    """Fit a program's counters: isotonic misses by size, and a line for the CPI.

    ``typical_penalty``, in cycles per miss, serves a program whose misses hardly depend on size.
    """
    mpi = falling_fit(table.mpki) / 1000
    cpi0, penalty = fit_cpi(mpi, table.ipc, typical_penalty)
    error = np.abs(1.0 / (table.ipc * (cpi0 + penalty * mpi)) - 1.0)
    return LlcProfile(
        name=table.name,
        size_bytes=np.concatenate(([0.0], table.ways * way_bytes)),
        mpi=np.concatenate(([max(table.references_pki / 1000, mpi[0])], mpi)),
        cpi0=cpi0,
        penalty_cycles=penalty,
        residual=float(np.median(error)),
        source=table.source,
    )


def from_line_curve(
    curve: LineCurve, cpi0: float, penalty_cycles: float, private_bytes: float = PRIVATE_BYTES
) -> LlcProfile:
    """Place a stack-distance curve behind a private cache, with costs that it does not know.

    LLC references are the misses of ``private_bytes``, and an LLC of s bytes that excludes the
    private cache misses like one cache of ``s + private_bytes``. Both count as fully associative
    LRU, and cold misses stay misses.

    Raises:
        CurveError: The curve ends before the private cache does, and is still falling there.
    """
    last = float(curve.size_bytes[-1])
    if last < private_bytes and curve.mpki[-1] < curve.mpki[-2]:
        raise CurveError(
            f"{curve.source}: column size_bytes: the curve still falls at its end, {last:g} bytes, "
            f"and must go beyond the private cache of {private_bytes:g}"
        )
    beyond = curve.size_bytes > private_bytes
    at_private = np.interp(private_bytes, curve.size_bytes, curve.mpki)
    return LlcProfile(
        name=curve.name,
        size_bytes=np.concatenate(([0.0], curve.size_bytes[beyond] - private_bytes)),
        mpi=np.concatenate(([at_private], curve.mpki[beyond])) / 1000,
        cpi0=cpi0,
        penalty_cycles=penalty_cycles,
        source=curve.source,
    )


def typical_costs(profiles: tuple[LlcProfile, ...]) -> tuple[float, float]:
    """Median cpi0 and penalty in cycles, of the profiles whose IPC was measured."""
    measured = [profile for profile in profiles if np.isfinite(profile.residual)]
    cpi0 = float(np.median([profile.cpi0 for profile in measured]))
    return cpi0, float(np.median([profile.penalty_cycles for profile in measured]))


@cache
def _shipped() -> tuple[LlcProfile, ...]:
    """Read the table once; profiles are immutable."""
    points = shipped_points("llc_curves.csv", "size_bytes", "misses_per_kilo_instr")
    profiles = []
    for row in shipped_rows("llc_programs.csv"):
        size_bytes, misses_per_kilo_instr = points[row["program"]]
        profiles.append(
            LlcProfile(
                name=row["program"],
                size_bytes=size_bytes,
                mpi=misses_per_kilo_instr / 1000,
                cpi0=float(row["cpi0"]),
                penalty_cycles=float(row["penalty_cycles"]),
                residual=float(row["residual"] or "nan"),
                source=_SOURCES[row["origin"]],
            )
        )
    return tuple(profiles)


def _check(name: str, field: str, holds: bool | np.bool_, rule: str) -> None:
    if not holds:
        raise ValueError(f"LLC profile {name!r}: {field} {rule}")
