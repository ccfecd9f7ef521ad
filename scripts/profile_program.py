"""Profile a program: python scripts/profile_program.py [--out FOLDER] [--plot] -- CMD ARG ...

Runs CMD under QEMU's user-mode tracing and writes its miss curves, dirty rate and footprint over
time: `scenario.profiles=FOLDER` and `read_profiles(FOLDER)` take them. docs/profiling.md says more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from gymbal_envs.profiling.plugin import TracerError
from gymbal_envs.profiling.profile_file import check_name, profile_of, write_profile
from gymbal_envs.profiling.report import describe, plot_profile
from gymbal_envs.profiling.tracer import Recording, TraceOptions, line_shift_of, trace

LIMITS = """CMD is a program for x86-64 Linux, linked in any way, not a script. Only CMD itself is
seen: a child is not, and a program that replaces itself by another one (exec: env, sh -c, pyenv's
python) is lost, so name the program that does the work. Its input is yours, its output is thrown
away (--stdout). The cost is about 50 times the program's own time."""


def main(argv: Sequence[str] | None = None) -> int:
    """Trace, write, and say what was found; return the exit status."""
    args = parse(argv)
    try:
        name = check_name(args.name or Path(args.command[0]).name)
        kept = args.record and Recording(args.record, args.record_refs, args.record_skip)
        shift = line_shift_of(args.line_sample)
        options = TraceOptions(args.max_refs, shift, kept, stdout=args.stdout)
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(f"Tracing {name}", total=options.max_refs)
            measured = trace(
                args.command, options, lambda refs: progress.update(task, completed=refs)
            )
        profile = profile_of(measured, name)
        written = write_profile(profile, args.out)
        if args.plot:
            written.append(args.out / f"{name}.png")
            plot_profile(profile, written[-1])
    except (TracerError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(describe(profile, measured))
    print("  wrote", *written, *([args.record] if args.record else []))
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    usage = "%(prog)s [OPTION ...] -- CMD [ARG ...]"
    parser = argparse.ArgumentParser(description="Profile a program.", usage=usage, epilog=LIMITS)
    option = parser.add_argument
    option("--out", type=Path, default=Path("profiles"), help="folder (default: %(default)s)")
    option("--name", help="name of the profile (default: the program's)")
    option("--max-refs", type=int, default=TraceOptions.max_refs, help="stop after (%(default)s)")
    option("--line-sample", default="1/16", help="share of the lines sampled (%(default)s)")
    option("--plot", action="store_true", help="draw OUT/NAME.png too")
    option("--stdout", type=Path, help="file for the program's output")
    option("--record", type=Path, help="file for raw line numbers, uint64 little endian")
    option("--record-refs", type=int, default=10_000_000, help="references kept (%(default)s)")
    option("--record-skip", type=int, default=0, help="references left out before (%(default)s)")
    words = list(sys.argv[1:] if argv is None else argv)
    own = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:own])
    args.command = words[own + 1 :]
    if not args.command:
        parser.error("no program given: put it last, after --, as in -- gzip -c FILE")
    return args


if __name__ == "__main__":
    sys.exit(main())
