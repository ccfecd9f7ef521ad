"""Packed months: unpacking, holes, and everything an .npz can be instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gymbal_envs.demand.packed import MISSING, read_packed
from gymbal_envs.demand.trace import TraceError

BITBRAINS = Path(__file__).resolve().parents[4] / "shared" / "data" / "bitbrains"
needs_bitbrains = pytest.mark.skipif(
    not BITBRAINS.is_dir(), reason=f"real traces are not at {BITBRAINS}"
)


@pytest.fixture
def month() -> dict[str, Any]:
    """3 VMs of 1 GiB and 20 samples that use 10 % CPU and 20 % memory."""
    return {
        "vm_id": np.array([3, 1, 2], np.int16),
        "t0_epoch_s": np.int64(1_375_308_176),
        "dt_s": np.int64(300),
        "cores": np.array([1, 2, 4], np.int16),
        "mem_cap_kb": np.full(3, 2.0**20),
        "cpu_pct_x100": np.full((3, 20), 1000, np.uint16),
        "mem_frac_x50000": np.full((3, 20), 10_000, np.uint16),
    }


def write(path: Path, month: dict[str, Any]) -> Path:
    np.savez_compressed(path, **month)
    return path


def test_values_and_units(tmp_path: Path, month: dict[str, Any]) -> None:
    trace = read_packed(write(tmp_path / "month.npz", month))
    assert (trace.name, trace.start_s, trace.step_s) == ("month", 1_375_308_176.0, 300.0)
    assert trace.vm_id.tolist() == [3, 1, 2]
    assert trace.cores.tolist() == [1.0, 2.0, 4.0]
    assert trace.memory_bytes.tolist() == [2.0**30] * 3
    assert np.all(trace.cpu_frac == np.float32(0.1))
    assert np.all(trace.active_frac == np.float32(0.2))
    assert trace.repairs == ()


def test_missing_samples_are_filled_and_said(tmp_path: Path, month: dict[str, Any]) -> None:
    month["mem_frac_x50000"][0, 4] = 40_000
    month["mem_frac_x50000"][0, 5:8] = MISSING
    month["cpu_pct_x100"][1, :2] = MISSING
    trace = read_packed(write(tmp_path / "month.npz", month))
    np.testing.assert_allclose(trace.active_frac[0, 4:9], [0.8] * 4 + [0.2])
    assert np.all(trace.cpu_frac[1] == np.float32(0.1))
    assert trace.repairs == ("Missing samples filled (gaps up to 3600 s): 5.",)


def test_long_gap_drops_the_vm(tmp_path: Path, month: dict[str, Any]) -> None:
    month["cpu_pct_x100"][1, 3:16] = MISSING
    trace = read_packed(write(tmp_path / "month.npz", month))
    assert trace.vm_id.tolist() == [3, 2]
    assert trace.repairs == ("VMs dropped because of a gap longer than 3600 s: 1 (VM 1).",)
    assert read_packed(tmp_path / "month.npz", max_gap_s=3900).num_vms == 3


def test_nothing_left(tmp_path: Path, month: dict[str, Any]) -> None:
    month["cpu_pct_x100"][:] = MISSING
    with pytest.raises(TraceError, match=r"month\.npz: no VM is left"):
        read_packed(write(tmp_path / "month.npz", month))


def test_usage_above_the_limit_is_clipped(tmp_path: Path, month: dict[str, Any]) -> None:
    month["cpu_pct_x100"][0, 0] = 12_000
    month["mem_frac_x50000"][1, 1] = 60_000
    trace = read_packed(write(tmp_path / "month.npz", month))
    assert trace.cpu_frac[0, 0] == trace.active_frac[1, 1] == 1.0
    assert len(trace.repairs) == 2


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("mem_cap_kb", -1.0, r"'mem_cap_kb', row 2 \(VM 1\): -1 is not a finite number"),
        ("mem_cap_kb", np.nan, "nan is not a finite number"),
        ("mem_cap_kb", 0.0, "0 is zero although the VM has a demand"),
        ("cores", 0, "'cores', row 2"),
    ],
)
def test_impossible_size_is_refused_or_drops_the_vm(
    tmp_path: Path, month: dict[str, Any], key: str, value: float, message: str
) -> None:
    month[key][1] = value
    path = write(tmp_path / "month.npz", month)
    with pytest.raises(TraceError, match=message):
        read_packed(path)
    trace = read_packed(path, repair=True)
    assert trace.vm_id.tolist() == [3, 2]
    assert len(trace.repairs) == 1


def test_idle_vm_without_memory_is_dropped(tmp_path: Path, month: dict[str, Any]) -> None:
    for key in ("mem_cap_kb", "cpu_pct_x100", "mem_frac_x50000"):
        month[key][2] = 0
    trace = read_packed(write(tmp_path / "month.npz", month))
    assert trace.vm_id.tolist() == [3, 1]
    assert "no memory is provisioned" in trace.repairs[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dt_s": np.int64(0)}, "'dt_s' is 0.0"),
        ({"dt_s": np.float64(np.nan)}, "'dt_s' is nan"),
        ({"dt_s": np.array([300])}, r"'dt_s' must be a number of shape \(\)"),
        ({"vm_id": np.array([1, 1, 2])}, "'vm_id' holds 1 twice"),
        ({"vm_id": np.array([1.0, 2.0, 3.0])}, "'vm_id' must be an integer"),
        ({"cores": np.ones(4)}, r"'cores' must be a number of shape \(3,\)"),
        ({"cpu_pct_x100": np.ones((3, 20))}, "'cpu_pct_x100' must be uint16"),
        ({"mem_frac_x50000": np.ones((3, 5), np.uint16)}, r"of shape \(3, 20\)"),
        ({"cpu_pct_x100": np.uint16(1)}, "must be"),
        ({"vm_id": np.array([None, 1, 2], dtype=object)}, "no readable .npz"),
    ],
)
def test_wrong_array(
    tmp_path: Path, month: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(TraceError, match=message) as error:
        read_packed(write(tmp_path / "month.npz", month | change))
    assert "month.npz" in str(error.value)


def test_missing_key(tmp_path: Path, month: dict[str, Any]) -> None:
    del month["mem_cap_kb"]
    with pytest.raises(TraceError, match="key 'mem_cap_kb' is missing"):
        read_packed(write(tmp_path / "month.npz", month))


def test_damaged_file(tmp_path: Path, month: dict[str, Any]) -> None:
    month["mem_frac_x50000"] = np.random.default_rng(0).integers(0, 9, (3, 20)).astype(np.uint16)
    whole = write(tmp_path / "month.npz", month).read_bytes()
    path = tmp_path / "damaged.npz"
    cuts = [whole[:n] for n in (0, 3, 100, len(whole) // 2, len(whole) - 1)]
    for content in [*cuts, b"\x00" * 500, b"\x93NUMPY" + whole, b"\x80\x04K\x01."]:
        path.write_bytes(content)
        with pytest.raises(TraceError, match=r"damaged\.npz"):
            read_packed(path)


def test_array_file_under_the_wrong_name(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    path = (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(TraceError, match=r"a\.npz"):
        read_packed(path)


def test_flipped_bytes_never_give_a_wrong_demand(tmp_path: Path, month: dict[str, Any]) -> None:
    expected = read_packed(write(tmp_path / "month.npz", month))
    whole = (tmp_path / "month.npz").read_bytes()
    path = tmp_path / "month_flipped.npz"
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            trace = read_packed(path)
        except TraceError:
            continue
        np.testing.assert_array_equal(trace.active_frac, expected.active_frac)
        np.testing.assert_array_equal(trace.memory_bytes, expected.memory_bytes)


@needs_bitbrains
@pytest.mark.parametrize(
    ("name", "num_vms", "num_samples"),
    [("small_200vm_2013-08", 200, 8640), ("rnd_2013-08", 499, 8640), ("rnd_2013-07", 425, 4490)],
)
def test_real_months(name: str, num_vms: int, num_samples: int) -> None:
    trace = read_packed(BITBRAINS / f"{name}.npz")
    assert (trace.num_vms, trace.num_samples, trace.step_s) == (num_vms, num_samples, 300.0)
    assert 0.03 < trace.active_frac.mean() < 0.15  # CARD.md: mean 0.089 in August
