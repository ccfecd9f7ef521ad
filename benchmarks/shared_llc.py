"""Is the model of a shared last-level cache true? Against exact LRU simulations (bar B12).

    python benchmarks/shared_llc.py

The model is the engine's own kernel: programs that share a cache have one characteristic time, and
their miss curves alone say what that gives them. Here its clock counts data references instead of
instructions. Three tests, each an exact simulation of one LRU cache under interleaved streams:

IRM     Zipf programs, independent references; curves by Che's formula and as measured.
real    Data references of real programs, recorded under QEMU. Curves are measured over the same
        part of the stream, cold misses included; its first quarter warms the cache.
behind  The same behind a private LRU cache of 32 KiB each, as a last-level cache sees them.

For comparison, what many simulators take instead: occupancy in proportion to misses. Prints a
Markdown table, then one JSON line.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.profiling.lru import (
    Stream,
    interleave,
    miss_ratios,
    shared_miss_ratios,
    stack_distances,
)
from gymbal_envs.profiling.plugin import TracerError
from gymbal_envs.simulator.cache import fill_instructions, natural_partition
from gymbal_envs.simulator.layout import NUM_LLC_SEGMENTS

sys.path.insert(0, str(Path(__file__).parent))
from recorded_streams import RECORDED_REFS, record_all

Floats = NDArray[np.float64]
Curve = Callable[[Floats], Floats]  # miss ratio at sizes in lines

FINE = 512  # segments of a curve where discretisation shall not matter
LINE_BYTES = 64
IRM_WARMUP = IRM_REFS = 1_000_000
IRM_MIXES: tuple[tuple[tuple[float, int, float], ...], ...] = (  # (alpha, lines, rate)
    ((0.9, 8_000, 1.0), (0.7, 4_000, 1.0)),
    ((0.3, 6_000, 1.0), (1.1, 12_000, 3.0)),
    ((0.5, 2_000, 4.0), (0.8, 10_000, 1.0)),
    ((1.0, 10_000, 1.0), (0.6, 5_000, 2.0), (0.4, 2_000, 0.5)),
    ((0.3, 3_000, 1.0), (0.7, 3_000, 1.0), (1.1, 3_000, 1.0)),
    ((0.8, 4_000, 1.0), (0.5, 6_000, 0.3), (1.1, 8_000, 2.0), (0.6, 2_000, 1.0)),
)
IRM_SIZES = (0.05, 0.1, 0.25, 0.5, 0.75)  # of all lines of the mix
REAL_REFS = RECORDED_REFS // 2
REAL_SIZES = (256, 1024, 4096, 16384)  # lines: 16 KiB to 1 MiB
BEHIND_SIZES = (1024, 4096, 8192, 16384)
PRIVATE_LINES = 512
TRIPLES = 4


@dataclass(frozen=True, eq=False)
class Mix:
    """Programs that share a cache, and what an exact simulation says of it."""

    curves: Sequence[Curve]
    rates: Floats  # (n,) references/s
    capacity: int  # lines
    exact: Floats  # (n,) miss ratios

    def composed(self, segments: int) -> Floats:
        """Miss ratios by the engine's kernel, with curves of so many segments."""
        size = np.linspace(0.0, self.capacity, segments + 1)
        alone = np.array([curve(size) for curve in self.curves])
        segment_bytes = LINE_BYTES * self.capacity / segments
        fill, held = np.empty_like(alone), np.empty(len(alone))
        for ratio, instructions in zip(alone, fill, strict=True):
            fill_instructions(ratio, segment_bytes, instructions)
        guess_s = self.capacity / self.rates.sum()
        natural_partition(
            self.rates, fill, segment_bytes, float(LINE_BYTES * self.capacity), guess_s, held
        )
        return np.array(
            [np.interp(o / LINE_BYTES, size, m) for o, m in zip(held, alone, strict=True)]
        )

    def in_proportion(self) -> Floats:
        """Miss ratios if occupancies were in proportion to misses per second."""
        size = np.linspace(0.0, self.capacity, FINE + 1)
        alone = [curve(size) for curve in self.curves]
        held = np.full(len(alone), self.capacity / len(alone))
        for _ in range(400):
            ratio = np.array([np.interp(o, size, m) for o, m in zip(held, alone, strict=True)])
            misses = self.rates * ratio
            if misses.sum() == 0.0:
                break
            held = 0.8 * held + 0.2 * self.capacity * misses / misses.sum()
        return np.array([np.interp(o, size, m) for o, m in zip(held, alone, strict=True)])


