"""``gymbal-control inspect``: what is in a policy bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the command to a parser's."""
    inspect = commands.add_parser("inspect", help="check a policy bundle and show what it holds")
    inspect.add_argument("bundle", type=Path, metavar="FILE")
    inspect.set_defaults(command=_inspect)


def _inspect(args: argparse.Namespace) -> int:
    from gymbal_runtime.bundle import read_bundle
    from gymbal_runtime.inspection import description

    print(description(read_bundle(args.bundle)))
    return 0
