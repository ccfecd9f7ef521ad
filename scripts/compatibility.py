"""Which programs suit each other: python scripts/compatibility.py [--out FOLDER] [--programs PATH].

Every pair of reference programs co-runs in the simulator. Writes compatibility.json (what the
rules of gymbal/Placement-v0 use), compatibility.csv and compatibility.png. Without --programs it is
the shipped table, of the programs that training may play; --ship writes it into the package.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from gymbal_agents.compatibility_chart import as_csv, draw
from gymbal_envs.profiling.co_runs import CoRunHost, compatibility_of
from gymbal_envs.scenarios.machine import programs_of
from gymbal_runtime.placement.compatibility import SHIPPED


def main(argv: Sequence[str] | None = None) -> None:
    """Compute the table and write it as JSON, CSV and a picture."""
    args = parse(argv)
    host = CoRunHost(llc_mib=args.llc_mib, bandwidth_gb_s=args.bandwidth_gb_s)
    table = compatibility_of(programs_of(args.programs, "train"), host)
    text = json.dumps(table.to_dict(), indent=1) + "\n"
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "compatibility.json").write_text(text)
    (args.out / "compatibility.csv").write_text(as_csv(table))
    draw(table, host.busy_cores).savefig(args.out / "compatibility.png")
    if args.ship:
        SHIPPED.write_text(text)
    print(f"{table.count} programs, {table.count**2} pairs: {args.out}/compatibility.*")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("outputs/compatibility"))
    parser.add_argument("--programs", default="", help="table of measured programs of your own")
    parser.add_argument("--llc-mib", type=float, default=CoRunHost.llc_mib)
    parser.add_argument("--bandwidth-gb-s", type=float, default=CoRunHost.bandwidth_gb_s)
    parser.add_argument("--ship", action="store_true", help="write the package's own table")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
