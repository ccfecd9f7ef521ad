"""One decision as one JSON line: what was seen, what was decided, by whom, and why."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from gymbal_runtime.command import Command
from gymbal_runtime.json_numbers import JsonNumber, json_number
from gymbal_runtime.rotating_file import RotatingFile
from gymbal_runtime.telemetry import Telemetry


class Decision(msgspec.Struct, kw_only=True):
    """The record of one step; docs/controller.md describes the fields."""

    time: str  # ISO 8601, UTC, of the start of the step
    step: int  # 0 for the first since the controller started
    mode: str  # observe, advise or act
    host: str
    source: str = "none"  # policy, fallback or none
    reason: str = ""  # why it was not the policy; empty where it was
    targets: dict[str, int | None] = {}  # bytes per VM name; null leaves the VM as it is
    settings: dict[
        str, dict[str, JsonNumber | None]
    ] = {}  # other field -> VM name -> value, likewise
    guard: dict[str, int] = {}  # rule that fired -> number of VMs
    applied: bool = False  # the host accepted the command
    latency_s: float = 0.0  # reading excluded: from telemetry in hand to guarded command
    not_obeyed: dict[str, int] = {}  # field that the host does not obey -> VMs it was meant for
    errors: list[str] = []  # "stage: what happened"
    telemetry: dict[str, float | None] = {}  # summary of the record
    record: Any = msgspec.UNSET  # `gymbal_runtime.record.HostRecord`, where logs hold all of it


class DecisionLog:
    """Appends decisions to a file, or to standard output, a line at a time.

    Args:
        path: file to append to; None is standard output. A full disk costs lines and not the loop.
        max_bytes: size at which the file is moved aside; see `RotatingFile`.
        keep: files moved aside that are kept.
    """

    def __init__(
        self, path: Path | None = None, max_bytes: float | None = None, keep: int = 5
    ) -> None:
        self._file = None if path is None else RotatingFile(path, max_bytes, keep)
        self._encoder = msgspec.json.Encoder()

    def write(self, decision: Decision) -> None:
        """Write one line and flush it.

        Raises:
            OSError: the line could not be written.
        """
        line = self._encoder.encode(decision) + b"\n"
        try:
            if self._file is not None:
                self._file.append(line)
            else:
                sys.stdout.write(line.decode())
                sys.stdout.flush()
        except (OSError, ValueError) as error:
            raise OSError(f"cannot write the decision log: {error}") from error

    def close(self) -> None:
        """Close the file; the next `write` opens it again."""
        if self._file is not None:
            self._file.close()


class SilentLog(DecisionLog):
    """Keeps nothing: whoever asked for the decision has it."""

    def write(self, decision: Decision) -> None:
        """Drop it."""


def described(stage: str, error: Exception) -> str:
    """An error as one entry of a decision's list: where, what kind, what it says."""
    text = " ".join(str(error).split())[:300]
    return f"{stage}: {type(error).__name__}: {text}"


def slot_names(names: Any, num_vms: int) -> tuple[str, ...]:
    """A distinct name for each of V slots, whatever a host says: unnamed ones are ``slot-3``."""
    given = [str(name) for name in tuple(names)[:num_vms]]
    given += [""] * (num_vms - len(given))
    seen: set[str] = set()
    distinct = []
    for slot, name in enumerate(given):
        label = name if name and name not in seen else f"{name or 'slot'}-{slot}"
        seen.add(label)
        distinct.append(label)
    return tuple(distinct)


def targets_by_name(
    command: Command, telemetry: Telemetry, names: tuple[str, ...]
) -> dict[str, int | None]:
    """Target of each present VM of the first host, whole bytes; None where it is left alone."""
    targets = command.balloon_bytes[0]
    return {
        names[slot]: None if np.isnan(targets[slot]) else round(float(targets[slot]))
        for slot in np.flatnonzero(telemetry.present[0])
    }


def settings_by_name(
    command: Command, telemetry: Telemetry, names: tuple[str, ...]
) -> dict[str, dict[str, JsonNumber | None]]:
    """What a command says beside balloon targets, for each present VM of the first host."""
    here = np.flatnonzero(telemetry.present[0])
    return {
        field: {names[slot]: json_number(values[0, slot]) for slot in here}
        for field, values in command.given.items()
        if field != "balloon_bytes"
    }


def telemetry_summary(telemetry: Telemetry) -> dict[str, float | None]:
    """Totals over the present VMs of the first host; what was not measured counts as nothing."""
    present = telemetry.present[0]
    with np.errstate(all="ignore"):
        return {
            "time_s": float(telemetry.time_s[0]),
            "age_s": float(telemetry.age_s[0]),
            "budget_bytes": float(telemetry.budget_bytes[0]),
            "num_vms": int(present.sum()),
            "actual_bytes": _total(telemetry.actual_bytes[0][present]),
            "usable_bytes": _total(telemetry.usable_bytes[0][present]),
            "swap_in_rate": _total(telemetry.swap_in_rate[0][present]),
            "major_fault_rate": _total(telemetry.major_fault_rate[0][present]),
            "psi_some_frac_max": float(np.nan_to_num(telemetry.psi_some_frac[0][present]).max())
            if present.any()
            else None,
        }


def _total(values: Any) -> float:
    return float(np.nansum(values))
