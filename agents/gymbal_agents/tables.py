"""The report's tables: made once, shown as Markdown, HTML and on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rich.box
import rich.table

from gymbal_agents.charts import row_label
from gymbal_agents.statistics import Estimate
from gymbal_agents.summary import PERCENT, Line, Summary

_UNITS = {
    "reward": ("reward", 1.0, "{:.4f}"),
    "progress_lost": ("progress lost, %", PERCENT, "{:.2f}"),
    "balloon_traffic": ("balloon traffic, % of host/decision", PERCENT, "{:.2f}"),
    "processes_killed": ("processes killed, %", PERCENT, "{:.3f}"),
    "cache_moved": ("cache moved, %/decision", PERCENT, "{:.2f}"),
    "lost_to_memory": ("lost to memory, %", PERCENT, "{:.2f}"),
    "lost_to_cache": ("lost to the cache, %", PERCENT, "{:.2f}"),
    "lost_to_io": ("lost to devices, %", PERCENT, "{:.2f}"),
    "lost_to_monitors": ("lost to monitors, %", PERCENT, "{:.2f}"),
    "swap_in_bytes_s": ("swap-in, MB/s", 1e-6, "{:.1f}"),
    "swap_out_bytes_s": ("swap-out, MB/s", 1e-6, "{:.1f}"),
    "network_traffic": ("network, % of memory/decision", PERCENT, "{:.3f}"),
    "memory_set_aside": ("set aside, % of memory", PERCENT, "{:.3f}"),
    "move_downtime_s": ("paused by moves, VM ms", 1e3, "{:.1f}"),
    "far_traffic": ("far pages, % of memory/decision", PERCENT, "{:.3f}"),
    "move_traffic": ("moves and clones, % of memory/decision", PERCENT, "{:.3f}"),
    "memory_lent": ("lent, % of memory", PERCENT, "{:.2f}"),
    "moves_begun": ("moves and clones begun", 1.0, "{:.3f}"),
    "orders_refused": ("orders refused", 1.0, "{:.3f}"),
    "energy": ("energy, % of peak", PERCENT, "{:.2f}"),
    "migration_traffic": ("moves, % of memory/decision", PERCENT, "{:.3f}"),
    "hosts_full": ("hosts full, % of their time", PERCENT, "{:.2f}"),
    "moving_loss": ("lost to moves, % of wanted", PERCENT, "{:.3f}"),
    "energy_kwh": ("kWh/episode", 1.0, "{:.2f}"),
    "slatah": ("SLATAH, %", PERCENT, "{:.2f}"),
    "pdm": ("PDM, %", PERCENT, "{:.3f}"),
    "slav": ("SLAV, 1e-6", 1e6, "{:.3f}"),
    "esv": ("ESV, 1e-6 kWh", 1e6, "{:.2f}"),
    "migrations": ("migrations/episode", 1.0, "{:.0f}"),
    "active_hosts": ("hosts with VMs", 1.0, "{:.1f}"),
    "wakes": ("wakes/episode", 1.0, "{:.1f}"),
    "downtime_s": ("paused by moves, VM s/episode", 1.0, "{:.1f}"),
    "downtime": ("paused by moves, %", PERCENT, "{:.3f}"),
    "degradation": ("slowed by moves, %", PERCENT, "{:.2f}"),
    "wan_traffic": ("line used by copies, %", PERCENT, "{:.1f}"),
    "away": ("worth lost at the wrong site, %", PERCENT, "{:.2f}"),
    "lost_to_replication": ("slowed by replicated writes, %", PERCENT, "{:.2f}"),
    "lost_to_copying": ("by copying, %", PERCENT, "{:.2f}"),
    "lost_to_hashing": ("by redundancy elimination, %", PERCENT, "{:.2f}"),
    "arrived": ("arrived, % of VMs and time", PERCENT, "{:.1f}"),
    "disk_bytes_s": ("disk, MB/s", 1e-6, "{:.2f}"),
    "memory_bytes_s": ("memory, MB/s", 1e-6, "{:.2f}"),
    "refused": ("orders refused", 1.0, "{:.3f}"),
    "waited_s": ("without a host, VM s/episode", 1.0, "{:.0f}"),
    "slowdown": ("slowdown, %", PERCENT, "{:.2f}"),
    "waiting": ("lost without a host, %", PERCENT, "{:.2f}"),
    "hosts_on": ("hosts on, %", PERCENT, "{:.1f}"),
    "slowdown_hosts": ("slowdown x hosts on, %", PERCENT, "{:.3f}"),
    "lost_to_waking": ("lost to waiting for cores, %", PERCENT, "{:.2f}"),
    "wait_s": ("wait for a host, s/VM", 1.0, "{:.0f}"),
}


@dataclass(frozen=True)
class Table:
    """A table of strings.

    Attributes:
        title: what it shows.
        note: how to read it.
        header: of the columns; the first is the row's name.
        rows: cells.
        strong: names of rows that stand out.
    """

    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: frozenset[str] = frozenset()

    def markdown(self) -> str:
        """As a Markdown table without its title."""
        align = ["---", *["---:"] * (len(self.header) - 1)]
        body = [
            [
                f"**{cell}**" if k == 0 and cell in self.strong else cell
                for k, cell in enumerate(row)
            ]
            for row in self.rows
        ]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in (self.header, align, *body))

    def terminal(self) -> rich.table.Table:
        """As a table that `rich` prints."""
        table = rich.table.Table(
            title=self.title,
            title_justify="left",
            caption=self.note,
            caption_justify="left",
            box=rich.box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, 1, 0, 0),  # a standing fits 80 columns
        )
        for k, name in enumerate(self.header):
            table.add_column(name, justify="left" if k == 0 else "right")
        for row in self.rows:
            table.add_row(*row, style="bold" if row[0] in self.strong else None)
        return table


def standing_table(summary: Summary) -> Table:
    """Who is how good."""
    rows = tuple(
        (
            row_label(line),
            interval(line.cost),
            interval(line.cost_iqm),
            "-" if line.gap_closed is None else interval(line.gap_closed.scaled(PERCENT), "{:.0f}"),
            {True: "yes", False: "no", None: "-"}[line.beats_every_heuristic],
        )
        for line in summary.lines
    )
    note = (
        f"Cost in percent of an interval over the {summary.shared} scenarios that everybody "
        "played, less is better. IQM: mean of the middle half of the scenarios. "
    )
    if summary.best_heuristic is not None and summary.oracle is not None:
        note += (
            f"Gap: share of the gap between {summary.best_heuristic} (best heuristic, 0) and "
            f"{summary.oracle} (100) that is closed. Beats all: better than every heuristic "
            "beyond doubt, by the next table. "
        )
    return Table(
        title="Standing",
        note=f"{note}Brackets: 95 % bootstrap intervals.",
        header=("agent", "cost, %", "IQM, %", "gap closed, %", "beats all"),
        rows=rows,
        strong=_strong(summary.lines),
    )


def gains_table(summary: Summary) -> Table:
    """What policies (teams, not their members) and oracles save against each heuristic."""
    ours = [line for line in summary.whole_lines if line.kind != "heuristic"] or [summary.subject]
    heuristics = [line.name for line in summary.lines if line.kind == "heuristic"]
    rows = tuple(
        (
            name,
            *(
                interval(line.gains[name], "{:+.2f}") if name in line.gains else "-"
                for line in ours
            ),
        )
        for name in heuristics
    )
    played = ", ".join(f"{row_label(line)} {line.num_scenarios}" for line in ours)
    return Table(
        title="Gains, pair by pair",
        note=(
            "Cost saved against each heuristic (row), in percentage points, over all scenarios "
            f"that both played ({played}). An interval above 0: better beyond reasonable doubt."
        ),
        header=("against", *(row_label(line) for line in ours)),
        rows=rows,
    )


def measures_table(summary: Summary) -> Table:
    """Every measure of every agent."""
    names = list(summary.lines[0].measures)
    units = [_UNITS[name] for name in names]
    rows = tuple(
        (
            row_label(line),
            *(
                form.format(factor * line.measures[name])
                for name, (_, factor, form) in zip(names, units, strict=True)
            ),
        )
        for line in summary.lines
    )
    return Table(
        title="Measures",
        note=(
            "Means per decision, unless the column says otherwise. Losses and kills are weighted "
            "by the VMs' shares."
        ),
        header=("agent", *(title for title, _, _ in units)),
        rows=rows,
        strong=_strong(summary.lines),
    )


def groups_table(summary: Summary, shown: Sequence[Line]) -> Table:
    """Gains over the best heuristic by groups of scenarios."""
    rows = tuple(
        (
            f"{group.kind} {group.label}",
            str(group.num_scenarios),
            interval(group.cost),
            *(
                interval(group.gains[line.name], "{:+.2f}") if line.name in group.gains else "-"
                for line in shown
            ),
        )
        for group in summary.groups
    )
    best = summary.best_heuristic
    kinds = dict.fromkeys(group.kind for group in summary.groups)
    return Table(
        title=f"By {' and by '.join(kinds)}",
        note=f"Cost of {best}, and what others save against it there, in percentage points.",
        header=("scenarios", "n", f"{best}, %", *(row_label(line) for line in shown)),
        rows=rows,
    )


def interval(estimate: Estimate, form: str = "{:.2f}") -> str:
    """``value [low, high]``, without the brackets where the interval is unknown."""
    value = form.format(estimate.value)
    if np.isnan(estimate.low):
        return value
    return f"{value} [{form.format(estimate.low)}, {form.format(estimate.high)}]"


def verdicts(summary: Summary) -> list[str]:
    """One sentence per policy: is it better than every heuristic, and how near to the oracle."""
    sentences = []
    for line in summary.lines:
        if line.kind != "policy" or not line.gains:
            continue
        worse = [name for name, gain in line.gains.items() if not gain.above_zero]
        said = (
            f"better than each of the {len(line.gains)} heuristics"
            if not worse
            else f"not shown to be better than {', '.join(worse)}"
        )
        said = f"{row_label(line)} is {said} on {line.num_scenarios} scenarios"
        if line.gap_closed is not None:
            share = interval(line.gap_closed.scaled(PERCENT), "{:.0f}")
            said += f"; it closes {share} % of the gap from {summary.best_heuristic} to "
            said += f"{summary.oracle}"
        sentences.append(said + ".")
    return sentences


def _strong(lines: Sequence[Line]) -> frozenset[str]:
    return frozenset(row_label(line) for line in lines if line.kind == "policy")
