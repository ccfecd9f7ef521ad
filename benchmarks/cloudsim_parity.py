"""Does the CloudSim mode do what CloudSim 3.0.3 does? Consolidation of a day of PlanetLab traces.

    python benchmarks/cloudsim_parity.py                        the day with known results
    python benchmarks/cloudsim_parity.py --day all --policies LR-MMT-1.2 LR-MU-1.2
    python benchmarks/cloudsim_parity.py --data FOLDER --order listing

800 hosts, one VM for each trace, 24 hours. Nothing is tuned; CloudSim itself is not needed.

Results of CloudSim are compared for 20110303, in two orders of the traces, since the order decides
which trace gets which type of VM: as CloudSim was run for `models.md` section 7.3
(`cloudsim_listing_20110303.txt`), and as Windows lists the folder, for which that section remembers
energies that others reported. To compare with a CloudSim of your own on Linux, point --data at its
``workload/planetlab`` and choose --order listing: both then read the folder alike.

Speed is one run of a whole day including the policy, compiled before; CloudSim made 9 to 12
scheduling intervals a second (`peers.md` section 2a), and the bar is 450. Prints Markdown tables,
then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gymbal_envs.demand.planetlab import ORDERS, PlanetLabDay, planetlab_days, read_planetlab
from gymbal_envs.simulator.centre.cloudsim import planetlab_centre

sys.path.insert(0, str(Path(__file__).parent))
from bars import Row, print_table, within

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "planetlab" / "planetlab_cpu.npz"
LISTING = Path(__file__).with_name("cloudsim_listing_20110303.txt")
KNOWN_DAY = "20110303"
REFERENCE = "reference"
BAR_INTERVALS_S = 450.0


@dataclass(frozen=True)
class Published:
    """What CloudSim 3.0.3 printed; None where nobody wrote it down."""

    energy_kwh: float
    tolerance_percent: float
    migrations: int | None = None
    shutdowns: int | None = None
    slav_percent: float | None = None
    pdm_percent: float | None = None
    slatah_percent: float | None = None


PUBLISHED: dict[str, dict[str, Published]] = {
    # models.md section 7.3: CloudSim 3.0.3, run for this project
    REFERENCE: {
        "NPA": Published(2410.80, 0.5, 0),
        "DVFS": Published(764.96, 1.0, 0, 473),
        "THR-MMT-0.8": Published(198.08, 5.0, 27728, 6109, 0.00357, 0.07, 5.00),
        "IQR-MMT-1.5": Published(193.63, 5.0, 27592, 6045, 0.00342, 0.07, 5.02),
        "MAD-MMT-2.5": Published(189.79, 5.0, 27781, 5981, 0.00357, 0.07, 5.09),
        "LR-MMT-1.2": Published(167.83, 5.0, 27649, 5190, 0.00432, 0.08, 5.72),
    },
    # the same section: what others reported, remembered, to one decimal
    "caseless": {
        "DVFS": Published(803.9, 1.0),
        "THR-MMT-0.8": Published(191.7, 5.0),
        "IQR-MMT-1.5": Published(188.9, 5.0),
        "MAD-MMT-2.5": Published(184.9, 5.0),
        "LR-MMT-1.2": Published(163.2, 5.0),
    },
}
POLICIES = tuple(PUBLISHED[REFERENCE])


def main() -> None:
    parser = argparse.ArgumentParser(description="the CloudSim mode against CloudSim's results")
    parser.add_argument("--data", type=Path, default=DATA, help="traces: .npz or folder")
    parser.add_argument("--day", default=KNOWN_DAY, help="yyyymmdd, or 'all'")
    parser.add_argument("--order", choices=(REFERENCE, *ORDERS), help="of the traces")
    parser.add_argument("--policies", nargs="+", default=POLICIES, metavar="POLICY")
    given = parser.parse_args()
    compile_s = warm_up()
    days = planetlab_days(given.data) if given.day == "all" else (given.day,)
    results = [
        measured(traces, order, policy)
        for day in days
        for order, traces in orders_of(given.data, day, given.order)
        for policy in given.policies
    ]
    print_results(results)
    bars = [bar for result in results for bar in bars_of(result)] + ranking(results)
    print()
    print_table(bars)
    line = {
        "benchmark": "cloudsim_parity",
        "command": shlex.join(["python", "benchmarks/cloudsim_parity.py", *sys.argv[1:]]),
        "results": results,
        "bars": [bar.plain() for bar in bars],
        "compile_or_load_s": round(compile_s, 1),
        "pass": all(bar.passed for bar in bars),
        "load_average": round(os.getloadavg()[0], 2),
    }
    print(json.dumps(line))


def warm_up() -> float:
    """Compile or load all kernels; seconds."""
    began = time.perf_counter()
    planetlab_centre(np.full((4, 3), 50), "LR-MMT-1.2", num_hosts=4).run()
    return time.perf_counter() - began


def orders_of(data: Path, day: str, order: str | None) -> list[tuple[str, PlanetLabDay]]:
    """A day's traces in the orders for which there is something to compare, or as asked for."""
    known = day == KNOWN_DAY
    wanted = [order] if order else [REFERENCE, "caseless"] if known else ["caseless"]
    found = []
    for name in wanted:
        if name != REFERENCE:
            found.append((name, read_planetlab(data, day, name)))  # type: ignore[arg-type]
        elif known:
            found.append((name, as_listed(read_planetlab(data, day, "name"))))
        else:
            sys.exit(f"--order {REFERENCE} is known for {KNOWN_DAY} only, not for {day}")
    return found


