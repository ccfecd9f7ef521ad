"""Measured live migrations against the simulator's: QEMU, two guests.

    python benchmarks/migration_runs.py      # one line per run

Read from ``<repo>/../shared/data``, which is not part of the project; a part that is not there is
left out. Errors are relative; every run counts the same.

``live_migration`` (PostgreSQL under YCSB, 8 GiB, 100 migrations by 10 methods; bachelor's thesis of
2026, MIT). What is known of a VM is fitted on *pre-copy runs 1 to 5* of its load, with
`gymbal_envs.demand.migration_fit`: dirty groups and bytes of the first pass, of the two endless
ones from the first minute alone. Runs 1 to 5 also tell the rate reached (of a cap of 128 MiB/s),
and how fast the last copy is. From *runs 1 to 5 of plain post-copy* come: what is not zero when a
migration begins, how fast post-copy pushes, and when it takes over when told to at once. Everything
else is predicted: runs 6 to 10 of these, all runs of the other methods under the same load. When
the load ends is taken from the log where migrations do not end before.

``qemu_lab`` (our own, TCG): a program writes random pages of a known range at a known rate, so
nothing is fitted. Constants of the guest: pages that are not zero (33573, what post-copy sends,
which sends each once), and from *the two runs without writes* 34 pages that the guest itself writes
all the time, 0.12 s of set-up and the speed of the loop-back. The program's own table of page
versions (16 pages for 64 MB) is a second group. It is paced by a clock and needs little CPU:
auto-converge does not slow it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gymbal_envs.demand.migration_fit import MeasuredVm, grown_bytes, measure_vm
from gymbal_envs.demand.migration_log import log_of
from gymbal_envs.simulator.cluster.migration_prediction import (
    DirtyGroup,
    Prediction,
    predict_migration,
)
from gymbal_envs.simulator.cluster.migration_rules import RULES, MigrationRule
from gymbal_envs.simulator.params import GIB, MIB

DATA = Path(__file__).resolve().parents[2] / "shared/data"
LIVE, LAB = DATA / "live_migration", DATA / "qemu_lab/migration.csv"
FITTED, OTHERS = range(1, 6), range(6, 11)
ALL = range(1, 11)
FIRST_MINUTE_S = 60.0
NEVER_S = 200.0  # as long as we watch a migration that does not end
NEAR_S = 3.0  # of the end of the load: that ended the migration
PAGE = 4096.0


@dataclass(frozen=True)
class Compared:
    """One run: measured and predicted seconds and bytes."""

    what: str
    run: str
    measured_s: float
    measured_bytes: float
    found: Prediction
    measured_downtime_s: float
    endless: bool = False  # did not end before its load did, or when it was given up
    predicted_endless: bool = False

    @property
    def time_error(self) -> float:
        """Relative, signed."""
        return self.found.total_s / self.measured_s - 1.0

    @property
    def bytes_error(self) -> float:
        """Relative, signed."""
        return self.found.sent_bytes / self.measured_bytes - 1.0


class LiveRuns:
    """The folder ``live_migration``."""

    def __init__(self) -> None:
        self.runs = pl.read_csv(LIVE / "evaluation_runs.csv.gz", infer_schema_length=1000)
        self.polls = pl.read_parquet(LIVE / "mig_stats.parquet")

    def run(self, scenario: str, run: int) -> dict[str, Any]:
        """Row of one run."""
        chosen = (pl.col("scenario") == scenario) & (pl.col("run") == run)
        return self.runs.filter(chosen).row(0, named=True)

    def mean(self, scenario: str, column: str) -> float:
        """Mean over runs 1 to 5."""
        return float(np.mean([self.run(scenario, run)[column] for run in FITTED]))

    def measured(self, scenario: str, until_s: float, rule: MigrationRule) -> MeasuredVm:
        """The VM as runs 1 to 5 show it."""
        chosen = self.polls.filter(
            (pl.col("scenario") == scenario) & pl.col("run").is_in(list(FITTED))
        )
        logs = [log_of(part).until(until_s) for part in chosen.partition_by("run")]
        return measure_vm(logs, rule, float(chosen["ram_total_B"].drop_nulls()[0]))

    def rule(self, precopy: str, postcopy: str) -> MigrationRule:
        """QEMU's, at the rates that were reached."""
        rate = self.mean(precopy, "median_active_transfer_mib_s") * MIB
        last_copy = self.mean(precopy, "downtime_transferred_gib") * GIB
        return replace(
            RULES["qemu"], rate_start_bytes_s=rate, rate_max_bytes_s=rate, resume_s=0.0,
            line_rate_bytes_s=last_copy / (self.mean(precopy, "migration_downtime_ms") / 1e3),
            postcopy_after_s=self.mean(postcopy, "precopy_transferred_gib") * GIB / rate,
        )  # fmt: skip

    def pushing(self, postcopy: str, rule: MigrationRule) -> MigrationRule:
        """The same with post-copy, as fast and with as long a hand-over as plain post-copy has."""
        resume_s = self.mean(postcopy, "migration_downtime_ms") / 1e3
        took_s = self.mean(postcopy, "migration_duration_qmp_s") - rule.postcopy_after_s - resume_s
        pushed = self.mean(postcopy, "postcopy_transferred_gib") * GIB
        return replace(rule, method="hybrid", resume_s=resume_s, line_rate_bytes_s=pushed / took_s)

    def compare(
        self, scenario: str, runs: range, predict: Callable[[dict[str, Any]], Prediction],
        predicted_endless: bool = False,
    ) -> Iterator[Compared]:  # fmt: skip
        """Measured and predicted, run after run."""
        for number in runs:
            row = self.run(scenario, number)
            yield Compared(
                scenario, str(number), row["migration_duration_qmp_s"],
                row["total_transferred_gib"] * GIB, predict(row), paused_s(row),
                abs(row["migration_end_minus_benchmark_end_s"]) < NEAR_S, predicted_endless,
            )  # fmt: skip


