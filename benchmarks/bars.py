"""One published result, and what the simulator makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    bar: str
    what: str
    target: str
    measured: float
    passed: bool
    note: str = ""

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "bar": self.bar,
            "what": self.what,
            "target": self.target,
            "measured": round(float(self.measured), 4),
            "verdict": "pass" if self.passed else "miss",
            "note": self.note,
        }


def print_table(rows: list[Row]) -> None:
    """Rows as a Markdown table."""
    print("| bar | what | target | measured | verdict | note |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        verdict = "pass" if row.passed else "**miss**"
        cells = (row.bar, row.what, row.target, f"{row.measured:.3g}", verdict, row.note)
        print(f"| {' | '.join(cells)} |")


def within(value: float, low: float, high: float) -> bool:
    """Whether a value lies in a closed interval."""
    return bool(low <= value <= high)
