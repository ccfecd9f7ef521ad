"""Profiles as files, without a tracer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gymbal_envs.demand.profiles import read_profiles
from gymbal_envs.demand.program_curves import read_curves
from gymbal_envs.profiling.profile_file import profile_of, read_profile, write_profile
from gymbal_envs.profiling.report import describe, plot_profile
from gymbal_envs.profiling.reuse import LINE_BYTES, PAGE_BYTES, Reuse
from gymbal_envs.profiling.tracer import Measurement


def measurement(num_pages: int = 100) -> Measurement:
    """A loop over so many pages, and over 64 times as many lines of which 1 in 16 is sampled."""
    refs = 2_500_000
    lines = 4 * num_pages
    return Measurement(
        command=("loop", "with space"),
        seconds=0.5,
        instructions=2 * refs,
        refs=refs,
        stores=refs // 4,
        stopped=True,
        exit_status=0,
        recorded=0,
        pages=Reuse(PAGE_BYTES, refs, 0, num_pages, num_pages,
                    np.array([[num_pages - 1, num_pages, refs - num_pages]])),
        lines=Reuse(LINE_BYTES, refs, 4, lines, lines,
                    np.array([[lines - 1, lines, refs // 16 - lines]])),
        windows=np.array([[1_000_000, 2_000_000, 100, 20, 90], [2_000_000, 4_000_000, 60, 40, 95],
                          [2_500_000, 5_000_000, 7, 1, 100]]),
    )  # fmt: skip


def test_miss_ratio_steps_where_the_loop_fits() -> None:
    pages = measurement().pages
    assert pages.miss_ratio(np.array([16, 99])) == pytest.approx(1.0)
    assert pages.miss_ratio(np.array([100, 200])) == pytest.approx(100 / pages.refs)
    lines = measurement().lines
    assert lines.num_blocks == 6400
    assert lines.miss_ratio(np.array([6000, 6400])) == pytest.approx([1.0, 6400 / lines.refs])


def test_profile_survives_writing_and_reading(tmp_path: Path) -> None:
    profile = profile_of(measurement(), "loop")
    paths = write_profile(profile, tmp_path / "new")
    assert sorted(path.name for path in paths) == sorted(
        path.name for path in (tmp_path / "new").iterdir()
    )
    again = read_profile(tmp_path / "new", "loop")
    np.testing.assert_array_equal(again.pages.size_blocks, profile.pages.size_blocks)
    np.testing.assert_allclose(again.lines.miss_ratio, profile.lines.miss_ratio, rtol=1e-5)
    np.testing.assert_array_equal(again.footprint, profile.footprint)
    assert again.summary == profile.summary
    assert again.summary["cmd"] == "loop 'with space'"


def test_profiles_are_what_scenarios_read(tmp_path: Path) -> None:
    write_profile(profile_of(measurement(), "loop"), tmp_path)
    write_profile(profile_of(measurement(500), "second"), tmp_path)
    write_profile(profile_of(measurement(200), "loop"), tmp_path)  # replaces the first
    loop, second = read_curves(tmp_path)
    assert (loop.name, second.name) == ("loop", "second")
    assert loop.footprint_pages == 200
    assert loop.data_refs_per_instr == pytest.approx(0.5, rel=1e-4)
    assert loop.dirty_frac == pytest.approx(30 / 80)  # of whole windows
    assert len(read_profiles(tmp_path)) == 2


def test_names_become_parts_of_file_names(tmp_path: Path) -> None:
    for name in ("", "a/b", "../a", "a b", "-a"):
        with pytest.raises(ValueError, match="part of file names"):
            profile_of(measurement(), name)


def test_summary_fits_one_screen_and_picture_is_drawn(tmp_path: Path) -> None:
    profile = profile_of(measurement(), "loop")
    text = describe(profile, measurement())
    assert len(text.splitlines()) <= 15
    assert "0.4 MiB in 100 pages" in text
    assert "stopped at --max-refs" in text
    plot_profile(profile, tmp_path / "loop.png")
    assert (tmp_path / "loop.png").read_bytes()[:4] == b"\x89PNG"
