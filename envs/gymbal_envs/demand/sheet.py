"""CSV files of measurements, and errors that say where in them something is wrong."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class CurveError(ValueError):
    """A file that is not what it should be; the message names file, row, column and rule."""


@dataclass(frozen=True)
class Sheet:
    """The rows of a CSV file, with their line numbers."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str | None]], ...]

    def require_columns(self, columns: tuple[str, ...]) -> None:
        """Name the columns that are missing."""
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise CurveError(f"{self.path}: row 1: no column {', '.join(missing)}")

    def numbers(self, column: str, rows: list[int] | None = None) -> NDArray[np.float64]:
        """Finite, non-negative numbers of the rows with these indices, by default all."""
        index = range(len(self.rows)) if rows is None else rows
        return np.array([self._number(*self.rows[i], column) for i in index])

    def require(
        self,
        column: str,
        holds: NDArray[np.bool_],
        rule: str,
        rows: list[int] | None = None,
        who: str = "",
    ) -> None:
        """Name the first of the rows, by default of all, for which the rule does not hold."""
        if not np.all(holds):
            first = int(np.argmin(holds))
            line, row = self.rows[first if rows is None else rows[first]]
            program = f" ({who})" if who else ""
            raise CurveError(
                f"{self.path}: row {line}, column {column}{program}: {rule}, found {row[column]}"
            )

    def _number(self, line: int, row: dict[str, str | None], column: str) -> float:
        where = f"{self.path}: row {line}, column {column}"
        text = row[column]
        if text is None or not text.strip():
            raise CurveError(f"{where}: the cell is empty")
        try:
            value = float(text)
        except ValueError:
            raise CurveError(f"{where}: must be a number, found {text!r}") from None
        if not math.isfinite(value) or value < 0:
            raise CurveError(f"{where}: must be finite and not negative, found {text!r}")
        return value


def read_sheet(path: Path) -> Sheet:
    """Read a CSV file whose first row names the columns.

    Raises:
        CurveError: It is not there, no CSV file in UTF-8, or holds no row.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            columns = tuple(reader.fieldnames or ())
            # The row's own line number, since the csv module skips blank lines.
            rows = tuple((reader.line_num, row) for row in reader)
    except FileNotFoundError as error:
        raise CurveError(f"{path}: there is no such file or folder") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise CurveError(f"{path}: not a CSV file in UTF-8: {error}") from error
    if not rows:
        raise CurveError(f"{path}: the file is empty: a header and at least two rows are needed")
    return Sheet(path, columns, rows)


def shipped_rows(name: str) -> list[dict[str, str]]:
    """Rows of a table that comes with the package."""
    table = files("gymbal_envs.demand").joinpath("profile_data", name)
    return list(csv.DictReader(table.read_text("utf-8").splitlines()))


def shipped_points(name: str, size: str, misses: str) -> dict[str, NDArray[np.float64]]:
    """Curves of a shipped table by program: (2, S), the columns ``size`` and ``misses``."""
    points: dict[str, list[tuple[float, float]]] = {}
    for row in shipped_rows(name):
        points.setdefault(row["program"], []).append((float(row[size]), float(row[misses])))
    return {program: np.array(pairs).T for program, pairs in points.items()}
