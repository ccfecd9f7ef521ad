"""Reading LLC measurements of a user's own, and errors that a user can act on."""

from pathlib import Path

import numpy as np
import pytest

from gymbal_envs.demand.llc_profiles import MIB, WAY_BYTES, read_llc_profiles
from gymbal_envs.demand.sheet import CurveError

WAYS_HEADER = "BENCH,NR_WAYS,ipc,llcmpki,llcrpki"
LINE_HEADER = "size_blocks,size_bytes,miss_ratio,misses_per_kilo_instr"


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def ways_rows(name: str = "a", penalty: float = 20.0) -> list[str]:
    """CPI = 0.5 + penalty * misses at 1 to 4 ways, in the order in which text sorts."""
    rows = []
    for ways, mpki in ((1, 20.0), (3, 5.0), (2, 10.0), (4, 4.0)):
        rows.append(f"{name},{ways},{1 / (0.5 + penalty * mpki / 1000):.12g},{mpki},40")
    return rows


def line_rows(*, at: tuple[float, ...] = (0.5, 1, 2, 4)) -> list[str]:
    """Half as many misses at each size in MiB, of 300 references per kilo-instruction."""
    return [
        f"{mib * MIB / 64:.0f},{mib * MIB:.0f},{0.1 / 2**i},{30 / 2**i}" for i, mib in enumerate(at)
    ]


def test_table_by_ways(tmp_path: Path) -> None:
    rows = [*ways_rows("b", penalty=10), *ways_rows("a")]
    b, a = read_llc_profiles(write(tmp_path / "t.csv", WAYS_HEADER, *rows))
    assert (a.name, b.name) == ("a", "b")
    np.testing.assert_allclose(a.size_bytes, np.arange(5) * WAY_BYTES)
    np.testing.assert_allclose(a.mpi, [0.04, 0.02, 0.01, 0.005, 0.004])
    assert (a.cpi0, a.penalty_cycles) == pytest.approx((0.5, 20))
    assert (b.cpi0, b.penalty_cycles) == pytest.approx((0.5, 10))
    assert a.residual == pytest.approx(0, abs=1e-9)


def test_without_references_the_curve_starts_flat(tmp_path: Path) -> None:
    rows = [row.rpartition(",")[0] for row in (WAYS_HEADER, *ways_rows())]
    (profile,) = read_llc_profiles(write(tmp_path / "t.csv", *rows), way_bytes=MIB)
    assert profile.mpi[0] == profile.mpi[1] == 0.02
    assert profile.size_bytes[1] == MIB


def test_noise_is_smoothed(tmp_path: Path) -> None:
    rows = [*ways_rows(), "a,5,1.7,4.02,40"]
    (profile,) = read_llc_profiles(write(tmp_path / "t.csv", WAYS_HEADER, *rows))
    np.testing.assert_allclose(profile.mpi[-2:], 0.00401)


def test_line_curve_behind_a_private_cache(tmp_path: Path) -> None:
    path = write(tmp_path / "mrc-mine-line64.csv", LINE_HEADER, *line_rows())
    (profile,) = read_llc_profiles(path)
    assert profile.name == "mine"
    np.testing.assert_allclose(profile.size_bytes, [0, MIB, 3 * MIB])
    np.testing.assert_allclose(profile.mpi, [0.015, 0.0075, 0.00375])
    assert np.isnan(profile.residual)


def test_program_that_fits_in_the_private_cache(tmp_path: Path) -> None:
    rows = [*line_rows(at=(0.25, 0.5)), "12288,786432,0.05,15"]
    (profile,) = read_llc_profiles(write(tmp_path / "p.csv", LINE_HEADER, *rows))
    np.testing.assert_allclose(profile.mpi_at([0, MIB]), 0.015)


