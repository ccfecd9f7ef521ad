"""``gymbal-control replay``: what a policy would have done, before it is allowed to act."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gymbal_runtime.commands import flags

_DESCRIPTION = """\
Let a policy decide on the telemetry in a log, and compare with what was done. The log must hold
whole records: run with --log-telemetry full (log.telemetry = "full")."""


def add(commands: Any) -> None:
    """Add the command to a parser's."""
    replay = commands.add_parser(
        "replay",
        help="show what a policy would have done with recorded telemetry",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    replay.add_argument("log", type=Path, metavar="LOG", help="its rotated parts are read, too")
    replay.add_argument("--markdown", action="store_true", help="tables in Markdown")
    replay.add_argument("--svg", type=Path, metavar="FILE", help="write a picture")
    flags.add_config_flag(replay)
    flags.add_policy_flags(replay)
    flags.add_guard_flag(replay)
    replay.set_defaults(command=_replay)


def _replay(args: argparse.Namespace) -> int:
    from gymbal_runtime.assembly import make_safeguard, read_deciders
    from gymbal_runtime.decision_reader import LogReader
    from gymbal_runtime.replay import replay
    from gymbal_runtime.replay_picture import picture
    from gymbal_runtime.replay_report import report

    settings = flags.settings_of(args, flags.policy_tables(args), host_needed=False)
    reader = LogReader(args.log)
    deciders = read_deciders(settings.policy)
    result = replay(reader, deciders, settings.policy, make_safeguard(settings.guard))
    if not result.num_decisions:
        why = (
            ", ".join(f"{name} {count}" for name, count in reader.skipped.items()) or "it is empty"
        )
        raise ValueError(f"{args.log}: no record to replay ({why}); log with --log-telemetry full")
    print(report(result, reader.skipped, args.markdown))
    if args.svg is not None:
        args.svg.write_text(picture(result), encoding="utf-8")
    return 0