def as_listed(traces: PlanetLabDay) -> PlanetLabDay:
    """Traces in order of name, put in the order in which CloudSim read them for `models.md`."""
    lines = LISTING.read_text().splitlines()
    rows = [int(word) for line in lines if not line.startswith("#") for word in line.split()]
    names = tuple(traces.names[i] for i in rows)
    return PlanetLabDay(traces.day, names, traces.cpu_pct[rows])


def measured(traces: PlanetLabDay, order: str, policy: str) -> dict[str, Any]:
    """One run of a rule."""
    centre = planetlab_centre(traces.cpu_pct, policy)
    return {"order": order, "policy": centre.policy.name, **timed(traces, centre)}


def timed(traces: PlanetLabDay, centre: Any) -> dict[str, Any]:
    """Play a day."""
    began = time.perf_counter()
    result = centre.run()
    took_s = time.perf_counter() - began
    return {
        "day": traces.day,
        "vms": len(traces.names),
        **asdict(result),
        "slav": result.slav,
        "esv": result.esv,
        "intervals_per_s": round(centre.num_events / took_s),
    }


def published_for(result: dict[str, Any]) -> Published | None:
    if result["day"] != KNOWN_DAY:
        return None
    return PUBLISHED.get(result["order"], {}).get(result["policy"])


def print_results(results: list[dict[str, Any]]) -> None:
    """Ours, and CloudSim's in brackets where known."""
    heads = ("day", "order", "policy", "kWh", "error", "migrations", "shutdowns", "SLATAH %")
    print("|", " | ".join((*heads, "PDM %", "SLAV %", "mean active", "intervals/s")), "|")
    print("|---|---|---|" + "---:|" * 9)
    for result in results:
        known = published_for(result)
        error = 100 * (result["energy_kwh"] / known.energy_kwh - 1) if known else None
        cells = (
            result["day"], result["order"], result["policy"],
            beside(f"{result['energy_kwh']:.2f}", known and known.energy_kwh),
            f"{error:+.3f} %" if error is not None else "",
            beside(f"{result['migrations']}", known and known.migrations),
            beside(f"{result['shutdowns']}", known and known.shutdowns),
            beside(f"{100 * result['slatah']:.2f}", known and known.slatah_percent),
            beside(f"{100 * result['pdm']:.2f}", known and known.pdm_percent),
            beside(f"{100 * result['slav']:.5f}", known and known.slav_percent),
            f"{result['mean_active_hosts']:.1f}", f"{result['intervals_per_s']}",
        )  # fmt: skip
        print(f"| {' | '.join(cells)} |")


def beside(ours: str, theirs: float | None) -> str:
    return ours if theirs is None else f"{ours} [{theirs}]"


def bars_of(result: dict[str, Any]) -> list[Row]:
    """Energy and migrations against CloudSim's, and speed."""
    known, rows = published_for(result), []
    what = f"{result['policy']}, {result['order']} order"
    if known:
        bounds = [("kWh", result["energy_kwh"], known.energy_kwh)]
        if known.migrations:
            bounds.append(("migrations", result["migrations"], float(known.migrations)))
        for unit, ours, theirs in bounds:
            part = known.tolerance_percent / 100
            passed = within(ours, theirs * (1 - part), theirs * (1 + part))
            target = f"{theirs:g} ± {known.tolerance_percent:g} %"
            rows.append(Row("parity", f"{what}: {unit}", target, ours, passed))
    if known and known.migrations:
        fast = result["intervals_per_s"]
        target = f">= {BAR_INTERVALS_S:g}"
        rows.append(Row("speed", f"{what}: intervals/s", target, fast, fast >= BAR_INTERVALS_S))
    return rows


def ranking(results: list[dict[str, Any]]) -> list[Row]:
    """Whether policies rank by energy as they do in CloudSim."""
    rows = []
    for order in PUBLISHED:
        pairs = [
            (known.energy_kwh, result["energy_kwh"])
            for result in results
            if result["order"] == order and (known := published_for(result))
        ]
        kept = [ours for _, ours in sorted(pairs)]
        if len(kept) > 1:
            same = kept == sorted(kept)
            rows.append(Row("parity", f"ranking by energy, {order} order", "same", same, same))
    return rows


if __name__ == "__main__":
    main()