def test_folder(tmp_path: Path) -> None:
    for name in ("mrc-b-line64.csv", "mrc-a-line64.csv"):
        write(tmp_path / name, LINE_HEADER, *line_rows())
    write(tmp_path / "mrc-a-page4k.csv", "not read")
    assert [profile.name for profile in read_llc_profiles(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("bad_row", "column", "rule"),
    [
        ("a,4,1.5,5.8,40", "llcmpki", "must not rise with ways by more than 0.4"),
        ("a,4,1.5,NaN,40", "llcmpki", "finite"),
        ("a,4,1.5,,40", "llcmpki", "the cell is empty"),
        ("a,4,1.5,-1,40", "llcmpki", "not negative"),
        ("a,4,0,4,40", "ipc", "above 0"),
        ("a,4,fast,4,40", "ipc", "must be a number"),
        ("a,3,1.5,4,40", "NR_WAYS", "once per program"),
        ("a,3.5,1.5,4,40", "NR_WAYS", "whole number"),
        (",4,1.5,4,40", "BENCH", "empty"),
        ("b,4,1.5,4,40", "NR_WAYS", "at least two"),
        ("a,4,1.5,4,x", "llcrpki", "must be a number"),
    ],
)
def test_bad_cell_by_ways(tmp_path: Path, bad_row: str, column: str, rule: str) -> None:
    path = write(tmp_path / "t.csv", WAYS_HEADER, *ways_rows()[:3], bad_row)
    with pytest.raises(CurveError, match=rule) as caught:
        read_llc_profiles(path)
    assert str(caught.value).startswith(f"{path}: row 5, column {column}")


@pytest.mark.parametrize(
    ("bad_row", "column", "rule"),
    [
        ("32768,2097152,0.06,18", "miss_ratio", "must not rise"),
        ("32768,2097152,NaN,18", "miss_ratio", "finite"),
        ("32768,2097152,1.1,330", "miss_ratio", "exceed 1"),
        ("32768,4096,0.02,6", "size_bytes", "64 per block"),
        ("8,512,0.02,6", "size_blocks", "increase"),
        ("32768,2097152,0.02,9", "misses_per_kilo_instr", "in proportion"),
        ("32768,2097152,0.02", "misses_per_kilo_instr", "empty"),
    ],
)
def test_bad_cell_of_a_line_curve(tmp_path: Path, bad_row: str, column: str, rule: str) -> None:
    path = write(tmp_path / "p.csv", LINE_HEADER, *line_rows()[:2], bad_row)
    with pytest.raises(CurveError, match=rule) as caught:
        read_llc_profiles(path)
    assert str(caught.value).startswith(f"{path}: row 4, column {column}")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([""], "is empty"),
        ([LINE_HEADER], "is empty"),
        ([WAYS_HEADER], "is empty"),
        ([LINE_HEADER, line_rows()[0]], "at least two rows"),
        (["BENCH,NR_WAYS,ipc", "a,1,1"], "row 1: no column llcmpki"),
        (["size_bytes,miss_ratio", "64,1"], "row 1: no column size_blocks"),
        ([LINE_HEADER, *line_rows(at=(0.25, 0.5))], "still falls at its end"),
    ],
)
def test_bad_file(tmp_path: Path, rows: list[str], message: str) -> None:
    path = write(tmp_path / "p.csv", *rows)
    with pytest.raises(CurveError, match=message) as caught:
        read_llc_profiles(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_bad_places(tmp_path: Path) -> None:
    with pytest.raises(CurveError, match="there is no such file or folder"):
        read_llc_profiles(tmp_path / "nothing.csv")
    with pytest.raises(CurveError, match=r"no file named \*-line64.csv"):
        read_llc_profiles(tmp_path)
    (tmp_path / "p.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(CurveError, match="not a CSV file in UTF-8"):
        read_llc_profiles(tmp_path / "p.csv")
    with pytest.raises(ValueError, match="way_bytes must be above 0"):
        read_llc_profiles(tmp_path / "p.csv", way_bytes=0)
    with pytest.raises(ValueError, match="private_bytes must be above 0"):
        read_llc_profiles(tmp_path / "p.csv", private_bytes=np.nan)
