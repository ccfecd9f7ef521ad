"""Jobs with a part of their memory on another host: measured slowdowns and the simulator's (B16).

    python benchmarks/remote_swap.py [--data FILE]

Amaro et al. (Fastswap, EuroSys 2020) ran jobs with 40 to 100 % of their memory local and the rest
paged over RDMA. The run times that they published for four of them are read from
``<repo>/../shared/data/remote_swap``; they are no part of the project. Any other file of the same
format may be given (`gymbal_envs.demand.far_memory_file`).

Each program is reduced to two parameters, touch rate and knee (`far_memory_fit`), and then the
simulator itself is run: one VM on memory over RDMA, at each of the measured local parts, for ten
minutes. Told are the mean relative error of the slowdown over the points with less than all memory
local (bar: 15 %), the largest one, and the mean error of points that the fit did not see (leave one
out). The mean error of the obvious rival with two parameters, a power of the far part
``1 + a (1 - x)^p``, is told beside it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from bars import Row, print_table
from numpy.typing import NDArray

from gymbal_envs.demand.far_memory_file import read_slowdowns
from gymbal_envs.demand.far_memory_fit import FarMemoryFit, fit_far_memory, leave_one_out
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.simulator.params import GIB, MIB
from gymbal_runtime.command import Command

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data" / "remote_swap" / "remote_swap_slowdown.json"
BAR = 0.15
MEMORY_BYTES, KERNEL_BYTES = 4 * GIB, 64 * MIB
SETTLE_S, PLAYED_S = 300, 600

Floats = NDArray[np.float64]


def main() -> None:
    """Print the table of rows and, last, one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="JSON or CSV of slowdowns")
    found = rows(parser.parse_args().data)
    print_table(found)
    print(json.dumps({"benchmark": "remote_swap", "results": [row.plain() for row in found]}))


def rows(data: Path = DATA) -> list[Row]:
    """A row for each program; none, with a word about it, where the data is absent."""
    if not data.exists():
        print(f"{data} is absent: remote swap was not compared")
        return []
    return [_row(fitted) for fitted in fits(data)]


def fits(data: Path = DATA) -> list[FarMemoryFit]:
    """The fitted programs of a file."""
    return [fit_far_memory(p.program, p.local_frac, p.slowdown) for p in read_slowdowns(data)]


def _row(fitted: FarMemoryFit) -> Row:
    error = np.abs(simulated(fitted) / fitted.slowdown - 1.0)
    unseen = leave_one_out(fitted)
    note = (
        f"max {error.max():.3f}; leave one out {unseen.mean():.3f}, max {unseen.max():.3f}; "
        f"{fitted.touch_rate_hz / 1e3:.0f} thousand touches/s, knee at {fitted.knee:.2f} local; "
        f"measured {listed(fitted.slowdown)}, power law {power_error(fitted):.3f}"
    )
    mean = float(error.mean())
    return Row("B16", f"remote swap, {fitted.program}", f"≤ {BAR:g}", mean, mean <= BAR, note)


def listed(values: Floats) -> str:
    """Numbers with two digits behind the point."""
    return " ".join(f"{value:.2f}" for value in values)


def simulated(fitted: FarMemoryFit) -> Floats:
    """(N,) slowdowns of the fitted program as the engine plays it at each local part."""
    scenarios = [_host(fitted, float(local)) for local in fitted.local_frac]
    engine = Engine(len(scenarios), 1, 2)
    engine.load(range(len(scenarios)), scenarios)
    engine.step(Command.no_change(len(scenarios), 1), SETTLE_S)
    engine.step(Command.no_change(len(scenarios), 1), PLAYED_S)
    return np.asarray(PLAYED_S / (PLAYED_S - engine.outcome[:, at.LOST, 0]))


def _host(fitted: FarMemoryFit, local: float) -> Scenario:
    """One VM whose memory is a part of what it works on; the rest is on the fit's tier."""
    profile = fitted.profile()
    one = np.ones(1)
    held = KERNEL_BYTES + local * MEMORY_BYTES
    knots = np.ones((2, 1), dtype=np.float32)
    return Scenario(
        name=f"{fitted.program} at {local:g}",
        capacity_bytes=2 * MEMORY_BYTES,
        cpu_cores=1.0,
        tier=fitted.tier,
        present=np.ones(1, dtype=np.bool_),
        shares=one,
        memory_max_bytes=one * 2 * MEMORY_BYTES,
        memory_min_bytes=one * KERNEL_BYTES,
        kernel_bytes=one * KERNEL_BYTES,
        unswappable_frac=0.0 * one,
        vcpus=one,
        monitor=0.0 * one,
        touch_rate=one * fitted.touch_rate_hz,
        dirty_frac=one * profile.dirty_frac,
        overlap=one * profile.mlp,
        curve=profile.curve[None, :],
        working_set_bytes=knots * np.float32(MEMORY_BYTES),
        footprint_bytes=knots * np.float32(MEMORY_BYTES),
        cores=knots,
        initial_bytes=one * held,
        seed=0,
    )


def power_error(fitted: FarMemoryFit) -> float:
    """Mean relative error of the best ``1 + a (1 - x)^p``, the obvious rival."""
    far = 1.0 - fitted.local_frac
    shape = far ** np.linspace(0.1, 8.0, 400)[:, None]
    weight = shape / fitted.slowdown
    wanted = (fitted.slowdown - 1.0) / fitted.slowdown
    scale = np.maximum((weight @ wanted) / (weight**2).sum(axis=1), 0.0)
    error = (1.0 + scale[:, None] * shape) / fitted.slowdown - 1.0
    return float(np.abs(error[np.argmin((error**2).sum(axis=1))]).mean())


if __name__ == "__main__":
    main()
