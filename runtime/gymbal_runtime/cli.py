"""Console script ``gymbal-control``. Heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from gymbal_runtime import __version__
from gymbal_runtime.commands import inspect, replay, run, serve

USAGE_ERROR = 2

_DESCRIPTION = """\
Divide a host's memory, cache and CPU time between its virtual machines with a trained policy.

The controller reads the host's telemetry, decides, checks the decision and carries it out, once per
interval. It prints one JSON line per decision. Where the policy fails, is late, or sees something
unlike its training, the heuristic that it was trained against decides instead."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments without the program's name; None takes the process's.

    Returns:
        Exit status: 0, or 2 for bad usage, an unusable configuration, bundle or host.
    """
    args = _parser().parse_args(argv)
    try:
        return int(args.command(args))
    except (ValueError, OSError) as error:
        print(f"gymbal-control: error: {error}", file=sys.stderr)
        return USAGE_ERROR


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gymbal-control",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gymbal {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (run, replay, serve, inspect):
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
