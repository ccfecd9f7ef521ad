"""Gymbal's own trace format: a long Parquet table that any data tool can read and write.

One row per VM and instant, ordered by VM: ``vm_id`` int64, ``time_s`` float64 (Unix seconds),
``cores`` and ``memory_bytes`` float64 (provisioned), ``cpu_frac`` and ``active_frac`` float32 (of
the provisioned vCPUs and memory). Name, version, step and repairs are in the key-value metadata of
the file, and so is a checksum: Parquet pages carry none, and a flipped bit must not become
somebody's demand.
"""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gymbal_envs.demand.grid import DEFAULT_MAX_GAP_S, nothing_left
from gymbal_envs.demand.repair import Check, RepairLog, number_checks, screen, time_checks
from gymbal_envs.demand.samples import trace_of_samples
from gymbal_envs.demand.trace import Trace, TraceError

SCHEMA_NAME = "gymbal.trace"
SCHEMA_VERSION = "1"
COLUMNS: dict[str, type[pl.DataType]] = {
    "vm_id": pl.Int64,
    "time_s": pl.Float64,
    "cores": pl.Float64,
    "memory_bytes": pl.Float64,
    "cpu_frac": pl.Float32,
    "active_frac": pl.Float32,
}
_PER_VM = ("vm_id", "cores", "memory_bytes")
_PER_SAMPLE = ("cpu_frac", "active_frac")
_CHECKS = (
    Check("vm_id", "is missing", pl.col("vm_id").is_null()),
    *time_checks("time_s"),
    *(check for name in ("cores", "memory_bytes", *_PER_SAMPLE) for check in number_checks(name)),
    Check(
        "memory_bytes",
        "is zero although the VM uses CPU or memory",
        (pl.col("memory_bytes") == 0) & ((pl.col("cpu_frac") > 0) | (pl.col("active_frac") > 0)),
    ),
    Check(
        "cores",
        "is zero although the VM uses CPU",
        (pl.col("cores") == 0) & (pl.col("cpu_frac") > 0),
    ),
)


def write_parquet(trace: Trace, path: Path) -> None:
    """Write a trace so that ``read_parquet`` gives back exactly the same one.

    The file appears whole or not at all.

    Raises:
        TraceError: the trace holds no sample, or the file cannot be written.
    """
    if not trace.num_vms or not trace.num_samples:
        raise TraceError(f"{path}: trace {trace.name!r} holds no sample; nothing to write")
    if np.unique(trace.vm_id).size < trace.num_vms:
        raise TraceError(f"{path}: trace {trace.name!r} holds a vm_id twice; number its VMs apart")
    if not (math.isfinite(trace.start_s) and math.isfinite(trace.step_s)):
        raise TraceError(f"{path}: trace {trace.name!r} has no finite start_s and step_s")
    columns = {name: np.repeat(getattr(trace, name), trace.num_samples) for name in _PER_VM} | {
        name: getattr(trace, name).ravel() for name in _PER_SAMPLE
    }
    columns["time_s"] = np.tile(
        _instants(trace.start_s, trace.step_s, trace.num_samples), trace.num_vms
    )
    table = pl.DataFrame(columns, schema=COLUMNS)
    metadata = {
        "gymbal_schema": SCHEMA_NAME,
        "gymbal_schema_version": SCHEMA_VERSION,
        "name": trace.name,
        "start_s": repr(float(trace.start_s)),
        "step_s": repr(float(trace.step_s)),
        "repairs": json.dumps(trace.repairs),
        "crc32": _checksum(table),
    }
    partial = path.with_name(path.name + ".partial")
    try:
        table.write_parquet(partial, metadata=metadata)
        partial.replace(path)
    except OSError as error:
        raise TraceError(f"{path}: cannot be written ({error}); choose another place") from error


