"""Reading measured curves: what is accepted, and errors that a user can act on."""

from pathlib import Path

import numpy as np
import pytest

from gymbal_envs.demand.profiles import read_profiles
from gymbal_envs.demand.program_curves import DEFAULT_DIRTY_FRAC, read_curves
from gymbal_envs.demand.sheet import CurveError

HEADER = "size_blocks,size_bytes,miss_ratio,misses_per_kilo_instr"
ROWS = ("16,65536,0.05,20", "32,131072,0.03,12", "64,262144,0.01,4", "128,524288,0.001,0.4")


def write(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def test_one_file(tmp_path: Path) -> None:
    (profile,) = read_profiles(write(tmp_path / "mrc-mine-page4k.csv", *ROWS))
    assert profile.name == "mine"
    assert profile.dirty_frac == DEFAULT_DIRTY_FRAC
    # 400 references per kilo-instruction, of which 0.05 - 0.001 depend on memory, 95 % of it
    # on the working set.
    assert profile.native_touch_rate_hz == pytest.approx(0.4 * 0.049 * 0.95 * 2e9)


def test_folder_with_summary(tmp_path: Path) -> None:
    write(tmp_path / "mrc-b-page4k.csv", *ROWS)
    write(tmp_path / "mrc-a-page4k.csv", *ROWS)
    write(tmp_path / "mrc-a-line64.csv", "16,1024,0.1,9")
    columns = "name,unique_pages_per_Mref_mean,dirty_pages_per_Mref_mean"
    write(tmp_path / "summary.csv", "a,100,80", "b,100,1", header=columns)
    a, b = read_profiles(tmp_path)
    assert (a.name, a.dirty_frac) == ("a", 0.8)
    assert (b.name, b.dirty_frac) == ("b", 0.05)


def test_small_rise_is_flattened(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", *ROWS[:3], "80,327680,0.0109,4.4", *ROWS[3:])
    (curve,) = read_curves(path)
    np.testing.assert_array_equal(curve.miss_ratio, [0.05, 0.03, 0.01, 0.01, 0.001])


@pytest.mark.parametrize(
    ("bad_row", "column", "rule"),
    [
        ("64,262144,,4", "miss_ratio", "empty"),
        ("64,262144,0.01", "misses_per_kilo_instr", "empty"),
        ("64,262144,NaN,4", "miss_ratio", "finite"),
        ("64,262144,inf,4", "miss_ratio", "finite"),
        ("64,262144,-0.01,4", "miss_ratio", "not negative"),
        ("64,262144,one,4", "miss_ratio", "must be a number"),
        ("64,262144,1.01,4", "miss_ratio", "must not exceed 1"),
        ("64,262144,0.032,4", "miss_ratio", "must not rise"),
        ("64,4096,0.01,4", "size_bytes", "4096 per block"),
        ("32,131072,0.01,4", "size_blocks", "increase"),
        ("64,262144,0.01,0", "misses_per_kilo_instr", "above 0"),
    ],
)
def test_bad_cell_is_named(tmp_path: Path, bad_row: str, column: str, rule: str) -> None:
    path = write(tmp_path / "p.csv", *ROWS[:2], bad_row, *ROWS[3:])
    with pytest.raises(CurveError, match=rule) as caught:
        read_profiles(path)
    assert str(caught.value).startswith(f"{path}: row 4, column {column}: ")


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ((), "", "the file is empty"),
        ((), HEADER, "the file is empty"),
        (("1,2",), "a,b", "row 1: no column size_blocks"),
        (ROWS, "size_blocks,size_bytes,misses_per_kilo_instr", "row 1: no column miss_ratio"),
        (ROWS[:1], HEADER, "at least two rows"),
        ((ROWS[0], "32,131072,0.05,20"), HEADER, "it is flat"),
    ],
)
def test_bad_file_is_named(
    tmp_path: Path, rows: tuple[str, ...], header: str, message: str
) -> None:
    path = write(tmp_path / "p.csv", *rows, header=header)
    with pytest.raises(CurveError, match=message) as caught:
        read_profiles(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_folder_without_curves(tmp_path: Path) -> None:
    with pytest.raises(CurveError, match=r"no file named \*-page4k.csv"):
        read_profiles(tmp_path)


def test_bad_summary(tmp_path: Path) -> None:
    write(tmp_path / "mrc-a-page4k.csv", *ROWS)
    write(tmp_path / "summary.csv", "a,100", header="name,unique_pages_per_Mref_mean")
    with pytest.raises(CurveError, match=r"summary.csv: row 2"):
        read_profiles(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(CurveError, match="there is no such file or folder"):
        read_profiles(tmp_path / "nothing.csv")


def test_binary_file(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(CurveError, match=r"p\.csv: not a CSV file in UTF-8"):
        read_profiles(path)