def paused_s(row: dict[str, Any]) -> float:
    """Downtime; QEMU's own does not count a pause that came before it was told to migrate."""
    if row["kind"] == "stop_copy":
        return float(row["service_interruption_s"])
    return float(row["migration_downtime_ms"]) / 1e3


def load_end_s(row: dict[str, Any]) -> float:
    """When the benchmark ended, in seconds of the migration."""
    return row["migration_duration_qmp_s"] - row["migration_end_minus_benchmark_end_s"]


@cache
def live_migrations() -> list[Compared]:
    """All of ``live_migration`` that nothing was fitted on; empty without the folder."""
    if not LIVE.exists():
        return []
    live = LiveRuns()
    return [
        *with_four_clients(live),
        *with_sixteen_clients(live),
        *without_end(live, "Precopy_Nonconvergent_OnlyReads_16T", "Postcopy_16T"),
    ]


def with_four_clients(live: LiveRuns) -> Iterator[Compared]:
    """Pre-copy that converges; stop-and-copy and post-copy of the same VM."""
    rule = live.rule("Precopy_Convergent", "Postcopy_4T")
    vm = live.measured("Precopy_Convergent", np.inf, rule)
    start = live.mean("Postcopy_4T", "total_transferred_gib") * GIB
    at_start = replace(vm, first_pass_bytes=start)
    post = live.pushing("Postcopy_4T", rule)
    stop = replace(rule, method="stop_and_copy")

    def plain(rule: MigrationRule, vm: MeasuredVm) -> Callable[[dict[str, Any]], Prediction]:
        return lambda row: vm.predict(rule, np.inf)

    yield from live.compare("Precopy_Convergent", OTHERS, plain(rule, vm))
    yield from live.compare("Stop_Copy_4T", ALL, plain(stop, at_start))
    yield from live.compare("Postcopy_4T", OTHERS, plain(post, at_start))


def with_sixteen_clients(live: LiveRuns) -> Iterator[Compared]:
    """Pre-copy that does not converge, and all that was tried against it."""
    yield from without_end(live, "Precopy_Nonconvergent_16T", "Postcopy_16T")
    rule = live.rule("Precopy_Nonconvergent_16T", "Postcopy_16T")
    vm = live.measured("Precopy_Nonconvergent_16T", FIRST_MINUTE_S, rule)
    slowed = replace(rule, auto_converge=True)
    yield from live.compare("Autoconverge_16T", ALL, lambda row: vm.predict(slowed, np.inf))
    rate = rule.rate_max_bytes_s
    start = live.mean("Postcopy_16T", "total_transferred_gib") * GIB
    growth = 2.0 * rate * (1.0 - start / vm.first_pass_bytes)
    post = live.pushing("Postcopy_16T", rule)

    def late(row: dict[str, Any]) -> Prediction:
        """The switch after so many seconds; the VM fills zero pages until then."""
        after_s = max(row["postcopy_delay_s"] or 0.0, rule.postcopy_after_s)
        first = grown_bytes(start, growth, rate, after_s)
        at_switch = replace(vm, first_pass_bytes=first)
        return at_switch.predict(replace(post, postcopy_after_s=after_s), np.inf)

    yield from live.compare("Postcopy_16T", OTHERS, late)
    for delay in (5, 25, 40):
        yield from live.compare(f"Postcopy_Late_16T_{delay}s", ALL, late)


