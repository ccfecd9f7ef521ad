"""``gymbal-control run``, ``check`` and ``restore``: the loop, and what surrounds it."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gymbal_runtime.commands import flags

if TYPE_CHECKING:
    from gymbal_runtime.controller import Controller
    from gymbal_runtime.settings import Settings

_EPILOG = """\
Start with observe, then advise, then act:

  gymbal-control run --config gymbal.toml --mode observe
  gymbal-control run --bundle policy.gymbal --host simulated --mode advise --log decisions.jsonl
  gymbal-control run --heuristic meb --host simulated --mode act --guard max_change_frac=0.25

Flags override the file. SIGTERM and SIGINT stop it between two decisions. Exit status: 0 after the
last step or a signal, 2 for bad usage, an unusable configuration, bundle or host."""


def add(commands: Any) -> None:
    """Add the three commands to a parser's."""
    run = commands.add_parser(
        "run",
        help="run the control loop on a host",
        description="Run the control loop on one host.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    flags.add_config_flag(run)
    flags.add_policy_flags(run)
    where = run.add_argument_group("on what")
    where.add_argument("--host", metavar="NAME", help="kind of host")
    where.add_argument(
        "--host-option", metavar="KEY=VALUE", type=flags.pair, help="may be repeated", **flags.PAIRS
    )
    where.add_argument("--budget", metavar="SIZE", help="memory to divide, such as 48GiB")
    _add_loop_flags(run.add_argument_group("how"))
    flags.add_guard_flag(run)
    out = run.add_argument_group("output")
    out.add_argument("--log", type=Path, metavar="FILE", help="append decisions (default: stdout)")
    out.add_argument("--log-telemetry", choices=("summary", "full"), help=_LOG_TELEMETRY)
    out.add_argument("--metrics-file", type=Path, metavar="FILE", help="Prometheus text, per step")
    out.add_argument("--metrics-listen", metavar="HOST:PORT", help="serve it over HTTP")
    run.set_defaults(command=_run, parser=run)

    check = commands.add_parser("check", help="check a configuration file")
    check.add_argument("config", type=Path, metavar="FILE")
    check.add_argument("--connect", action="store_true", help="open the host and read it once, too")
    check.set_defaults(command=_check)

    restore = commands.add_parser(
        "restore", help="put back what a controller changed that ended without doing so"
    )
    flags.add_config_flag(restore, required=True)
    restore.set_defaults(command=_restore)


def _add_loop_flags(how: Any) -> None:
    how.add_argument("--mode", choices=("observe", "advise", "act"), help=_MODE)
    how.add_argument("--steps", type=flags.count, metavar="N", help="stop after N (default: never)")
    how.add_argument("--interval", type=flags.seconds, metavar="S", help="default 5 s")
    how.add_argument("--no-wait", action="store_true", help="one step after the other")
    how.add_argument("--hold", type=flags.count_or_none, metavar="N", help=_HOLD)


_MODE = "observe: only log telemetry (default); advise: decide, log; act: also tell the host"
_HOLD = "leave a VM as it is for the first N decisions after it appears (default 3)"
_LOG_TELEMETRY = "full: whole records, for replay (default: summary)"


def _run(args: argparse.Namespace) -> int:
    if args.config is None:
        if args.host is None:
            args.parser.error("--host or --config is needed")
        if args.bundle is None and args.heuristic is None:
            args.parser.error("one of --bundle, --heuristic or --config is needed")
    settings = flags.settings_of(args, _tables(args))

    from gymbal_runtime.assembly import make_controller
    from gymbal_runtime.service_manager import ServiceManager

    manager = ServiceManager()
    manager.check_interval(settings.control.interval_s)
    controller = make_controller(settings)
    with contextlib.ExitStack() as closing:
        closing.callback(controller.host.close)
        _recover(controller)
        _publish(controller, settings, closing)
        if settings.control.on_exit == "restore" and settings.control.mode == "act":
            closing.callback(controller.restore)
        closing.callback(manager.stopping)
        controller.run(args.steps, settings.control.interval_s, manager.beat)
    return 0


def _tables(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The flags as tables of a configuration file."""
    host = flags.given(kind=args.host, budget=args.budget)
    if args.host is not None:  # another kind takes other options and parts
        host |= {"options": {}, "parts": []}
    if args.host_option:
        host["options"] = dict(args.host_option)
    interval_s = 0.0 if args.no_wait else args.interval
    log = flags.given(file=args.log and str(args.log), telemetry=args.log_telemetry)
    metrics_file = args.metrics_file and str(args.metrics_file)
    return flags.policy_tables(args) | {
        "host": host,
        "control": flags.given(mode=args.mode, interval_s=interval_s, hold_steps=args.hold),
        "log": log,
        "metrics": flags.given(file=metrics_file, listen=args.metrics_listen),
    }


def _recover(controller: Controller) -> None:
    """Take over from a process that ended without putting back what it had changed."""
    if controller.custody is None:
        return
    try:
        controller.custody.load()
    except (OSError, ValueError) as error:
        print(f"gymbal-control: warning: {error}", file=sys.stderr)


def _publish(controller: Controller, settings: Settings, closing: contextlib.ExitStack) -> None:
    """Serve the metrics over HTTP, if they shall be."""
    if not settings.metrics.listen:
        return
    from gymbal_runtime.metrics_server import MetricsServer

    longest_s = 3 * settings.control.interval_s + 2 * settings.host.timeout_s

    def health() -> tuple[bool, str]:
        silent_s = controller.metrics.since_decision_s
        return silent_s <= longest_s, f"{silent_s:.1f} s since the newest decision"

    server = MetricsServer(settings.metrics.listen, controller.metrics_text, health)
    server.start()
    closing.callback(server.close)


def _check(args: argparse.Namespace) -> int:
    from gymbal_runtime.assembly import (
        check_files,
        make_safeguard,
        open_settings_host,
        read_deciders,
    )

    settings = flags.settings_of(args, {})
    deciders = read_deciders(settings.policy)
    make_safeguard(settings.guard)
    check_files(settings)
    decides = ", ".join(f"{name} {value}" for name, value in deciders.labels().items() if value)
    print(f"{args.config}: fine; {settings.control.mode} on {settings.host.kind}, {decides}")
    if args.connect:
        host = open_settings_host(settings)
        try:
            telemetry = host.telemetry()
            print(f"{host.name}: {int(telemetry.present.sum())} VMs: {', '.join(host.vm_names)}")
            for error in getattr(host, "errors", ()):
                print(f"  {error}")
        finally:
            host.close()
    return 0


def _restore(args: argparse.Namespace) -> int:
    from gymbal_runtime.assembly import make_controller

    settings = flags.settings_of(args, {"control": {"mode": "act"}})
    if not settings.control.state_file:
        raise ValueError(f"{args.config}: control.state_file is missing: nothing was kept")
    controller = make_controller(settings)
    with contextlib.closing(controller.host):
        assert controller.custody is not None
        controller.custody.load()
        decision = controller.restore()
    return 1 if decision.errors else 0
