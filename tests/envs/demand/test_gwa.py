"""GWA-T-12: what is read as it stands, what is repaired and said, what is refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gymbal_envs.demand.gwa import gwa_files, in_milliseconds, read_gwa, vm_number
from gymbal_envs.demand.packed import read_packed
from gymbal_envs.demand.trace import TraceError

BITBRAINS = Path(__file__).resolve().parents[4] / "shared" / "data" / "bitbrains"
needs_bitbrains = pytest.mark.skipif(
    not BITBRAINS.is_dir(), reason=f"real traces are not at {BITBRAINS}"
)
HEADER = (
    "Timestamp [ms];\tCPU cores;\tCPU capacity provisioned [MHZ];\tCPU usage [MHZ];\tCPU usage [%];"
    "\tMemory capacity provisioned [KB];\tMemory usage [KB];\tDisk read throughput [KB/s];"
    "\tDisk write throughput [KB/s];\tNetwork received throughput [KB/s];"
    "\tNetwork transmitted throughput [KB/s]"
)
START = 1_375_308_176
STEP = 300
CAPACITY_KB = 1_048_576.0  # 1 GiB

Row = dict[str, float | str]


def row(i: int, **changes: float | str) -> Row:
    """Sample i of a VM of 2 vCPUs and 1 GiB that uses i % of each."""
    sample: Row = {
        "time": START + i * STEP,
        "cores": 2,
        "cpu": float(i),
        "capacity": CAPACITY_KB,
        "used": CAPACITY_KB * i / 100,
    }
    return sample | changes


def text(rows: list[Row], header: str = HEADER) -> str:
    lines = [header]
    for r in rows:
        cells = (r["time"], r["cores"], 5200.0, 0.0, r["cpu"], r["capacity"], r["used"])
        lines.append(";\t".join(str(cell) for cell in (*cells, 0.0, 1.5, 2.5, 3.5)))
    return "\n".join(lines) + "\n"


def write(path: Path, rows: list[Row]) -> Path:
    path.write_text(text(rows))
    return path


@pytest.fixture
def rows() -> list[Row]:
    return [row(i) for i in range(20)]


def has(repairs: tuple[str, ...], words: str, count: int) -> bool:
    """Whether a repair says these words and this count."""
    return any(words in sentence and f": {count}" in sentence for sentence in repairs)


def test_values_and_units(tmp_path: Path, rows: list[Row]) -> None:
    trace = read_gwa(write(tmp_path / "2013-8_100.csv", rows))
    assert (trace.name, trace.start_s, trace.step_s) == ("2013-8_100", START, STEP)
    assert trace.vm_id.tolist() == [100]
    assert trace.cores.tolist() == [2.0]
    assert trace.memory_bytes.tolist() == [2.0**30]
    expected = (np.arange(20) / 100)[None].astype(np.float32)
    np.testing.assert_allclose(trace.cpu_frac, expected, rtol=1e-6)
    np.testing.assert_allclose(trace.active_frac, expected, rtol=1e-6)
    assert trace.repairs == ()


@pytest.mark.parametrize("origin", [0, START])
def test_milliseconds_and_seconds_read_alike(tmp_path: Path, rows: list[Row], origin: int) -> None:
    seconds = [r | {"time": origin + i * STEP} for i, r in enumerate(rows)]
    millis = [r | {"time": (origin + i * STEP) * 1000} for i, r in enumerate(rows)]
    one = read_gwa(write(tmp_path / "1.csv", seconds))
    other = read_gwa(write(tmp_path / "2.csv", millis))
    assert (one.start_s, one.step_s) == (other.start_s, other.step_s) == (origin, STEP)
    np.testing.assert_array_equal(one.active_frac, other.active_frac)


def test_in_milliseconds_ignores_one_wild_timestamp() -> None:
    assert not in_milliseconds(np.array([START, START + 300, START + 600, 1e15]))


def test_gzip_crlf_byte_order_mark_and_missing_last_newline(
    tmp_path: Path, rows: list[Row]
) -> None:
    expected = read_gwa(write(tmp_path / "7.csv", rows)).active_frac
    dos = b"\xef\xbb\xbf" + text(rows).rstrip("\n").replace("\n", "\r\n").encode()
    (tmp_path / "8.csv.gz").write_bytes(gzip.compress(dos))
    np.testing.assert_array_equal(read_gwa(tmp_path / "8.csv.gz").active_frac, expected)


BAD_CELLS = [
    ({"cpu": -3.5}, "'CPU usage [%]'", "'-3.5'", "is negative"),
    ({"cpu": "NaN"}, "'CPU usage [%]'", "'NaN'", "is not a number"),
    ({"cpu": "inf"}, "'CPU usage [%]'", "'inf'", "is not finite"),
    ({"used": "12,5"}, "'Memory usage [KB]'", "'12,5'", "is not a number"),
    ({"used": ""}, "'Memory usage [KB]'", "''", "is not a number"),
    ({"capacity": -1}, "'Memory capacity provisioned [KB]'", "'-1'", "is negative"),
    ({"capacity": 0}, "'Memory capacity provisioned [KB]'", "'0'", "is zero although the VM uses"),
    ({"cores": 0}, "'CPU cores'", "'0'", "is zero although the VM uses CPU"),
    ({"time": 1e300}, "'Timestamp [ms]'", "'1e+300'", "is too far from 1970"),
    ({"time": "soon"}, "'Timestamp [ms]'", "'soon'", "is not a number"),
]


@pytest.mark.parametrize(("change", "column", "value", "problem"), BAD_CELLS)
def test_impossible_cell_is_refused_or_dropped(
    tmp_path: Path, rows: list[Row], change: Row, column: str, value: str, problem: str
) -> None:
    rows[4] |= change
    path = write(tmp_path / "5.csv", rows)
    with pytest.raises(TraceError) as error:
        read_gwa(path)
    for part in (str(path), "line 6", column, value, problem, "repair=True"):
        assert part in str(error.value)
    repaired = read_gwa(path, repair=True)
    assert has(repaired.repairs, f"Rows dropped where {column} {problem}", 1)
    assert has(repaired.repairs, "Missing samples filled", 1)
    assert repaired.active_frac[0, 4] == repaired.active_frac[0, 3]


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda line: ";".join(line.split(";")[:6]), "fewer than 11 columns"),
        (lambda line: line + ";\t1.0", "more than 11 columns"),
        (lambda line: "", "fewer than 11 columns"),
        (lambda line: "\x00\xff\xfe", "fewer than 11 columns"),
    ],
)
def test_row_of_the_wrong_length(
    tmp_path: Path, rows: list[Row], damage: Callable[[str], str], problem: str
) -> None:
    lines = text(rows).splitlines()
    lines[3] = damage(lines[3])
    path = tmp_path / "5.csv"
    path.write_text("\n".join(lines), encoding="latin-1")
    with pytest.raises(TraceError, match=f"line 4, .*{problem}"):
        read_gwa(path)
    assert has(read_gwa(path, repair=True).repairs, problem, 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(0, len(text([row(i) for i in range(5)]))))
def test_truncated_anywhere_never_gives_a_wrong_demand(tmp_path: Path, cut: int) -> None:
    whole = text([row(i) for i in range(5)])
    path = tmp_path / "3.csv"
    path.write_text(whole[:cut])
    expected = (np.arange(5) / 100).astype(np.float32)
    try:
        trace = read_gwa(path)
    except TraceError:
        return
    # Otherwise the whole rows before the cut.
    np.testing.assert_allclose(trace.active_frac[0], expected[: trace.num_samples], rtol=1e-6)


def test_reordered_rows_are_sorted(tmp_path: Path, rows: list[Row]) -> None:
    expected = read_gwa(write(tmp_path / "1.csv", rows)).active_frac
    rows[3], rows[9] = rows[9], rows[3]
    trace = read_gwa(write(tmp_path / "2.csv", rows))
    np.testing.assert_array_equal(trace.active_frac, expected)
    assert has(trace.repairs, "Rows out of time order", 2)


@pytest.mark.parametrize("zeros_first", [True, False])
def test_duplicated_timestamp_keeps_the_row_with_most_memory(
    tmp_path: Path, rows: list[Row], zeros_first: bool
) -> None:
    expected = read_gwa(write(tmp_path / "1.csv", rows)).active_frac
    zeros = rows[6] | {"cores": 0, "cpu": 0, "capacity": 0, "used": 0}
    rows.insert(6 if zeros_first else 7, zeros)
    trace = read_gwa(write(tmp_path / "2.csv", rows))
    np.testing.assert_array_equal(trace.active_frac, expected)
    assert has(trace.repairs, "duplicated timestamp", 1)
    assert len(trace.repairs) == 1


def test_small_gap_is_filled_with_the_past(tmp_path: Path, rows: list[Row]) -> None:
    del rows[5:8]
    trace = read_gwa(write(tmp_path / "1.csv", rows))
    assert trace.num_samples == 20
    np.testing.assert_allclose(trace.active_frac[0, 4:9], [0.04] * 4 + [0.08], rtol=1e-6)
    assert has(trace.repairs, "Missing samples filled", 3)


def test_gap_just_at_the_limit(tmp_path: Path) -> None:
    path = write(tmp_path / "1.csv", [row(0), row(1), row(2), row(15), row(16), row(17)])
    assert has(read_gwa(path, max_gap_s=3600).repairs, "filled", 12)
    with pytest.raises(TraceError, match=r"misses 12 samples in a row.*max_gap_s"):
        read_gwa(path, max_gap_s=3599)


def test_vm_with_a_long_gap_is_dropped(tmp_path: Path) -> None:
    for vm in (1, 2, 3):
        write(tmp_path / f"{vm}.csv", [row(i) for i in range(60) if vm != 2 or not 20 <= i < 40])
    trace = read_gwa(tmp_path)
    assert trace.vm_id.tolist() == [1, 3]
    assert "VMs dropped because of a gap longer than 3600 s: 1 (VM 2)." in trace.repairs


def test_outage_of_the_whole_fleet_cuts_the_trace_and_costs_no_vm(tmp_path: Path) -> None:
    for vm in (1, 2, 3):
        write(tmp_path / f"{vm}.csv", [row(i) for i in range(80) if not 20 <= i < 40])
    trace = read_gwa(tmp_path)
    assert trace.vm_id.tolist() == [1, 2, 3]
    assert (trace.start_s, trace.num_samples) == (START + 40 * STEP, 40)
    assert has(trace.repairs, "Samples cut outside the longest period", 60)


def test_wild_timestamp_costs_neither_memory_nor_the_other_vms(tmp_path: Path) -> None:
    for vm in (1, 2, 3):
        write(tmp_path / f"{vm}.csv", [row(i) for i in range(30)])
    write(tmp_path / "3.csv", [row(i) for i in range(30)] + [row(0, time=9e10)])
    trace = read_gwa(tmp_path)
    assert (trace.num_vms, trace.num_samples) == (3, 30)
    assert has(trace.repairs, "Samples cut", 1)


def test_vm_that_starts_late_is_dropped_by_name(tmp_path: Path) -> None:
    for vm in (1, 2, 3):
        write(tmp_path / f"{vm}.csv", [row(i) for i in range(30 if vm == 3 else 0, 60)])
    trace = read_gwa(tmp_path)
    assert trace.vm_id.tolist() == [1, 2]
    assert has(trace.repairs, "gap longer than", 1)


def test_jitter_moves_to_the_grid(tmp_path: Path, rows: list[Row]) -> None:
    expected = read_gwa(write(tmp_path / "1.csv", rows)).active_frac
    rows[5]["time"] = START + 5 * STEP + 40
    trace = read_gwa(write(tmp_path / "2.csv", rows))
    np.testing.assert_array_equal(trace.active_frac, expected)
    assert trace.repairs == ("Samples moved to the 300 s grid, by at most 40 s: 1.",)


def test_usage_above_the_limit_is_clipped(tmp_path: Path, rows: list[Row]) -> None:
    rows[5] |= {"cpu": 180.0, "used": 2 * CAPACITY_KB}
    trace = read_gwa(write(tmp_path / "1.csv", rows))
    assert trace.cpu_frac[0, 5] == trace.active_frac[0, 5] == 1.0
    assert has(trace.repairs, "CPU usage above 100 %", 1)
    assert has(trace.repairs, "Active memory above", 1)


def test_resized_vm_keeps_its_demand_in_bytes(tmp_path: Path, rows: list[Row]) -> None:
    for r in rows[10:]:
        r |= {"capacity": 2 * CAPACITY_KB, "cores": 4}
    trace = read_gwa(write(tmp_path / "1.csv", rows))
    used = np.array([float(r["used"]) for r in rows]) * 1024
    np.testing.assert_allclose(trace.active_frac[0] * trace.memory_bytes[0], used, rtol=1e-6)
    np.testing.assert_allclose(trace.cpu_frac[0, [9, 10]], [0.045, 0.10], rtol=1e-6)
    assert has(trace.repairs, "VMs resized", 1)


def test_vm_without_memory_is_dropped(tmp_path: Path, rows: list[Row]) -> None:
    write(tmp_path / "1.csv", rows)
    idle = {"capacity": 0, "used": 0, "cpu": 0}
    path = write(tmp_path / "2.csv", [r | idle for r in rows])
    trace = read_gwa(tmp_path)
    assert trace.vm_id.tolist() == [1]
    assert has(trace.repairs, "no vCPU or no memory", 1)
    with pytest.raises(TraceError, match=r"no VM is left.*no memory is provisioned"):
        read_gwa(path)


def test_vm_on_another_clock_is_refused_or_dropped(tmp_path: Path) -> None:
    for vm in (1, 2):
        write(tmp_path / f"{vm}.csv", [row(i) for i in range(60)])
    write(tmp_path / "9.csv", [row(i) for i in range(0, 60, 2)])
    with pytest.raises(TraceError, match="VM 9 is sampled every 600 s, the fleet every 300 s"):
        read_gwa(tmp_path)
    trace = read_gwa(tmp_path, repair=True)
    assert trace.vm_id.tolist() == [1, 2]
    assert has(trace.repairs, "sampling step differs", 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (HEADER.encode(), "has a header but no rows"),
        (HEADER.encode() + b"\n", "has a header but no rows"),
        (b"time,cpu\n1,2\n", "not the header of GWA-T-12: column 'Timestamp"),
        (bytes(range(256)) * 20, "not the header of GWA-T-12"),
        (text([row(0)]).encode(), "step cannot be told from one sample"),
    ],
)
def test_file_that_is_no_trace(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "4.csv"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=message) as error:
        read_gwa(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("cut", [0, 5, 40, -9, -1])
def test_damaged_gzip(tmp_path: Path, rows: list[Row], cut: int) -> None:
    path = tmp_path / "4.csv.gz"
    path.write_bytes(gzip.compress(text(rows).encode())[:cut])
    with pytest.raises(TraceError, match=r"4\.csv\.gz"):
        read_gwa(path)


def test_folder_reads_every_vm_in_order(tmp_path: Path, rows: list[Row]) -> None:
    for name in ("10.csv", "2.csv", "._2.csv", "README.txt"):
        write(tmp_path / name, rows)
    seen: list[str] = []

    def track(files):  # type: ignore[no-untyped-def]
        for file in files:
            seen.append(file.name)
            yield file

    assert read_gwa(tmp_path, track=track).vm_id.tolist() == [2, 10]
    assert seen == ["2.csv", "10.csv"]


def test_folder_with_two_files_of_one_vm(tmp_path: Path, rows: list[Row]) -> None:
    write(tmp_path / "2013-7_1.csv", rows)
    write(tmp_path / "2013-8_1.csv", rows)
    with pytest.raises(TraceError, match="both belong to VM 1"):
        read_gwa(tmp_path)


def test_folder_without_files_names_its_subfolders(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="holds no file named"):
        gwa_files(tmp_path)
    (tmp_path / "2013-8").mkdir()
    with pytest.raises(TraceError, match="2013-8"):
        gwa_files(tmp_path)


def test_vm_number() -> None:
    assert vm_number(Path("2013-8_100.csv.gz")) == 100
    with pytest.raises(TraceError, match="must end in the VM's number"):
        vm_number(Path("web.csv"))


@needs_bitbrains
def test_raw_files_agree_with_the_packed_month() -> None:
    raw = read_gwa(BITBRAINS / "raw_sample")
    packed = read_packed(BITBRAINS / "rnd_2013-08.npz")
    assert raw.vm_id.tolist() == [1, 100, 300]
    assert (raw.start_s, raw.step_s, raw.num_samples) == (START, STEP, packed.num_samples)
    rows = np.searchsorted(packed.vm_id, raw.vm_id)
    np.testing.assert_array_equal(raw.memory_bytes, packed.memory_bytes[rows])
    np.testing.assert_array_equal(raw.cores, packed.cores[rows])
    # Two samples may share an instant where the clock drifts past half a step: either may be kept.
    for mine, theirs, error in (
        (raw.cpu_frac, packed.cpu_frac[rows], 5.1e-5),
        (raw.active_frac, packed.active_frac[rows], 1.1e-5),
    ):
        assert (np.abs(mine - theirs) <= error).mean() > 0.99