def without_end(live: LiveRuns, scenario: str, postcopy: str) -> Iterator[Compared]:
    """Pre-copy that ends when its load does."""
    rule = live.rule(scenario, postcopy)
    vm = live.measured(scenario, FIRST_MINUTE_S, rule)
    never = not vm.predict(rule, np.inf, until_s=NEVER_S).converged
    yield from live.compare(
        scenario, OTHERS, lambda row: vm.predict(rule, np.inf, quiet_after_s=load_end_s(row)),
        predicted_endless=never,
    )  # fmt: skip


@cache
def lab_migrations() -> list[Compared]:
    """All of ``qemu_lab`` but the two runs without writes; empty without the file."""
    if not LAB.exists():
        return []
    rows = list(pl.read_csv(LAB).iter_rows(named=True))
    quiet = [row for row in rows if row["rate_meas_pps"] == 0]
    setup_s = float(np.mean([row["setup_ms"] for row in quiet])) / 1e3
    fast = max(quiet, key=lambda row: row["bw_mb_s"])
    line = fast["transferred_mb"] * MIB / (fast["total_ms"] / 1e3 - setup_s)
    once = min(row["normal_pages"] for row in rows if row["mode"] == "postcopy")
    slow = min(quiet, key=lambda row: row["bw_mb_s"])
    own_pages = (slow["normal_pages"] - once) / slow["rounds"]
    found = []
    for row in rows:
        if row in quiet:
            continue
        prediction = predict_migration(
            once * PAGE, lab_groups(row, own_pages), lab_rule(row, setup_s, line), line,
            zero_bytes=fast["zero_pages"] * PAGE, until_s=60.0,
        )  # fmt: skip
        cancelled = row["status"] != "completed"
        name = f"{row['rate_meas_pps']:g}/s of {row['hot_mb']} MB at {row['bw_mb_s']} MiB/s"
        found.append(
            Compared(
                row["mode"], f"{name}, {row['downtime_limit_ms']} ms",
                25.0 if cancelled else row["total_ms"] / 1e3,
                np.nan if cancelled else row["transferred_mb"] * MIB,
                prediction, np.nan if cancelled else row["downtime_ms"] / 1e3,
                cancelled, not prediction.converged,
            )
        )  # fmt: skip
    return found


def lab_groups(row: dict[str, Any], own_pages: float) -> list[DirtyGroup]:
    """Random pages, their version words, and what the guest writes by itself."""
    rate, hot = row["rate_meas_pps"], row["hot_mb"] * MIB
    versions = row["ws_mb"] * MIB / PAGE * 4.0
    return [
        DirtyGroup(hot, hot / PAGE / rate),
        DirtyGroup(versions, versions / PAGE / rate),
        DirtyGroup(own_pages * PAGE, 0.02),
    ]


def lab_rule(row: dict[str, Any], setup_s: float, line: float) -> MigrationRule:
    """QEMU's, with the caps of the run; post-copy was ordered after 0.5 s, once after 4 s."""
    cap = min(row["bw_mb_s"] * MIB, line)
    rule = replace(
        RULES["qemu"], rate_start_bytes_s=cap, rate_max_bytes_s=cap, line_rate_bytes_s=line,
        downtime_limit_s=row["downtime_limit_ms"] / 1e3, setup_s=setup_s,
    )  # fmt: skip
    if row["mode"] != "postcopy":
        return rule
    late = row["total_ms"] > 4000
    return replace(rule, method="hybrid", postcopy_after_s=4.0 if late else 0.5)


def main() -> None:
    print("| method | run | s | predicted | GiB | predicted | paused ms | predicted |")
    print("|---|---|---|---|---|---|---|---|")
    for run in (*live_migrations(), *lab_migrations()):
        found = run.found
        cells = (
            run.what, run.run, f"{run.measured_s:.2f}", f"{found.total_s:.2f}",
            f"{run.measured_bytes / GIB:.3f}", f"{found.sent_bytes / GIB:.3f}",
            f"{run.measured_downtime_s * 1e3:.0f}", f"{found.downtime_s * 1e3:.0f}",
        )  # fmt: skip
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