def main() -> None:
    rows = [*irm_rows(), *real_rows()]
    print("| test | what | target | mean error | max error | mean miss ratio | verdict | note |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        cells = [f"{x:.4f}" if isinstance(x, float) else str(x) for x in row.values()]
        print(f"| {' | '.join(cells)} |")
    verdicts = [row["verdict"] for row in rows]
    line = {
        "benchmark": "shared_llc",
        "results": rows,
        "passed": verdicts.count("pass"),
        "missed": verdicts.count("miss"),
        "load_average": round(os.getloadavg()[0], 2),
    }
    print(json.dumps(line))


def row_of(
    test: str, what: str, mixes: Sequence[Mix], guesses: Sequence[Floats], bar: float | None = None
) -> dict[str, object]:
    """One line of the table: absolute errors of miss ratios, over programs and mixes alike."""
    exact = np.concatenate([mix.exact for mix in mixes])
    error = np.abs(np.concatenate(guesses) - exact)
    mean = float(error.mean())
    return {
        "test": test,
        "what": what,
        "target": "" if bar is None else f"mean ≤ {bar:g}",
        "mean": round(mean, 5),
        "max": round(float(error.max()), 5),
        "miss_ratio": round(float(exact.mean()), 4),
        "verdict": "" if bar is None else "pass" if mean <= bar else "miss",
        "note": f"{len(mixes)} caches, {len(exact)} programs in them",
    }


def irm_rows() -> list[dict[str, object]]:
    rng = np.random.default_rng(20)
    by_formula, as_measured = [], []
    for programs in IRM_MIXES:
        for formula, measured in irm_mix(programs, rng):
            by_formula.append(formula)
            as_measured.append(measured)
    fine = [mix.composed(FINE) for mix in by_formula]
    return [
        row_of("IRM", "model, curves by Che's formula", by_formula, fine, 0.005),
        row_of("IRM", "model, curves as measured", as_measured,
               [mix.composed(FINE) for mix in as_measured], 0.005),
        row_of("IRM", f"model with the engine's {NUM_LLC_SEGMENTS} segments", by_formula,
               [mix.composed(NUM_LLC_SEGMENTS) for mix in by_formula]),
        row_of("IRM", "in proportion to misses", by_formula,
               [mix.in_proportion() for mix in by_formula]),
    ]  # fmt: skip


def irm_mix(
    programs: Sequence[tuple[float, int, float]], rng: np.random.Generator
) -> Iterator[tuple[Mix, Mix]]:
    """Every cache size of one mix, with curves by formula and as measured from the streams."""
    total = IRM_WARMUP + IRM_REFS
    rates = np.array([rate for *_, rate in programs])
    owner = rng.choice(len(programs), size=total, p=rates / rates.sum()).astype(np.int8)
    streams, formulas = [], []
    for i, (alpha, lines, _) in enumerate(programs):
        popularity = np.arange(1.0, lines + 1) ** -alpha
        popularity /= popularity.sum()
        drawn = np.searchsorted(np.cumsum(popularity), rng.random(np.count_nonzero(owner == i)))
        blocks = np.minimum(drawn, lines - 1).astype(np.int32)
        streams.append(Stream(f"zipf{i}", blocks, lines))
        formulas.append(che_curve(popularity))
    measured = [curve_of(stack_distances(s)[len(s.blocks) // 2 :]) for s in streams]
    for part in IRM_SIZES:
        capacity = int(part * sum(stream.num_blocks for stream in streams))
        exact = shared_miss_ratios(streams, owner, capacity, IRM_WARMUP)
        yield (
            Mix(formulas, 1e9 * rates, capacity, exact),
            Mix(measured, 1e9 * rates, capacity, exact),
        )


def che_curve(popularity: Floats) -> Curve:
    """Miss ratio of LRU under independent references (Che et al. 2002), ``popularity`` (N,)."""
    ages = np.concatenate([[0.0], np.geomspace(0.1, 1e4 * len(popularity), 400)])
    left = np.exp(-popularity * ages[:, None])  # (ages, N)
    held, missed = (1.0 - left).sum(axis=1), left @ popularity
    return lambda size: np.interp(size, held, missed)


def curve_of(distances: NDArray[np.int32]) -> Curve:
    ordered = np.sort(distances)
    return lambda size: miss_ratios(ordered, size)


def real_rows() -> list[dict[str, object]]:
    try:
        with tempfile.TemporaryDirectory(prefix="gymbal-streams-") as folder:
            streams = record_all(Path(folder))
    except TracerError as error:
        print(f"real programs are left out: {error}\n", file=sys.stderr)
        return []
    distances = [stack_distances(stream) for stream in streams]
    raw = real_mixes(streams, distances, [REAL_REFS] * len(streams), REAL_SIZES)
    behind = []
    for stream, distance in zip(streams, distances, strict=True):
        passes = distance >= PRIVATE_LINES
        behind.append(Stream(stream.name, stream.blocks[passes], stream.num_blocks))
    last_level = real_mixes(
        behind,
        [stack_distances(stream) for stream in behind],
        [len(stream.blocks) for stream in behind],
        BEHIND_SIZES,
    )
    names = ", ".join(stream.name for stream in streams)
    print(f"real programs: {names}; {REAL_REFS:.0e} references each\n", file=sys.stderr)
    return [*rows_by_size("real", raw, 0.02), *rows_by_size("behind", last_level, None)]


def real_mixes(
    streams: Sequence[Stream],
    distances: Sequence[NDArray[np.int32]],
    lengths: Sequence[int],
    sizes: Sequence[int],
) -> list[Mix]:
    """All pairs at equal and at 1:2 rates and a few triples; a stream's length is its rate."""
    pairs = list(itertools.combinations(range(len(streams)), 2))
    triples = list(itertools.combinations(range(len(streams)), 3))
    chosen: list[tuple[tuple[int, ...], tuple[float, ...]]] = []
    for pair in pairs:
        chosen += [(pair, (1.0, 1.0)), (pair, (1.0, 0.5))]
    chosen += [(triple, (1.0, 1.0, 1.0)) for triple in triples[:: len(triples) // TRIPLES]]
    mixes = []
    for members, speeds in chosen:
        counts = [int(lengths[i] * speed) for i, speed in zip(members, speeds, strict=True)]
        rates = np.array(counts, dtype=np.float64)
        owner = interleave(counts, rates)
        parts = [streams[i] for i in members]
        # A quarter of the mix is a quarter of each program.
        curves = [curve_of(distances[i][n // 4 : n]) for i, n in zip(members, counts, strict=True)]
        for capacity in sizes:
            exact = shared_miss_ratios(parts, owner, capacity, len(owner) // 4)
            mixes.append(Mix(curves, 1e3 * rates, capacity, exact))
    return mixes


def rows_by_size(test: str, mixes: Sequence[Mix], bar: float | None) -> list[dict[str, object]]:
    model = [mix.composed(FINE) for mix in mixes]
    rows = [
        row_of(test, "model", mixes, model, bar),
        row_of(test, f"model with the engine's {NUM_LLC_SEGMENTS} segments", mixes,
               [mix.composed(NUM_LLC_SEGMENTS) for mix in mixes]),
        row_of(test, "in proportion to misses", mixes, [mix.in_proportion() for mix in mixes]),
    ]  # fmt: skip
    for capacity in sorted({mix.capacity for mix in mixes}):
        at = [i for i, mix in enumerate(mixes) if mix.capacity == capacity]
        what = f"model, {capacity * LINE_BYTES // 1024} KiB"
        rows.append(row_of(test, what, [mixes[i] for i in at], [model[i] for i in at]))
    return rows


if __name__ == "__main__":
    main()
