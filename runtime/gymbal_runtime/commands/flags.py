"""Flags that several commands share, and how they become settings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gymbal_runtime.settings import Settings

PAIRS: dict[str, Any] = {"action": "append", "default": []}


def add_policy_flags(parser: argparse.ArgumentParser) -> None:
    """Who decides: one of two."""
    who = parser.add_argument_group("who decides (one of them)").add_mutually_exclusive_group()
    who.add_argument("--bundle", type=Path, metavar="FILE", help="a trained policy")
    who.add_argument("--heuristic", metavar="NAME", help="a heuristic alone, such as meb")
    parser.add_argument(
        "--heuristic-option", metavar="KEY=VALUE", type=pair, help="may be repeated", **PAIRS
    )
    parser.add_argument("--deadline", type=seconds, metavar="S", help=_DEADLINE)
    parser.add_argument("--fresh", type=seconds, metavar="S", help=_FRESH)


def add_guard_flag(parser: argparse.ArgumentParser) -> None:
    """Limits of decisions."""
    parser.add_argument("--guard", metavar="LIMIT=VALUE", type=pair, help=_GUARD, **PAIRS)


def add_config_flag(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """The configuration file."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", required=required, help="settings (TOML)"
    )


def policy_tables(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """What `add_policy_flags` and `add_guard_flag` gave, as tables of a configuration file.

    Raises:
        ValueError: an option of a heuristic without a heuristic, or there is no such limit.
    """
    from gymbal_runtime.configuration import ConfigurationError, check_keys
    from gymbal_runtime.settings import GuardSettings

    policy: dict[str, Any] = given(deadline_s=args.deadline, fresh_s=args.fresh)
    if args.bundle is not None:
        if args.heuristic_option:
            raise ValueError("--heuristic-option goes with --heuristic: a bundle brings its own")
        policy |= {"bundle": str(args.bundle), "heuristic": "", "options": {}}
    elif args.heuristic is not None:
        policy |= {"heuristic": args.heuristic, "bundle": "", "options": {}}
    if args.heuristic_option:
        policy["options"] = dict(args.heuristic_option)
    guard = dict(args.guard)
    try:
        check_keys(GuardSettings, guard, "")
    except ConfigurationError as error:
        raise ValueError(f"--guard: {error}") from error
    return {"policy": policy, "guard": guard}


def settings_of(
    args: argparse.Namespace, tables: dict[str, dict[str, Any]], host_needed: bool = True
) -> Settings:
    """The settings of ``--config``, overridden by flags.

    Raises:
        ConfigurationError: there is something wrong with them.
    """
    from gymbal_runtime.configuration import (
        ConfigurationError,
        overlaid,
        parse_settings,
        read_configuration,
    )

    from_file = {} if args.config is None else read_configuration(args.config)
    try:
        return parse_settings(overlaid(from_file, tables), host_needed)
    except ConfigurationError as error:
        if args.config is None:
            raise
        raise ConfigurationError(f"{args.config}: {error}") from error


def given(**values: Any) -> dict[str, Any]:
    """The values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def pair(text: str) -> tuple[str, Any]:
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


def count(text: str) -> int:
    """A whole number, 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {text}")
    return value


def count_or_none(text: str) -> int:
    """A whole number, 0 or more."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more, got {text}")
    return value


def seconds(text: str) -> float:
    """Seconds, 0 or more."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, zero or more, got {text}")
    return value


_DEADLINE = "the policy's time to answer; later answers are not used (default 0.1 s)"
_FRESH = "older telemetry is left to the heuristic (default 15 s)"
_GUARD = (
    "max_change_frac (default 10), dead_band_frac (0.01), max_age_s (30), protect (true), "
    "headroom_frac (0.1), swap_in_rate (1MiB), psi_some_frac (0.2) or shrink_first (true); may be "
    "repeated. Telemetry older than max_age_s gets no decision at all."
)
