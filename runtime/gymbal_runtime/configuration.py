"""Reading a configuration file: every mistake is an error that says where and what instead."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

from gymbal_runtime.settings import Section, Settings


class ConfigurationError(ValueError):
    """A configuration that cannot be used; the message names the place."""


def read_configuration(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, not yet checked.

    Raises:
        ConfigurationError: the file cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from error


def overlaid(tables: Mapping[str, Any], flags: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Tables in which the command line's values, by section and field, replace the file's."""
    merged = dict(tables)
    for section, values in flags.items():
        if values:
            given = merged.get(section, {})
            merged[section] = {**given, **values} if isinstance(given, dict) else given
    return merged


def parse_settings(tables: Mapping[str, Any], host_needed: bool = True) -> Settings:
    """The settings in these tables.

    Args:
        tables: as in a file.
        host_needed: refuse settings that name no host.

    Raises:
        ConfigurationError: listing every unknown key with the nearest known one; or the first value
            of a wrong type or out of range.
    """
    unknown = _unknown_keys(tables, Settings, "")
    if unknown:
        raise ConfigurationError("; ".join(unknown))
    try:
        settings = msgspec.convert(tables, Settings)
    except msgspec.ValidationError as error:
        raise ConfigurationError(_placed(str(error), tables)) from error
    _check(settings, host_needed)
    return settings


def check_keys(section: type[Section], values: Mapping[str, Any], where: str) -> None:
    """Refuse keys that a section does not have.

    Raises:
        ConfigurationError: naming them and those that there are.
    """
    unknown = _unknown_keys(values, section, where)
    if unknown:
        raise ConfigurationError("; ".join(unknown))


def _unknown_keys(table: Any, section: type[Section], where: str) -> list[str]:
    """A sentence for every key, at any depth, that the section's fields do not have."""
    if not isinstance(table, Mapping):
        return []  # the wrong type is msgspec's to report
    fields = {field.name: field.type for field in msgspec.structs.fields(section)}
    found = []
    for key, value in table.items():
        place = f"{where}.{key}" if where else str(key)
        if key not in fields:
            nearest = difflib.get_close_matches(key, fields, n=1, cutoff=0.5)
            instead = (
                f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(fields)}"
            )
            found.append(f"unknown key {place!r}: {instead}")
            continue
        inner = _section_in(fields[key])
        if inner is None:
            continue
        if isinstance(value, list):
            for number, entry in enumerate(value):
                found += _unknown_keys(entry, inner, f"{place}[{number}]")
        else:
            found += _unknown_keys(value, inner, place)
    return found


def _section_in(kind: Any) -> type[Section] | None:
    """The section that a field holds, alone or in a list."""
    candidates = (kind, *get_args(kind))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, Section)), None)


def _placed(message: str, tables: Mapping[str, Any]) -> str:
    """A message of msgspec with the place first and the value last, in the file's own terms."""
    text, _, path = message.rpartition(" - at `$")
    place = path.rstrip("`").lstrip(".")
    text = text.replace("`object`", "a table").replace("`array`", "a list")
    value: Any = tables
    for step in re.findall(r"\w+", place):
        value = value[int(step)] if isinstance(value, list) else value[step]
    given = "" if isinstance(value, dict | list) else f", got {value!r}"
    return f"{place}: {text}{given}" if text else message


def _check(settings: Settings, host_needed: bool) -> None:
    """What no single field can tell."""
    policy, control = settings.policy, settings.control
    if host_needed and not settings.host.kind:
        raise ConfigurationError("host.kind is missing: which kind of host? (or --host)")
    if bool(policy.bundle) == bool(policy.heuristic):
        raise ConfigurationError("policy needs either a bundle or a heuristic, and not both")
    if policy.bundle and policy.options:
        raise ConfigurationError("policy.options goes with a heuristic: a bundle brings its own")
    if control.state_file and control.on_exit != "restore":
        raise ConfigurationError("control.state_file goes with on_exit = 'restore'")
    if settings.log.max_size is not None and not settings.log.file:
        raise ConfigurationError("log.max_size goes with log.file")
