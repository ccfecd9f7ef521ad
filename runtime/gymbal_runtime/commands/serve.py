"""``gymbal-control serve``: decisions as JSON over a local socket."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

from gymbal_runtime.commands import flags

_DESCRIPTION = """\
Answer each line of telemetry (JSON) on a Unix socket with a line that says what to do. A connection
is a session with a memory of its own. docs/serve.md describes both lines."""


def add(commands: Any) -> None:
    """Add the command to a parser's."""
    serve = commands.add_parser(
        "serve",
        help="answer controllers in other languages over a local socket",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument("--socket", type=Path, required=True, metavar="PATH", help="where to listen")
    serve.add_argument("--clients", type=flags.count, default=32, metavar="N", help="at most (32)")
    serve.add_argument(
        "--idle", type=flags.seconds, default=600.0, metavar="S", help="silence allowed (600 s)"
    )
    flags.add_config_flag(serve)
    flags.add_policy_flags(serve)
    flags.add_guard_flag(serve)
    serve.set_defaults(command=_serve, parser=serve)


def _serve(args: argparse.Namespace) -> int:
    import threading

    from gymbal_runtime.assembly import make_safeguard, read_deciders
    from gymbal_runtime.decision_server import DecisionServer, Session
    from gymbal_runtime.service_manager import ServiceManager
    from gymbal_runtime.signals import stopped_by_signals

    settings = flags.settings_of(args, flags.policy_tables(args), host_needed=False)
    deciders = read_deciders(settings.policy)
    make_safeguard(settings.guard)  # its mistakes are found now and not by the first client
    server = DecisionServer(
        args.socket,
        lambda: Session(deciders, settings),
        max_clients=args.clients,
        idle_s=args.idle,
    )
    stop, manager = threading.Event(), ServiceManager()
    beat_s = manager.watchdog_s / 2 or None
    with contextlib.closing(server), stopped_by_signals(stop):
        server.start()
        manager.beat()
        while not stop.wait(beat_s):
            manager.beat()
        manager.stopping()
    return 0
