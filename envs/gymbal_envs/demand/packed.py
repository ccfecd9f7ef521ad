"""Reader of packed months: all VMs of a Bitbrains month in one ``.npz`` of small integers.

Keys: ``vm_id`` (N,); ``t0_epoch_s``; ``dt_s``; ``cores`` (N,); ``mem_cap_kb`` (N,);
``cpu_pct_x100`` (N, T) uint16, CPU usage in percent of the provisioned vCPUs times 100;
``mem_frac_x50000`` (N, T) uint16, active memory as a share of ``mem_cap_kb`` times 50000. 65535
means missing.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.grid import DEFAULT_MAX_GAP_S, Grid, trace_of_grid
from gymbal_envs.demand.gwa import KIB
from gymbal_envs.demand.repair import REPAIR_HINT, RepairLog
from gymbal_envs.demand.trace import Trace, TraceError

MISSING = 65535
CPU_SCALE = 10_000.0  # cpu_pct_x100 of a VM that uses all its vCPUs
ACTIVE_SCALE = 50_000.0
KEYS = ("vm_id", "t0_epoch_s", "dt_s", "cores", "mem_cap_kb", "cpu_pct_x100", "mem_frac_x50000")


def read_packed(path: Path, *, repair: bool = False, max_gap_s: float = DEFAULT_MAX_GAP_S) -> Trace:
    """Read a packed month.

    Args:
        path: the ``.npz`` file.
        repair: drop VMs whose size cannot be true instead of raising.
        max_gap_s: longest gap that is filled with the sample before it.

    Raises:
        TraceError: naming file, key, VM, value and what to do.
    """
    arrays = _arrays(path)
    _check_shapes(path, arrays)
    log = RepairLog()
    grid = Grid(
        name=path.stem,
        start_s=float(arrays["t0_epoch_s"]),
        step_s=float(arrays["dt_s"]),
        vm_id=arrays["vm_id"].astype(np.int64),
        cores=arrays["cores"].astype(np.float64),
        memory_bytes=arrays["mem_cap_kb"].astype(np.float64) * KIB,
        cpu_frac=_fractions(arrays["cpu_pct_x100"], CPU_SCALE),
        active_frac=_fractions(arrays["mem_frac_x50000"], ACTIVE_SCALE),
    )
    grid = _plausible(path, grid, log, repair)
    return trace_of_grid(grid, source=str(path), log=log, max_gap_s=max_gap_s)


def _arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Load the keys; a pickle inside is refused, never run."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in KEYS if key not in archive]
            if missing:
                raise TraceError(
                    f"{path}: key {missing[0]!r} is missing from {sorted(archive)}; "
                    "a packed month has the keys listed in docs/traces.md"
                )
            return {key: archive[key] for key in KEYS}
    except TraceError:
        raise
    except (
        OSError, ValueError, EOFError, KeyError, TypeError, AttributeError, NotImplementedError,
        MemoryError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        # np.load has no error of its own: damage surfaces wherever numpy or zipfile trips over it.
        raise TraceError(f"{path}: is no readable .npz ({error}); copy it again") from error


def _check_shapes(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    """Refuse arrays of the wrong kind or shape, before arithmetic hides it."""
    num_vms, num_slots = (*arrays["cpu_pct_x100"].shape, 0, 0)[:2]
    vms, grid = (num_vms,), (num_vms, num_slots)
    expected: dict[str, tuple[tuple[int, ...], str]] = {  # shape and kinds of dtype
        "vm_id": (vms, "iu"),
        "t0_epoch_s": ((), "iuf"),
        "dt_s": ((), "iuf"),
        "cores": (vms, "iuf"),
        "mem_cap_kb": (vms, "iuf"),
        "cpu_pct_x100": (grid, "u"),
        "mem_frac_x50000": (grid, "u"),
    }
    for key, (shape, kinds) in expected.items():
        array = arrays[key]
        wide = kinds == "u" and array.dtype.itemsize != 2
        if array.shape != shape or array.dtype.kind not in kinds or wide:
            names = {"iu": "an integer", "iuf": "a number", "u": "uint16"}
            raise TraceError(
                f"{path}: key {key!r} must be {names[kinds]} of shape {shape}, "
                f"not {array.dtype} of shape {array.shape}; pack the month again"
            )
    if num_vms == 0 or num_slots == 0:
        raise TraceError(f"{path}: key 'cpu_pct_x100' holds no sample; pack the month again")
    for key, lowest in (("dt_s", 0.0), ("t0_epoch_s", -np.inf)):
        value = float(arrays[key])
        if not (np.isfinite(value) and value > lowest):
            raise TraceError(f"{path}: key {key!r} is {value}; it must be finite, dt_s above 0")
    ids, times = np.unique(arrays["vm_id"], return_counts=True)
    if ids.size < num_vms:
        raise TraceError(f"{path}: key 'vm_id' holds {ids[times > 1][0]} twice; VMs must differ")


def _fractions(packed: NDArray[np.generic], scale: float) -> NDArray[np.float32]:
    """Unpack (N, T) counts of 1 / ``scale``; NaN where missing."""
    values = packed.astype(np.float32) / np.float32(scale)
    values[packed == MISSING] = np.nan
    return values


def _plausible(path: Path, grid: Grid, log: RepairLog, repair: bool) -> Grid:
    """Refuse or drop VMs whose size is impossible, or that want something they do not have."""
    wants_cpu = (grid.cpu_frac > 0).any(axis=1)
    wants_any = wants_cpu | (grid.active_frac > 0).any(axis=1)
    kept = np.ones(grid.vm_id.size, dtype=bool)
    for key, size, wanted in (
        ("mem_cap_kb", grid.memory_bytes / KIB, wants_any),
        ("cores", grid.cores, wants_cpu),
    ):
        for problem, bad in (
            ("is not a finite number >= 0", ~(np.isfinite(size) & (size >= 0))),
            ("is zero although the VM has a demand", (size == 0) & wanted),
        ):
            if bad.any() and not repair:
                vm = int(bad.argmax())
                raise TraceError(
                    f"{path}: key {key!r}, row {vm + 1} (VM {grid.vm_id[vm]}): {size[vm]:g} "
                    f"{problem}; correct it, or {REPAIR_HINT} to drop the VM"
                )
            log.drop(f"{key!r} {problem}", grid.vm_id[bad & kept])
            kept &= ~bad
    return grid.keep(kept)
