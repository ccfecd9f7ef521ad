"""Open a trace whatever its format: the one function that the rest of Gymbal reads traces with."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from gymbal_envs.demand.grid import DEFAULT_MAX_GAP_S
from gymbal_envs.demand.gwa import SUFFIXES, Track, read_gwa
from gymbal_envs.demand.packed import read_packed
from gymbal_envs.demand.parquet import read_parquet
from gymbal_envs.demand.trace import Trace, TraceError

ACCEPTED = "a .parquet, .npz, .csv or .csv.gz file, or a folder of one CSV per VM"


def open_trace(
    path: str | PathLike[str],
    *,
    repair: bool = False,
    max_gap_s: float = DEFAULT_MAX_GAP_S,
    track: Track = iter,
) -> Trace:
    """Read a trace in any accepted format.

    Args:
        path: Gymbal's Parquet, a packed month (.npz), a GWA-T-12 CSV (.csv, .csv.gz) or a folder
            of CSVs.
        repair: drop rows that cannot be true instead of raising. Small faults (order, duplicates,
            jitter, short gaps) are repaired either way; ``Trace.repairs`` says what was done.
        max_gap_s: longest gap in seconds that is filled with the sample before it.
        track: wraps the list of files of a folder, for a progress bar.

    Raises:
        TraceError: naming file, place, value and what to do.
    """
    path = Path(path)
    if not max_gap_s >= 0:
        raise TraceError(f"max_gap_s is {max_gap_s}; it must be a number of seconds, 0 or more")
    try:
        return _read(path, repair=repair, max_gap_s=max_gap_s, track=track)
    except OSError as error:
        raise TraceError(f"{path}: cannot be read ({error}); check that you may read it") from error


def _read(path: Path, *, repair: bool, max_gap_s: float, track: Track) -> Trace:
    name = path.name.lower()
    if not path.exists():
        raise TraceError(f"{path}: does not exist; a trace is {ACCEPTED}")
    if path.is_dir() or name.endswith(SUFFIXES):
        return read_gwa(path, repair=repair, max_gap_s=max_gap_s, track=track)
    if name.endswith(".npz"):
        return read_packed(path, repair=repair, max_gap_s=max_gap_s)
    if name.endswith(".parquet"):
        return read_parquet(path, repair=repair, max_gap_s=max_gap_s)
    raise TraceError(
        f"{path}: {path.suffix or 'no suffix'!r} is no known format; a trace is {ACCEPTED}"
    )
