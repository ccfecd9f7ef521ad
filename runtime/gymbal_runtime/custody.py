"""What was found and what was changed, so that it can be put back."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import numpy as np

from gymbal_runtime.command import FIELDS, Command
from gymbal_runtime.json_numbers import JsonNumber, json_number
from gymbal_runtime.telemetry import UNBOUNDED_FIELDS, Telemetry

FOUND_IN = {
    "balloon_bytes": "actual_bytes",
    "llc_class": "llc_class",
    "llc_units": "llc_units_held",
    "cpu_weight": "cpu_weight",
    "cpu_cap_cores": "cpu_cap_cores",
    "device_mode": "device_mode",
    "monitor_level": "monitor_level",
}
"""Field of a command to the field of telemetry that says how things stand."""


class State(msgspec.Struct, forbid_unknown_fields=True):
    """The state file."""

    host: str
    found: dict[str, dict[str, JsonNumber]]  # field of a command -> VM name -> value before


class Custody:
    """Remembers how each VM was found before it was first told anything.

    Args:
        host: name of the host, so that another host's state is never put back on this one.
        path: where to keep it, so that it outlives the process; None keeps it in memory.
    """

    def __init__(self, host: str, path: Path | None = None) -> None:
        self._host = host
        self._path = path
        self._found: dict[str, dict[str, JsonNumber]] = {}

    def load(self) -> None:
        """Take over what a process found that did not put it back; nothing where there is none.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not the state of this host; it is then as if there were none.
        """
        if self._path is None or not self._path.exists():
            return
        try:
            state = msgspec.json.decode(self._path.read_bytes(), type=State)
        except msgspec.MsgspecError as error:
            raise ValueError(f"{self._path} is damaged and not used: {error}") from error
        if state.host != self._host or not set(state.found) <= set(FOUND_IN):
            raise ValueError(f"{self._path} is of host {state.host!r} and not used")
        self._found = state.found

    def note(self, command: Command, telemetry: Telemetry, names: tuple[str, ...]) -> None:
        """Remember how things stand that this command will change; what is known stays.

        VMs that have left are forgotten: one of the same name would be another.

        Raises:
            OSError: the state file cannot be written; it is remembered all the same.
        """
        changed = self.forget_absent(names)
        for field, values in command.given.items():
            now = getattr(telemetry, FOUND_IN[field])[0]
            known = self._found.setdefault(field, {})
            for slot in np.flatnonzero(telemetry.present[0] & ~np.isnan(values[0])):
                value = json_number(now[slot])
                is_known = np.isfinite(now[slot]) or field in UNBOUNDED_FIELDS
                if names[slot] not in known and is_known and value is not None:
                    known[names[slot]] = value
                    changed = True
        if changed:
            self._save()

    def forget_absent(self, names: tuple[str, ...]) -> bool:
        """Forget VMs that have left; says whether there were any."""
        here = set(names)
        if all(known.keys() <= here for known in self._found.values()):
            return False
        self._found = {
            field: {name: value for name, value in known.items() if name in here}
            for field, known in self._found.items()
        }
        return True

    def command(self, telemetry: Telemetry, names: tuple[str, ...]) -> Command:
        """The command that puts everything back."""
        values = {
            field: np.array([[known.get(name, np.nan) for name in names]], dtype=np.float64)
            for field, known in self._found.items()
            if known
        }
        nothing = Command.no_change(1, telemetry.num_vms)
        return Command(**{**{f: getattr(nothing, f) for f in FIELDS}, **values})

    def clear(self) -> None:
        """Everything is as it was: forget it, and the file."""
        self._found = {}
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _save(self) -> None:
        if self._path is None:
            return
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        partial.write_bytes(msgspec.json.encode(State(host=self._host, found=self._found)))
        partial.replace(self._path)
