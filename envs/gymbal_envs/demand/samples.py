"""From loose samples, one row per VM and instant, to a regular grid.

Reordered rows, double timestamps and jitter are what monitoring systems produce, so they are always
repaired, and always counted.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gymbal_envs.demand.grid import (
    DEFAULT_MAX_GAP_S,
    Grid,
    covered_window,
    nothing_left,
    trace_of_grid,
)
from gymbal_envs.demand.repair import REPAIR_HINT, RepairLog
from gymbal_envs.demand.trace import Trace, TraceError

# A VM needs this many samples before its own sampling step means anything.
_MIN_SAMPLES_FOR_STEP = 10
# A VM whose step differs from the fleet's by more than this factor was sampled by another clock.
_STEP_TOLERANCE = 1.5
_MOST_SLOTS = 2.0**53  # beyond, a float64 cannot count them
_JITTER_S = 1e-3  # less is rounding of a float timestamp


def trace_of_samples(
    samples: pl.DataFrame,
    *,
    name: str,
    source: str,
    log: RepairLog,
    repair: bool = False,
    max_gap_s: float = DEFAULT_MAX_GAP_S,
    step_s: float | None = None,
) -> Trace:
    """Turn screened samples in any order into a regular trace.

    Args:
        samples: columns vm_id, time_s (Unix seconds), cores, memory_bytes (provisioned), cpu_frac
            and active_frac (of that row's provisioned vCPUs and memory).
        name: name of the trace.
        source: path for messages.
        log: where repairs are counted; its sentences end up in the trace.
        repair: drop VMs sampled by another clock instead of refusing the file.
        max_gap_s: longest gap that is filled with the sample before it.
        step_s: sampling step; None infers the median difference of successive samples.

    Raises:
        TraceError: no VM is left, or the step cannot be told.
    """
    samples = _provisioned(_in_order(samples, log), log)
    if samples.is_empty():
        raise nothing_left(source, log)
    if step_s is None:
        samples, step_s = _common_step(samples, source, log, repair)
    samples = _snapped(samples, step_s, source, log)
    # Taken before the cut: a VM measured only outside the window must be reported, not forgotten.
    fleet = samples.group_by("vm_id").agg(pl.col("cores", "memory_bytes").first()).sort("vm_id")
    samples = _inside_window(samples, source, log, max_gap_s / step_s)
    grid = _grid(samples, fleet, name, step_s)
    return trace_of_grid(grid, source=source, log=log, max_gap_s=max_gap_s)


def _in_order(samples: pl.DataFrame, log: RepairLog) -> pl.DataFrame:
    """Sort by VM and time; of rows with one timestamp keep that with the most memory."""
    vm, time = pl.col("vm_id"), pl.col("time_s")
    late = samples.select((time.diff().over("vm_id") < 0).sum()).item()
    log.add("Rows out of time order, sorted", late)
    samples = samples.sort("vm_id", "time_s", "memory_bytes", maintain_order=True)
    # Bitbrains has months in which a second row of zeros shares the timestamp of the true one.
    again = (vm == vm.shift(-1)) & (time == time.shift(-1))
    return _without(samples, again, "Rows with a duplicated timestamp, most memory kept", log)


def _without(samples: pl.DataFrame, bad: pl.Expr, what: str, log: RepairLog) -> pl.DataFrame:
    kept = samples.filter(~bad.fill_null(False))
    log.add(what, samples.height - kept.height)
    return kept


def _provisioned(samples: pl.DataFrame, log: RepairLog) -> pl.DataFrame:
    """Drop VMs that never had a vCPU or memory; rescale resized ones to their largest size."""
    largest = samples.group_by("vm_id").agg(
        cores_max=pl.col("cores").max(),
        memory_max=pl.col("memory_bytes").max(),
        resized=(pl.col("cores").n_unique() > 1) | (pl.col("memory_bytes").n_unique() > 1),
    )
    absent = (pl.col("cores_max") <= 0) | (pl.col("memory_max") <= 0)
    gone = largest.filter(absent)["vm_id"].sort()
    log.drop("no vCPU or no memory is provisioned", gone.to_list())
    samples = samples.join(largest.filter(~absent), on="vm_id", maintain_order="left")
    resized = largest.filter(~absent & pl.col("resized"))["vm_id"].sort()
    log.add("VMs resized, usage rescaled to their largest size", len(resized), resized.to_list())
    return samples.with_columns(
        cores="cores_max",
        memory_bytes="memory_max",
        provisioned=pl.col("memory_bytes"),
        cpu_frac=pl.col("cpu_frac") * (pl.col("cores") / pl.col("cores_max")),
        active_frac=pl.col("active_frac") * (pl.col("memory_bytes") / pl.col("memory_max")),
    ).drop("cores_max", "memory_max", "resized")


def _common_step(
    samples: pl.DataFrame, source: str, log: RepairLog, repair: bool
) -> tuple[pl.DataFrame, float]:
    """Infer the fleet's step; a VM on another clock would be thinned or padded without a word."""
    gaps = samples.select("vm_id", gap=pl.col("time_s").diff().over("vm_id")).drop_nulls()
    median = gaps["gap"].median()
    if not isinstance(median, float):
        raise TraceError(
            f"{source}: the sampling step cannot be told from one sample per VM; "
            "give a file with at least two"
        )
    own = gaps.group_by("vm_id").agg(step=pl.col("gap").median(), num=pl.len()).sort("vm_id")
    ratio = pl.col("step") / median
    odd = own.filter(
        (pl.col("num") >= _MIN_SAMPLES_FOR_STEP)
        & ((ratio > _STEP_TOLERANCE) | (ratio < 1 / _STEP_TOLERANCE))
    )
    if len(odd) and not repair:
        raise TraceError(
            f"{source}: VM {odd['vm_id'][0]} is sampled every {odd['step'][0]:g} s, the fleet "
            f"every {median:g} s; resample it, remove it, or {REPAIR_HINT} to drop it"
        )
    log.drop("their sampling step differs from the fleet's", odd["vm_id"].to_list())
    samples = samples.join(odd, on="vm_id", how="anti", maintain_order="left")
    return samples, float(round(median)) if median >= 1 else median


def _snapped(samples: pl.DataFrame, step_s: float, source: str, log: RepairLog) -> pl.DataFrame:
    """Move samples to the nearest instant of the grid, its ``slot``; leave one per VM and slot."""
    since = pl.col("time_s") - pl.col("time_s").min()
    span_s = samples.select(since.max()).item()
    if span_s / step_s > _MOST_SLOTS:
        raise TraceError(
            f"{source}: timestamps span {span_s:g} s, too long for a step of {step_s:g} s; "
            "correct the step or remove the outlier"
        )
    samples = samples.with_columns(slot=(since / step_s).round().cast(pl.Int64))
    off = samples.select((since - pl.col("slot") * step_s).abs()).to_series()
    moved = int((off > _JITTER_S).sum())
    if moved:
        log.add(
            f"Samples moved to the {step_s:g} s grid, by at most {off.to_numpy().max():.0f} s",
            moved,
        )
    vm, slot = pl.col("vm_id"), pl.col("slot")
    same = ((vm == vm.shift(-1)) & (slot == slot.shift(-1))).fill_null(False)
    if samples.select(same.any()).item():
        samples = samples.sort("vm_id", "slot", "provisioned", maintain_order=True)
    first_s = pl.col("time_s").min()
    samples = samples.with_columns(time_s=first_s + slot * step_s)
    return _without(samples, same, "Samples sharing an instant of the grid, most memory kept", log)


def _inside_window(
    samples: pl.DataFrame, source: str, log: RepairLog, max_gap: float
) -> pl.DataFrame:
    """Cut far outliers while the samples are sparse: a dense grid up to them would not fit."""
    count = samples.group_by("slot").len().sort("slot")
    first, last = covered_window(
        count["slot"].to_numpy(),
        count["len"].to_numpy().astype(np.int64),
        samples["vm_id"].n_unique(),
        max_gap,
        source=source,
        log=log,
    )
    return samples.filter(pl.col("slot").is_between(first, last))


def _grid(samples: pl.DataFrame, fleet: pl.DataFrame, name: str, step_s: float) -> Grid:
    """Spread samples over an (N, T) grid, NaN where there is none."""
    vm_id = fleet["vm_id"].to_numpy().astype(np.int64)
    slot = samples["slot"].to_numpy()
    first = int(slot.min())
    row = np.searchsorted(vm_id, samples["vm_id"].to_numpy())
    shape = (vm_id.size, int(slot.max()) - first + 1)

    def spread(column: str) -> NDArray[np.float32]:
        values = np.full(shape, np.nan, dtype=np.float32)
        values[row, slot - first] = samples[column].to_numpy()
        return values

    return Grid(
        name=name,
        start_s=float(samples["time_s"].to_numpy().min()),
        step_s=step_s,
        vm_id=vm_id,
        cores=fleet["cores"].to_numpy().astype(np.float64),
        memory_bytes=fleet["memory_bytes"].to_numpy().astype(np.float64),
        cpu_frac=spread("cpu_frac"),
        active_frac=spread("active_frac"),
    )
