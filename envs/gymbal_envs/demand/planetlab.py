"""Reader of the PlanetLab traces that come with CloudSim: CPU of a thousand VMs, one day, 5 min.

CoMon project, ten days of March and April 2011; Beloglazov and Buyya, CCPE 24(13), 2012, table III.
Two forms are read:

- CloudSim's: a folder for each day, in it one file for each VM, in it 288 lines, each a whole
  number of percent of the provisioned CPU;
- packed: an ``.npz`` with ``day`` (N,), ``name`` (N,) and ``cpu_pct`` (N, 288) uint8.

VM i of a simulation runs trace i, so their order matters: of 1,052 VMs the first quarter has five
times the CPU of the last. CloudSim takes a folder's files as the file system lists them.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.trace import TraceError

NUM_SAMPLES = 288
STEP_S = 300.0

Order = Literal["caseless", "name", "listing"]
ORDERS: tuple[Order, ...] = ("caseless", "name", "listing")
"""``caseless``: by upper-case name, as Windows lists a folder, where the widely quoted results of
CloudSim come from. ``name``: by name. ``listing``: as this machine lists the folder, or as packed;
on Linux that is what CloudSim would take on this machine."""


@dataclass(frozen=True)
class PlanetLabDay:
    """CPU of V VMs over a day, in the order in which they were asked for."""

    day: str  # yyyymmdd, or the folder's name
    names: tuple[str, ...]  # (V,)
    cpu_pct: NDArray[np.uint8]  # (V, 288) % of the provisioned CPU, 0..100


def read_planetlab(path: Path, day: str = "", order: Order = "caseless") -> PlanetLabDay:
    """Read one day.

    Args:
        path: an ``.npz``, the folder of one day, or the folder of folders.
        day: which, as yyyymmdd; not needed where there is one only.
        order: of the VMs, one of `ORDERS`.

    Raises:
        TraceError: naming the file, line or field, the value and what to do.
    """
    if order not in ORDERS:
        raise TraceError(f"order is {order!r}; choose one of {', '.join(ORDERS)}")
    if not path.exists():
        raise TraceError(f"{path}: does not exist; give an .npz or a folder of PlanetLab traces")
    found, names, cpu_pct = _read_folder(path, day) if path.is_dir() else _read_npz(path, day)
    _check_range(path, names, cpu_pct)
    rows = list(range(len(names)))
    if order != "listing":
        rows.sort(key=lambda i: (names[i].upper() if order == "caseless" else "", names[i]))
    return PlanetLabDay(found, tuple(names[i] for i in rows), cpu_pct[rows])


def planetlab_days(path: Path) -> tuple[str, ...]:
    """Days of an ``.npz`` or of a folder of folders, in order.

    Raises:
        TraceError: it cannot be read.
    """
    if path.is_dir():
        return tuple(sorted(p.name for p in path.iterdir() if p.is_dir() and _is_shown(p.name)))
    return tuple(sorted(set(_packed(path)["day"].tolist())))


def _read_npz(path: Path, day: str) -> tuple[str, list[str], NDArray[np.uint8]]:
    fields = _packed(path)
    days = fields["day"].astype(str)
    found = _which(path, day, tuple(sorted(set(days.tolist()))))
    mine = days == found
    return found, fields["name"].astype(str)[mine].tolist(), fields["cpu_pct"][mine]


def _packed(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            fields = {name: stored[name] for name in ("day", "name", "cpu_pct")}
    except KeyError as error:
        raise TraceError(f"{path}: {error.args[0]}; pack day, name and cpu_pct") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise TraceError(f"{path}: cannot be read ({error}); copy it again") from error
    count = len(fields["day"]) if fields["day"].ndim == 1 else -1
    for name, shape in (("day", (count,)), ("name", (count,)), ("cpu_pct", (count, NUM_SAMPLES))):
        if count < 0 or fields[name].shape != shape:
            raise TraceError(
                f"{path}: {name} has shape {fields[name].shape}; day and name must be (N,) and "
                f"cpu_pct (N, {NUM_SAMPLES})"
            )
    if not np.issubdtype(fields["cpu_pct"].dtype, np.integer):
        raise TraceError(f"{path}: cpu_pct is {fields['cpu_pct'].dtype}; pack whole percents")
    return fields


def _read_folder(path: Path, day: str) -> tuple[str, list[str], NDArray[np.uint8]]:
    days = planetlab_days(path)
    if days:
        found = _which(path, day, days)
        folder = path / found
    else:
        found, folder = path.name, path
        if day and day != found:
            raise TraceError(f"{path}: holds no folder {day!r}; it is one day itself, drop the day")
    names = [name for name in os.listdir(folder) if _is_shown(name)]  # noqa: PTH208
    if not names:
        raise TraceError(f"{folder}: is empty; give a folder with one file for each VM")
    return found, names, np.stack([_read_file(folder / name) for name in names])


def _is_shown(name: str) -> bool:
    return not name.startswith(".")


def _read_file(path: Path) -> NDArray[np.uint8]:
    try:
        lines = path.read_text(encoding="ascii").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: cannot be read as text ({error}); copy it again") from error
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) != NUM_SAMPLES:
        what = "is truncated" if len(lines) < NUM_SAMPLES else "is too long"
        raise TraceError(
            f"{path}: {what}: it has {len(lines)} lines and must have {NUM_SAMPLES}, one for each "
            "5 minutes of a day; copy it again"
        )
    values = np.empty(NUM_SAMPLES, np.uint8)
    for i, line in enumerate(lines):
        text = line.strip()
        if not (text.isdigit() and int(text) <= 100):
            raise TraceError(
                f"{path}: line {i + 1} is {text[:20]!r}; each must be a whole percentage, 0 to 100"
            )
        values[i] = int(text)
    return values


def _which(path: Path, day: str, days: tuple[str, ...]) -> str:
    if not days:
        raise TraceError(f"{path}: holds no day; copy it again")
    if not day and len(days) == 1:
        return days[0]
    if day not in days:
        wrong = f"day {day!r} is not in it" if day else "a day must be chosen"
        raise TraceError(f"{path}: {wrong}; it holds {', '.join(days)}")
    return day


def _check_range(path: Path, names: list[str], cpu_pct: NDArray[np.uint8]) -> None:
    wrong = np.argwhere((cpu_pct < 0) | (cpu_pct > 100))
    if len(wrong):
        vm, sample = wrong[0]
        raise TraceError(
            f"{path}: cpu_pct of {names[vm]!r} at sample {sample} is {cpu_pct[vm, sample]}; each "
            "must be a percentage, 0 to 100"
        )
