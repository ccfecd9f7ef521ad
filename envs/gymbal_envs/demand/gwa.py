"""Reader of the Grid Workloads Archive format GWA-T-12 (Bitbrains): one CSV per VM.

Source: Shen, van Beek, Iosup, "Statistical Characterization of Business-Critical Workloads Hosted
in Cloud Datacenters", CCGrid 2015; http://gwa.ewi.tudelft.nl/datasets/gwa-t-12-bitbrains. "Memory
usage" is VMware's active memory, a working-set estimate. The header calls the timestamps
milliseconds, the published files hold seconds; both are read.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gymbal_envs.demand.grid import DEFAULT_MAX_GAP_S
from gymbal_envs.demand.repair import Check, RepairLog, number_checks, screen, time_checks
from gymbal_envs.demand.samples import trace_of_samples
from gymbal_envs.demand.trace import Trace, TraceError

TIMESTAMP = "Timestamp [ms]"
CORES = "CPU cores"
CPU_USAGE = "CPU usage [%]"
MEMORY = "Memory capacity provisioned [KB]"
MEMORY_USAGE = "Memory usage [KB]"
NEEDED = (TIMESTAMP, CORES, CPU_USAGE, MEMORY, MEMORY_USAGE)
SUFFIXES = (".csv", ".csv.gz")
KIB = 1024.0  # the format's KB: 8388608 KB is a VM of 8 GiB

_EXTRA = "end of row"
_LATEST_PLAUSIBLE_S = 1e11  # the year 5138; in milliseconds it is 1973
_LONGEST_PLAUSIBLE_STEP_S = 30_000.0  # 8 h; in milliseconds half a minute

Track = Callable[[Sequence[Path]], Iterable[Path]]


def read_gwa(
    path: Path,
    *,
    repair: bool = False,
    max_gap_s: float = DEFAULT_MAX_GAP_S,
    track: Track = iter,
) -> Trace:
    """Read one GWA-T-12 file, or all of a folder, as one trace.

    Args:
        path: ``123.csv``, ``2013-8_100.csv.gz`` or a folder of such; the last number
            is the VM's id.
        repair: drop rows that cannot be true instead of raising.
        max_gap_s: longest gap that is filled with the sample before it.
        track: wraps the list of files, for a progress bar.

    Raises:
        TraceError: naming file, line, column, value and what to do.
    """
    log = RepairLog()
    files = gwa_files(path) if path.is_dir() else {vm_number(path): path}
    frames = [_samples(file, log, repair) for file in track(list(files.values()))]
    name = path.name.removesuffix(".gz").removesuffix(".csv")
    samples = pl.concat(frames)
    return trace_of_samples(
        samples, name=name, source=str(path), log=log, repair=repair, max_gap_s=max_gap_s
    )


def gwa_files(folder: Path) -> dict[int, Path]:
    """Return the CSV files of a folder by VM id, in order of id.

    Raises:
        TraceError: there is none, or two files belong to one VM.
    """
    files: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.name.lower().endswith(SUFFIXES):
            continue
        vm = vm_number(path)
        if vm in files:
            raise TraceError(
                f"{folder}: {files[vm].name} and {path.name} both belong to VM {vm}; "
                "keep one of them, or put each month in a folder of its own"
            )
        files[vm] = path
    if not files:
        inner = [p.name for p in sorted(folder.iterdir()) if p.is_dir()][:3]
        hint = f"; its folders {', '.join(inner)} may be what you want" if inner else ""
        raise TraceError(f"{folder}: holds no file named <number>.csv or <number>.csv.gz{hint}")
    return dict(sorted(files.items()))


def vm_number(path: Path) -> int:
    """Return the last number in a file name, the VM's id: 100 for ``2013-8_100.csv.gz``.

    Raises:
        TraceError: the name does not end in a number.
    """
    stem = re.sub(r"\.csv(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    found = re.search(r"(\d{1,18})$", stem)
    if found is None:
        raise TraceError(
            f"{path}: the file name must end in the VM's number, as in 123.csv; rename it"
        )
    return int(found.group(1))


def _samples(path: Path, log: RepairLog, repair: bool) -> pl.DataFrame:
    """Read one file as samples with columns vm_id, time_s, cores, memory_bytes and fractions."""
    text = _content(path)
    header = _header(path, text)
    rows = _rows(path, text, header)

    def text_of(row: int, column: str) -> str:
        line = text.split(b"\n", row + 2)[row + 1].decode(errors="replace").strip()
        cells = [cell.strip() for cell in line.split(";")]
        return cells[header.index(column)] if len(cells) == len(header) else line[:120]

    rows = screen(
        rows,
        _checks(header),
        source=str(path),
        log=log,
        repair=repair,
        first_line=2,
        text_of=text_of,
    )
    vm = vm_number(path)
    if rows.is_empty():
        if not repair:
            raise TraceError(f"{path}: has a header but no rows; copy it again or remove it")
        log.drop("their file holds no usable row", [vm])
    time = rows[TIMESTAMP].to_numpy()
    # A row without memory has no memory demand, as checked above: 0 / 1 stands in for 0 / 0.
    share = pl.col(MEMORY_USAGE) / pl.when(pl.col(MEMORY) > 0).then(pl.col(MEMORY)).otherwise(1.0)
    return rows.select(
        vm_id=pl.lit(vm, dtype=pl.Int64),
        time_s=pl.col(TIMESTAMP) / (1000.0 if in_milliseconds(time) else 1.0),
        cores=pl.col(CORES),
        memory_bytes=pl.col(MEMORY) * KIB,
        cpu_frac=(pl.col(CPU_USAGE) / 100.0).cast(pl.Float32),
        active_frac=share.cast(pl.Float32),
    )


def in_milliseconds(time: NDArray[np.float64]) -> bool:
    """Tell milliseconds from seconds, which the header does not: by size, else by the median step.

    Args:
        time: (K,) timestamps in file order, since 1970 or since the start of the trace.
    """
    if time.size and np.median(time) > _LATEST_PLAUSIBLE_S:
        return True
    steps = np.diff(np.unique(time))
    return bool(steps.size and np.median(steps) >= _LONGEST_PLAUSIBLE_STEP_S)


def _content(path: Path) -> bytes:
    """Return the text of a plain or compressed file without its blank end."""
    try:
        raw = path.read_bytes()
        text = gzip.decompress(raw) if path.name.lower().endswith(".gz") else raw
    except (OSError, EOFError, zlib.error) as error:
        raise TraceError(f"{path}: cannot be read ({error}); copy it again") from error
    text = text.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
    if not text.strip():
        raise TraceError(f"{path}: is empty; copy it again or remove it")
    return text


def _header(path: Path, text: bytes) -> list[str]:
    first = text.split(b"\n", 1)[0].decode(errors="replace")
    header = [cell.strip() for cell in first.split(";")]
    missing = [name for name in NEEDED if header.count(name) != 1]
    if missing:
        raise TraceError(
            f"{path}: line 1 is not the header of GWA-T-12: column {missing[0]!r} must appear "
            f"once, separated by ';', but the line is {first[:80]!r}"
        )
    return header


def _rows(path: Path, text: bytes, header: list[str]) -> pl.DataFrame:
    """Parse the numbers; null stands for a cell that is missing or no number."""
    # Columns are read by position: an unused name may repeat. One more column catches longer rows,
    # and the last one tells a whole row from a truncated one.
    last, extra = len(header) - 1, len(header)
    index = {header.index(name): name for name in NEEDED}
    index |= {extra: _EXTRA} | ({} if last in index else {last: header[last]})
    kinds = {str(i): pl.Float64 if header[i] in NEEDED else pl.String for i in range(extra)}
    kinds[str(extra)] = pl.String
    body = text.replace(b";\t", b";")
    end_of_header = body.find(b"\n")
    if end_of_header < 0:
        return pl.DataFrame(schema={name: kinds[str(i)] for i, name in index.items()})
    try:
        rows = pl.read_csv(
            ";".join(kinds).encode() + body[end_of_header:],
            separator=";",
            schema=kinds,
            columns=[str(i) for i in sorted(index)],
            quote_char=None,
            encoding="utf8-lossy",
            ignore_errors=True,
            truncate_ragged_lines=True,
        )
    except pl.exceptions.PolarsError as error:
        raise TraceError(f"{path}: is no CSV ({error}); copy it again") from error
    return rows.rename({str(i): name for i, name in index.items()})


def _checks(header: list[str]) -> list[Check]:
    """Return what makes a row impossible, shape first."""
    columns = len(header)
    uses_cpu, uses_memory = pl.col(CPU_USAGE) > 0, pl.col(MEMORY_USAGE) > 0
    checks = [
        Check(
            header[-1], f"is cut off (fewer than {columns} columns)", pl.col(header[-1]).is_null()
        ),
        Check(_EXTRA, f"is too long (more than {columns} columns)", pl.col(_EXTRA).is_not_null()),
    ]
    checks += time_checks(TIMESTAMP)
    for column in NEEDED:
        checks += number_checks(column)
    without = "is zero although the VM uses"
    checks += [
        Check(MEMORY, f"{without} CPU or memory", (pl.col(MEMORY) == 0) & (uses_cpu | uses_memory)),
        Check(CORES, f"{without} CPU", (pl.col(CORES) == 0) & uses_cpu),
    ]
    return checks
