"""What a profile says, on one screen and in one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gymbal_envs.profiling.profile_file import Curve, ProgramProfile
from gymbal_envs.profiling.tracer import Measurement

MIB = 2**20
CACHE_MIB = (1, 2, 4, 8, 16, 32)
RESIDENT_FRAC = (0.1, 0.25, 0.5, 0.75, 1.0)
_BLUE, _ORANGE, _GREEN = "#0072B2", "#D55E00", "#009E73"  # told apart by colour-blind readers


def describe(profile: ProgramProfile, measurement: Measurement) -> str:
    """A summary for the terminal, about fifteen lines."""
    row, pages, lines = profile.summary, profile.pages, profile.lines
    speed = measurement.refs / max(measurement.seconds, 1e-9) / 1e6
    held = pages.size_blocks[-1] * np.array(RESIDENT_FRAC)
    caches = np.array(CACHE_MIB) * MIB / lines.block_bytes
    text = [
        f"{profile.name}: {row['cmd'][:80]}",
        f"  {_ending(measurement)}",
        f"  {row['instr_M']} M instructions, {row['data_refs_M']} M data references "
        f"({float(row['store_frac']):.0%} stores), {row['wall_s']} s ({speed:.0f} M/s)",
        f"  footprint        {_mib(pages):.1f} MiB in {row['pages']} pages, "
        f"about {row['lines']} lines ({row['line_sample']} sampled)",
        f"  per M references {row['unique_pages_per_Mref_mean']} pages touched, "
        f"{row['dirty_pages_per_Mref_mean']} written (at most {row['dirty_pages_per_Mref_max']})",
        "  pages resident   " + "".join(f"{share:>10.0%}" for share in RESIDENT_FRAC),
        "  faults/M refs    " + "".join(f"{1e6 * x:>10.4g}" for x in _at(pages, held, "miss")),
        "  cache, MiB       " + "".join(f"{mib:>10g}" for mib in CACHE_MIB),
        "  misses/1000 instr" + "".join(f"{x:>10.3g}" for x in _at(lines, caches, "kilo")),
    ]
    return "\n".join(text)


def plot_profile(profile: ProgramProfile, path: Path) -> None:
    """Draw both miss curves and the footprint over time into a file (PNG, SVG, PDF)."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    pages, lines, footprint = figure.subplots(1, 3)
    _draw_curve(pages, profile.pages, "Pages of 4 KiB")
    _draw_curve(lines, profile.lines, f"Lines of 64 bytes ({profile.summary['line_sample']})")
    refs, _, unique, dirty, total = profile.footprint.T
    for pages_of, label, color in (
        (total, "so far", _BLUE), (unique, "in a million references", _GREEN),
        (dirty, "of these written", _ORANGE),
    ):  # fmt: skip
        footprint.plot(refs / 1e6, np.maximum(pages_of, 1), label=label, color=color)
    footprint.set(title="Pages touched", xlabel="million data references", yscale="log")
    footprint.legend(frameon=False, fontsize=8)
    for axes in (pages, lines, footprint):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(linewidth=0.4)
    figure.suptitle(profile.name)
    figure.savefig(path, dpi=130)


def _draw_curve(axes: Axes, curve: Curve, title: str) -> None:
    """Cold misses set the floor: a ratio of 0 cannot be drawn on a logarithmic axis."""
    axes.plot(curve.size_blocks * curve.block_bytes / MIB, curve.miss_ratio, color=_BLUE)
    axes.set(title=title, xlabel="MiB of LRU memory", ylabel="misses per reference")
    axes.set(xscale="log", yscale="log")


def _at(curve: Curve, size_blocks: np.ndarray, what: str) -> np.ndarray:
    """The curve between its points; flat beyond its ends."""
    values = curve.miss_ratio if what == "miss" else curve.misses_per_kilo_instr
    return np.asarray(np.interp(size_blocks, curve.size_blocks, values))


def _mib(curve: Curve) -> float:
    return float(curve.size_blocks[-1] * curve.block_bytes / MIB)


def _ending(measurement: Measurement) -> str:
    if measurement.stopped:
        return "stopped at --max-refs: the profile is that of its beginning"
    if measurement.exit_status:
        said = f": {measurement.messages[-1]}" if measurement.messages else ""
        return f"ran to its end with exit status {measurement.exit_status}{said}"
    return "ran to its end"
