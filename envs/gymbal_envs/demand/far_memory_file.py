"""Files of measured slowdowns: run times of programs with a part of their memory far away.

JSON: ``{"workloads": {PROGRAM: {"local_ratio": [...], "slowdown": [...]}}}``; other keys are
ignored. CSV: the columns ``program``, ``local_ratio`` and ``slowdown``, a row a point. Where there
is no ``slowdown`` there is ``runtime_s``, and with it a point at ``local_ratio`` 1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.sheet import CurveError, read_sheet

Floats = NDArray[np.float64]

LOCAL, SLOWDOWN, RUN_TIME = "local_ratio", "slowdown", "runtime_s"


@dataclass(frozen=True, eq=False)
class SlowdownPoints:
    """What was measured of one program.

    Attributes:
        program: its name.
        local_frac: (N,) parts of its memory that were local, 0..1.
        slowdown: (N,) run time over that with all memory local, above 0.
    """

    program: str
    local_frac: Floats
    slowdown: Floats


def read_slowdowns(path: str | Path) -> tuple[SlowdownPoints, ...]:
    """Read a file of measured slowdowns, in the order of the file.

    Args:
        path: a ``.json`` or ``.csv`` file.

    Raises:
        CurveError: the file is not there or breaks the format; names file, place and rule.
    """
    path = Path(path)
    if path.suffix == ".json":
        return _from_json(path)
    if path.suffix == ".csv":
        return _from_csv(path)
    raise CurveError(f"{path}: {path.suffix or 'no suffix'!r} is no known format; give .json, .csv")


def _from_json(path: Path) -> tuple[SlowdownPoints, ...]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise CurveError(f"{path}: there is no such file") from error
    except ValueError as error:  # not JSON, or not UTF-8
        raise CurveError(f"{path}: not a JSON file in UTF-8: {error}") from error
    workloads = content.get("workloads") if isinstance(content, dict) else None
    if not isinstance(workloads, dict) or not workloads:
        raise CurveError(f"{path}: no key 'workloads' with an entry for each program")
    return tuple(_program(path, name, columns) for name, columns in workloads.items())


def _program(path: Path, name: str, columns: Any) -> SlowdownPoints:
    where = f"{path}: workloads.{name}"
    if not isinstance(columns, dict):
        raise CurveError(f"{where}: must be an object with {LOCAL} and {SLOWDOWN}")
    found: dict[str, Floats] = {}
    for column in (LOCAL, SLOWDOWN, RUN_TIME):
        if column not in columns:
            continue
        try:
            found[column] = np.asarray(columns[column], dtype=np.float64)
        except (TypeError, ValueError):
            raise CurveError(f"{where}.{column}: must be a list of numbers") from None
    return _checked(where, name, found)


def _from_csv(path: Path) -> tuple[SlowdownPoints, ...]:
    sheet = read_sheet(path)
    measured = SLOWDOWN if SLOWDOWN in sheet.columns else RUN_TIME
    sheet.require_columns(("program", LOCAL, measured))
    rows: dict[str, list[int]] = {}
    for index, (_, row) in enumerate(sheet.rows):
        rows.setdefault(row["program"] or "", []).append(index)
    return tuple(
        _checked(
            f"{path}: program {name!r}",
            name,
            {column: sheet.numbers(column, which) for column in (LOCAL, measured)},
        )
        for name, which in rows.items()
    )


def _checked(where: str, name: str, columns: dict[str, Floats]) -> SlowdownPoints:
    """Points in their ranges; slowdowns from run times where they are not given."""
    if LOCAL not in columns:
        raise CurveError(f"{where}: no {LOCAL}")
    measured = columns.get(SLOWDOWN, columns.get(RUN_TIME))
    if measured is None:
        raise CurveError(f"{where}: neither {SLOWDOWN} nor {RUN_TIME}")
    local = columns[LOCAL]
    if local.ndim != 1 or local.shape != measured.shape:
        raise CurveError(f"{where}: {local.size} {LOCAL}s do not go with {measured.size} run times")
    _require(local, (local >= 0) & (local <= 1), f"{where}: {LOCAL} must lie in [0, 1]")
    timed = (measured > 0) & (measured < np.inf)
    _require(measured, timed, f"{where}: run times and slowdowns must be above 0")
    if SLOWDOWN not in columns:
        whole = measured[local == 1.0]
        if whole.size == 0:
            raise CurveError(f"{where}: {RUN_TIME} needs a point at {LOCAL} 1 to compare with")
        measured = measured / whole[0]
    return SlowdownPoints(name, local, measured)


def _require(values: Floats, holds: NDArray[np.bool_], rule: str) -> None:
    if not holds.all():
        raise CurveError(f"{rule}, found {values[~holds][0]:g}")
