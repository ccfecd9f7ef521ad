"""open_trace: every format by one name, and clear words for what is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gymbal_envs.demand.open import open_trace
from gymbal_envs.demand.parquet import write_parquet
from gymbal_envs.demand.trace import TraceError

BITBRAINS = Path(__file__).resolve().parents[4] / "shared" / "data" / "bitbrains"
needs_bitbrains = pytest.mark.skipif(
    not BITBRAINS.is_dir(), reason=f"real traces are not at {BITBRAINS}"
)
HEADER = (
    "Timestamp [ms];\tCPU cores;\tCPU usage [%];\tMemory capacity provisioned [KB];"
    "\tMemory usage [KB]"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [HEADER] + [f"{i * 300};\t2;\t{i};\t1024;\t{i * 10}" for i in range(20)]
    (tmp_path / "fleet").mkdir()
    for vm in (1, 2):
        (tmp_path / "fleet" / f"{vm}.csv").write_text("\n".join(lines))
    return tmp_path / "fleet"


def test_every_format_gives_the_same_trace(folder: Path, tmp_path: Path) -> None:
    trace = open_trace(folder)
    write_parquet(trace, tmp_path / "fleet.parquet")
    np.savez(
        tmp_path / "fleet.npz",
        vm_id=trace.vm_id,
        t0_epoch_s=trace.start_s,
        dt_s=trace.step_s,
        cores=trace.cores,
        mem_cap_kb=trace.memory_bytes / 1024,
        cpu_pct_x100=np.rint(trace.cpu_frac * 1e4).astype(np.uint16),
        mem_frac_x50000=np.rint(trace.active_frac * 5e4).astype(np.uint16),
    )
    for path in (str(tmp_path / "fleet.parquet"), tmp_path / "fleet.npz"):
        other = open_trace(path)
        assert (other.name, other.start_s, other.step_s) == ("fleet", 0.0, 300.0)
        np.testing.assert_array_equal(other.vm_id, trace.vm_id)
        np.testing.assert_allclose(other.cpu_frac, trace.cpu_frac, atol=1e-4)
        np.testing.assert_allclose(other.active_frac, trace.active_frac, atol=2e-5)
    assert open_trace(folder / "2.csv").vm_id.tolist() == [2]


def test_missing_and_unknown_say_what_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"nowhere\.csv: does not exist; a trace is a \.parquet"):
        open_trace(tmp_path / "nowhere.csv")
    for name in ("trace.xlsx", "trace"):
        (tmp_path / name).write_text("?")
        with pytest.raises(TraceError, match=r"is no known format; a trace is a \.parquet"):
            open_trace(tmp_path / name)


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="holds no file named"):
        open_trace(tmp_path)


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "npz", "parquet"])
def test_garbage_under_any_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"1.{suffix}"
    for content in (b"", bytes(range(256)), b"\x00" * 4096):
        path.write_bytes(content)
        with pytest.raises(TraceError) as error:
            open_trace(path)
        assert str(path) in str(error.value)


@pytest.mark.parametrize("max_gap_s", [-1.0, float("nan")])
def test_max_gap_must_be_a_duration(folder: Path, max_gap_s: float) -> None:
    with pytest.raises(TraceError, match="max_gap_s is"):
        open_trace(folder, max_gap_s=max_gap_s)


@needs_bitbrains
def test_real_month_survives_the_import(tmp_path: Path) -> None:
    trace = open_trace(BITBRAINS / "rnd_2013-08.npz")
    write_parquet(trace, tmp_path / "month.parquet")
    again = open_trace(tmp_path / "month.parquet")
    np.testing.assert_array_equal(again.active_frac, trace.active_frac)
    np.testing.assert_array_equal(again.cpu_frac, trace.cpu_frac)
    assert again.repairs == trace.repairs
