"""A trained policy in the CloudSim mode: does it violate less for its energy than its rule?

    python benchmarks/cloudsim_policy.py --bundle policies/consolidation.gymbal
    python benchmarks/cloudsim_policy.py --bundle SEED0 SEED1 SEED2 --day all

The policy corrects LR-MMT-1.2 (``--rule``) at every event of a day of PlanetLab traces, 800 hosts
and one VM for each trace, with CloudSim 3.0.3's semantics and accounting. It was trained in the
default mode, where waking and moves cost what they cost, on other traces and on fewer hosts;
nothing is fitted to CloudSim. Prints Markdown tables, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from gymbal_envs.demand.planetlab import PlanetLabDay, planetlab_days
from gymbal_envs.simulator.centre.cloudsim import planetlab_centre
from gymbal_envs.simulator.centre.cloudsim_corrected import CorrectedCentre
from gymbal_envs.simulator.centre.cloudsim_example import example_hosts, example_vms
from gymbal_runtime.bundle import read_bundle
from gymbal_runtime.tasks import CONSOLIDATION

sys.path.insert(0, str(Path(__file__).parent))
from bars import Row, print_table
from cloudsim_parity import DATA, KNOWN_DAY, orders_of, timed

RULE, HOSTS = "LR-MMT-1.2", 800


def main() -> None:
    parser = argparse.ArgumentParser(description="a trained policy in the CloudSim mode")
    parser.add_argument("--bundle", nargs="+", required=True, help="policies, such as seeds of one")
    parser.add_argument("--data", type=Path, default=DATA, help="traces: .npz or folder")
    parser.add_argument("--day", default=KNOWN_DAY, help="yyyymmdd, or 'all'")
    parser.add_argument("--rule", default=RULE, help="that is corrected and compared with")
    parser.add_argument(
        "--fill-frac",
        nargs="*",
        type=float,
        default=[],
        metavar="F",
        help="also the rule that fills hosts less, as a policy's own may do",
    )
    given = parser.parse_args()
    days = planetlab_days(given.data) if given.day == "all" else (given.day,)
    results = []
    for day in days:
        order, traces = orders_of(given.data, day, None)[0]
        for fill_frac in (1.0, *given.fill_frac):
            name = given.rule if fill_frac == 1.0 else f"{given.rule}, filled to {fill_frac:g}"
            played = alone(traces, given.rule, fill_frac)
            results.append({"agent": name, "order": order, **played})
        for bundle in given.bundle:
            results.append({"agent": bundle, "order": order, **led(traces, given.rule, bundle)})
    print_results(results)
    bars = bars_of(results, given.rule, given.bundle)
    print()
    print_table(bars)
    line = {
        "benchmark": "cloudsim_policy",
        "command": shlex.join(["python", "benchmarks/cloudsim_policy.py", *sys.argv[1:]]),
        "results": results,
        "bars": [bar.plain() for bar in bars],
        "pass": all(bar.passed for bar in bars),
    }
    print(json.dumps(line))


def alone(traces: PlanetLabDay, rule: str, fill_frac: float = 1.0) -> dict[str, Any]:
    """The rule as CloudSim has it, or one that fills hosts less."""
    centre = planetlab_centre(traces.cpu_pct, rule)
    centre.hosts.fill[:] = fill_frac
    return timed(traces, centre)


def led(traces: PlanetLabDay, rule: str, bundle: str) -> dict[str, Any]:
    """The rule, corrected."""
    read = read_bundle(bundle)
    if read.manifest.task != CONSOLIDATION:
        sys.exit(f"{bundle} is of {read.manifest.task}; choose one of {CONSOLIDATION}")
    vms = example_vms(len(traces.names))
    return timed(
        traces, CorrectedCentre(example_hosts(HOSTS), vms, traces.cpu_pct, rule, read.agent())
    )


def print_results(results: list[dict[str, Any]]) -> None:
    heads = ("day", "agent", "kWh", "migrations", "SLATAH %", "PDM %", "SLAV %", "ESV %kWh")
    print("|", " | ".join((*heads, "CPU not given %", "mean active", "intervals/s")), "|")
    print("|---|---|" + "---:|" * 9)
    for one in results:
        cells = (
            one["day"], one["agent"], f"{one['energy_kwh']:.2f}", f"{one['migrations']}",
            f"{100 * one['slatah']:.2f}", f"{100 * one['pdm']:.4f}", f"{100 * one['slav']:.5f}",
            f"{100 * one['esv']:.4f}", f"{100 * one['lost_mips_frac']:.3f}",
            f"{one['mean_active_hosts']:.1f}", f"{one['intervals_per_s']}",
        )  # fmt: skip
        print(f"| {' | '.join(cells)} |")


def bars_of(results: list[dict[str, Any]], rule: str, bundles: list[str]) -> list[Row]:
    """ESV of each policy on each day against that of its rule."""
    theirs = {one["day"]: one["esv"] for one in results if one["agent"] == rule}
    return [
        Row(
            "parity mode", f"{one['agent']}, {one['day']}: ESV, % of the rule's", "< 100",
            round(100 * one["esv"] / theirs[one["day"]], 1), one["esv"] < theirs[one["day"]],
        )
        for one in results
        if one["agent"] in bundles
    ]  # fmt: skip


if __name__ == "__main__":
    main()
