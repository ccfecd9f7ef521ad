"""Import a trace: python scripts/import_trace.py SRC DST.parquet [--repair] [--max-gap-s 3600].

SRC is a GWA-T-12 CSV (.csv, .csv.gz), a folder of them, a packed month (.npz) or a Parquet trace.
docs/traces.md says what is refused and what is repaired.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from gymbal_envs.demand.grid import DEFAULT_MAX_GAP_S
from gymbal_envs.demand.open import ACCEPTED, open_trace
from gymbal_envs.demand.parquet import write_parquet
from gymbal_envs.demand.trace import Trace, TraceError


def main(argv: Sequence[str] | None = None) -> int:
    """Import a trace and say what was repaired; return the exit status."""
    args = parse(argv)
    try:
        with Progress(console=Console(stderr=True)) as progress:
            trace = open_trace(
                args.src,
                repair=args.repair,
                max_gap_s=args.max_gap_s,
                track=lambda files: progress.track(files, description="Reading"),
            )
        write_parquet(trace, args.dst)
    except TraceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(summary(trace, args.dst))
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Import a demand trace into Gymbal's Parquet format."
    )
    parser.add_argument("src", metavar="SRC", type=Path, help=ACCEPTED)
    parser.add_argument("dst", metavar="DST.parquet", type=Path, help="file to write")
    parser.add_argument(
        "--repair", action="store_true", help="drop rows that cannot be true, and say how many"
    )
    parser.add_argument(
        "--max-gap-s",
        type=float,
        default=DEFAULT_MAX_GAP_S,
        help="longest gap to fill with the sample before it (default: %(default)g s)",
    )
    args = parser.parse_args(argv)
    if args.dst.suffix != ".parquet":
        parser.error(f"DST {args.dst} must end in .parquet")
    return args


def summary(trace: Trace, dst: Path) -> str:
    """Describe an imported trace in a few lines."""
    days = trace.num_samples * trace.step_s / 86_400
    lines = [
        f"{dst}: {trace.num_vms} VMs, {trace.num_samples} samples every {trace.step_s:g} s "
        f"({days:.1f} days)"
    ]
    lines += [f"  repaired: {sentence}" for sentence in trace.repairs] or ["  nothing repaired"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