def read_parquet(
    path: Path, *, repair: bool = False, max_gap_s: float = DEFAULT_MAX_GAP_S
) -> Trace:
    """Read a trace in Gymbal's Parquet format.

    A table written by ``write_parquet`` comes back as it was. One that another tool wrote may have
    its rows in any order, with holes: it is repaired like every other source.

    Args:
        path: the ``.parquet`` file.
        repair: drop rows that cannot be true instead of raising.
        max_gap_s: longest gap that is filled with the sample before it.

    Raises:
        TraceError: naming file, row or metadata key, value and what to do.
    """
    metadata, table = _load(path)
    step_s, start_s = _seconds(path, metadata, "step_s"), metadata.get("start_s")
    if step_s <= 0:
        raise TraceError(f"{path}: metadata 'step_s' is {step_s}; it must be above 0")
    name = metadata.get("name", path.stem)
    before = _earlier_repairs(path, metadata)
    if start_s is not None:
        trace = _as_written(table, name, _seconds(path, metadata, "start_s"), step_s, before)
        if trace is not None:
            return trace
    log = RepairLog()
    rows = screen(table, _CHECKS, source=str(path), log=log, repair=repair)
    if repair and rows.is_empty():
        raise nothing_left(str(path), log)
    trace = trace_of_samples(
        rows,
        name=name,
        source=str(path),
        log=log,
        repair=repair,
        max_gap_s=max_gap_s,
        step_s=step_s,
    )
    return replace(trace, repairs=before + trace.repairs)


def _load(path: Path) -> tuple[dict[str, str], pl.DataFrame]:
    """Read metadata and table, and check that they are what they claim to be."""
    try:
        metadata = pl.read_parquet_metadata(path)
        table = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise TraceError(f"{path}: is no readable Parquet file ({error}); copy it again") from error
    for key, wanted in (("gymbal_schema", SCHEMA_NAME), ("gymbal_schema_version", SCHEMA_VERSION)):
        if metadata.get(key) != wanted:
            raise TraceError(
                f"{path}: metadata {key!r} is {metadata.get(key)!r}, not {wanted!r}; "
                "write the file with write_parquet or scripts/import_trace.py"
            )
    for column, kind in COLUMNS.items():
        found = table.schema.get(column)
        if found != kind:
            raise TraceError(
                f"{path}: column {column!r} must be {kind.__name__}, not "
                f"{found or 'missing'}; docs/traces.md lists the columns"
            )
    table = table.select(list(COLUMNS))
    if metadata.get("crc32", _checksum(table)) != _checksum(table):
        raise TraceError(
            f"{path}: its content does not match its checksum, so it was damaged or edited; "
            "copy or import it again"
        )
    return metadata, table


def _as_written(
    table: pl.DataFrame, name: str, start_s: float, step_s: float, repairs: tuple[str, ...]
) -> Trace | None:
    """Reshape a table that is already a regular trace; None if it needs the repairs."""
    if table.is_empty() or any(column.has_nulls() for column in table):
        return None
    vm_id = table["vm_id"].to_numpy()
    ends = np.flatnonzero(np.diff(vm_id))
    num_samples = int(ends[0]) + 1 if ends.size else vm_id.size
    if vm_id.size % num_samples:
        return None
    cell = {name: table[name].to_numpy().reshape(-1, num_samples) for name in COLUMNS}
    regular = (
        all((cell[name] == cell[name][:, :1]).all() for name in _PER_VM)
        and np.unique(cell["vm_id"][:, 0]).size == cell["vm_id"].shape[0]
        and (cell["time_s"] == _instants(start_s, step_s, num_samples)).all()
        and all(((cell[name] >= 0) & (cell[name] <= 1)).all() for name in _PER_SAMPLE)
        and all((cell[name] > 0).all() for name in ("cores", "memory_bytes"))
    )
    if not regular:
        return None
    per_vm = {name: cell[name][:, 0].copy() for name in _PER_VM}
    per_sample = {name: cell[name] for name in _PER_SAMPLE}
    return Trace(name=name, start_s=start_s, step_s=step_s, repairs=repairs, **per_vm, **per_sample)


def _instants(start_s: float, step_s: float, num_samples: int) -> NDArray[np.float64]:
    """Return the (T,) Unix times of a regular trace."""
    return start_s + step_s * np.arange(num_samples, dtype=np.float64)


def _checksum(table: pl.DataFrame) -> str:
    crc = 0
    for name in COLUMNS:
        crc = zlib.crc32(table[name].to_numpy().tobytes(), crc)
    return f"{crc:08x}"


def _seconds(path: Path, metadata: dict[str, str], key: str) -> float:
    text = metadata.get(key, "")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TraceError(f"{path}: metadata {key!r} is {text!r}; it must be a number of seconds")
    return value


def _earlier_repairs(path: Path, metadata: dict[str, str]) -> tuple[str, ...]:
    try:
        return tuple(str(sentence) for sentence in json.loads(metadata.get("repairs", "[]")))
    except (ValueError, TypeError) as error:
        raise TraceError(f"{path}: metadata 'repairs' must be a JSON list ({error})") from error
