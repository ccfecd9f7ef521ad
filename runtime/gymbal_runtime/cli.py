"""Console script ``gymbal-control``. Heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gymbal_runtime import __version__

if TYPE_CHECKING:
    from gymbal_runtime.controller import Controller

USAGE_ERROR = 2

_DESCRIPTION = """\
Divide a host's memory, cache and CPU time between its virtual machines with a trained policy.

The controller reads the host's telemetry, decides, checks the decision and carries it out, once per
interval. It prints one JSON line per decision. Where the policy fails, is late, or sees something
unlike its training, the heuristic that it was trained against decides instead."""

_RUN_EPILOG = """\
Start with observe, then advise, then act:

  gymbal-control run --bundle policy.gymbal --host simulated --mode observe --steps 10 --no-wait
  gymbal-control run --bundle policy.gymbal --host simulated --mode advise --log decisions.jsonl
  gymbal-control run --heuristic meb --host simulated --mode act --guard max_change_frac=0.25

SIGTERM and SIGINT stop it between two decisions. Exit status: 0 after the last step or a signal,
2 for bad usage, an unusable bundle or host."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments without the program's name; None takes the process's.

    Returns:
        Exit status: 0, or 2 for bad usage, an unusable bundle or an unusable host.
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
    _add_run(commands)
    inspect = commands.add_parser("inspect", help="check a policy bundle and show what it holds")
    inspect.add_argument("bundle", type=Path, metavar="FILE")
    inspect.set_defaults(command=_inspect)
    return parser


def _add_run(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="run the control loop on a host",
        description="Run the control loop on one host.",
        epilog=_RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    who = run.add_argument_group("who decides (one of them)").add_mutually_exclusive_group(
        required=True
    )
    who.add_argument("--bundle", type=Path, metavar="FILE", help="a trained policy")
    who.add_argument("--heuristic", metavar="NAME", help="a heuristic alone, such as meb")
    pair = {"action": "append", "default": [], "type": _pair}
    where = run.add_argument_group("on what")
    where.add_argument("--host", required=True, metavar="NAME", help="kind of host")
    where.add_argument("--host-option", metavar="KEY=VALUE", help="may be repeated", **pair)
    how = run.add_argument_group("how")
    how.add_argument(
        "--mode",
        choices=("observe", "advise", "act"),
        default="observe",
        help="observe: only log telemetry (default); advise: decide, log; act: also tell the host",
    )
    how.add_argument("--steps", type=_count, metavar="N", help="stop after N (default: never)")
    how.add_argument("--interval", type=_seconds, default=5.0, metavar="S", help="default 5 s")
    how.add_argument("--no-wait", action="store_true", help="one step after the other")
    how.add_argument("--deadline", type=_seconds, default=0.1, metavar="S", help=_DEADLINE)
    how.add_argument("--fresh", type=_seconds, default=15.0, metavar="S", help=_FRESH)
    how.add_argument("--guard", metavar="LIMIT=VALUE", help=_GUARD, **pair)
    how.add_argument("--heuristic-option", metavar="KEY=VALUE", help="may be repeated", **pair)
    out = run.add_argument_group("output")
    out.add_argument("--log", type=Path, metavar="FILE", help="append decisions (default: stdout)")
    out.add_argument("--metrics-file", type=Path, metavar="FILE", help="Prometheus text, per step")
    run.set_defaults(command=_run)


_DEADLINE = "the policy's time to answer; later answers are not used (default 0.1 s)"
_FRESH = "older telemetry is left to the heuristic (default 15 s)"
_GUARD = (
    "max_change_frac (default 10), dead_band_frac (0.01) or max_age_s (30); may be repeated. "
    "Telemetry older than max_age_s gets no decision at all."
)


def _run(args: argparse.Namespace) -> int:
    controller = _controller(args)
    try:
        controller.run(args.steps, 0.0 if args.no_wait else args.interval)
    finally:
        controller.host.close()
    return 0


def _controller(args: argparse.Namespace) -> Controller:
    """Everything that can be wrong with the arguments is found here, before the first step."""
    from gymbal_runtime.bundle import read_bundle
    from gymbal_runtime.controller import Controller
    from gymbal_runtime.decision import DecisionLog
    from gymbal_runtime.guard import GuardLimits
    from gymbal_runtime.heuristics import make_heuristic
    from gymbal_runtime.hosts import open_host
    from gymbal_runtime.tasks import TASKS

    if args.bundle is not None:
        if args.heuristic_option:
            raise ValueError("--heuristic-option goes with --heuristic: a bundle brings its own")
        bundle = read_bundle(args.bundle)
        if bundle.codec.task not in TASKS:
            raise ValueError(f"{args.bundle}: {bundle.codec.task} is not about one host")
        agent, fallback = bundle.agent(checked=True), bundle.fallback()
    else:
        agent, fallback = None, make_heuristic(args.heuristic, **dict(args.heuristic_option))
    try:
        limits = GuardLimits(**dict(args.guard))
    except TypeError as error:
        raise ValueError(f"--guard: {error}") from error
    for file in (args.log, args.metrics_file):
        if file is not None and not file.absolute().parent.is_dir():
            raise ValueError(f"{file}: there is no directory {file.absolute().parent}")
    return Controller(
        open_host(args.host, **dict(args.host_option)),
        agent,
        fallback,
        mode=args.mode,
        limits=limits,
        deadline_s=args.deadline,
        fresh_s=args.fresh,
        log=DecisionLog(args.log),
        metrics_file=args.metrics_file,
    )


def _inspect(args: argparse.Namespace) -> int:
    from gymbal_runtime.bundle import read_bundle
    from gymbal_runtime.inspection import description

    print(description(read_bundle(args.bundle)))
    return 0


def _pair(text: str) -> tuple[str, Any]:
    """``key=value``; the value is an int, float or bool where it reads as one."""
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    if value in ("true", "false"):
        return key, value == "true"
    for kind in (int, float):
        try:
            return key, kind(value)
        except ValueError:
            continue
    return key, value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {text}")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, zero or more, got {text}")
    return value


if __name__ == "__main__":
    sys.exit(main())
