"""Gymbal's Parquet: exact round trips, tables from other tools, damage."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gymbal_envs.demand.parquet import read_parquet, write_parquet
from gymbal_envs.demand.trace import Trace, TraceError

METADATA = {"gymbal_schema": "gymbal.trace", "gymbal_schema_version": "1", "step_s": "300"}
fractions = st.floats(0, 1, width=32)
seconds = st.floats(-1e10, 1e10, allow_nan=False)
sizes = st.floats(1e-3, 1e15, exclude_min=True)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    n, t = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    ids = st.integers(-(2**63), 2**63 - 1)
    return Trace(
        name=draw(st.text(st.characters(codec="utf-8"), max_size=20)),
        start_s=draw(seconds),
        step_s=draw(st.floats(1e-3, 1e6)),
        vm_id=draw(arrays(np.int64, n, elements=ids, unique=True)),
        cores=draw(arrays(np.float64, n, elements=sizes)),
        memory_bytes=draw(arrays(np.float64, n, elements=sizes)),
        cpu_frac=draw(arrays(np.float32, (n, t), elements=fractions)),
        active_frac=draw(arrays(np.float32, (n, t), elements=fractions)),
        repairs=tuple(draw(st.lists(st.text(st.characters(codec="utf-8")), max_size=3))),
    )


def assert_same(one: Trace, other: Trace) -> None:
    for field in fields(Trace):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, np.ndarray):
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)
        else:
            assert mine == theirs


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(trace=traces())
def test_round_trip_is_exact(tmp_path: Path, trace: Trace) -> None:
    path = tmp_path / "trace.parquet"
    write_parquet(trace, path)
    assert_same(read_parquet(path), trace)
    assert [p.name for p in tmp_path.iterdir()] == ["trace.parquet"]


@pytest.fixture
def trace() -> Trace:
    rng = np.random.default_rng(0)
    return Trace(
        name="fleet",
        start_s=1_375_308_176.0,
        step_s=300.0,
        vm_id=np.array([4, 7], np.int64),
        cores=np.array([1.0, 2.0]),
        memory_bytes=np.array([1e9, 2e9]),
        cpu_frac=rng.random((2, 30), dtype=np.float32),
        active_frac=rng.random((2, 30), dtype=np.float32),
        repairs=("Something was repaired: 1.",),
    )


def table_of(trace: Trace, path: Path) -> pl.DataFrame:
    write_parquet(trace, path)
    return pl.read_parquet(path)


def written_elsewhere(table: pl.DataFrame, path: Path, **metadata: str) -> Path:
    table.write_parquet(path, metadata=METADATA | metadata)
    return path


def test_columns_and_metadata_are_the_documented_ones(tmp_path: Path, trace: Trace) -> None:
    path = tmp_path / "trace.parquet"
    table = table_of(trace, path)
    assert {name: str(kind) for name, kind in table.schema.items()} == {
        "vm_id": "Int64",
        "time_s": "Float64",
        "cores": "Float64",
        "memory_bytes": "Float64",
        "cpu_frac": "Float32",
        "active_frac": "Float32",
    }
    assert table["time_s"][:2].to_list() == [trace.start_s, trace.start_s + 300]
    metadata = pl.read_parquet_metadata(path)
    assert metadata["gymbal_schema"] == "gymbal.trace"
    assert (metadata["gymbal_schema_version"], metadata["step_s"]) == ("1", "300.0")


def test_table_of_another_tool_in_any_order(tmp_path: Path, trace: Trace) -> None:
    table = table_of(trace, tmp_path / "trace.parquet").sort("time_s", "vm_id")
    read = read_parquet(written_elsewhere(table, tmp_path / "other.parquet"))
    assert (read.name, read.start_s, read.repairs) == ("other", trace.start_s, ())
    np.testing.assert_array_equal(read.active_frac, trace.active_frac)
    np.testing.assert_array_equal(read.cpu_frac, trace.cpu_frac)


def test_earlier_repairs_are_kept_when_more_follow(tmp_path: Path, trace: Trace) -> None:
    table = table_of(trace, tmp_path / "trace.parquet")
    holed = table.filter(pl.int_range(pl.len()) != 5)
    path = written_elsewhere(holed, tmp_path / "other.parquet", repairs='["Earlier: 3."]')
    read = read_parquet(path)
    assert read.active_frac[0, 5] == trace.active_frac[0, 4]
    assert read.repairs == ("Earlier: 3.", "Missing samples filled (gaps up to 3600 s): 1.")


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("cpu_frac", -0.5, "is negative"),
        ("active_frac", float("nan"), "is not a number"),
        ("active_frac", None, "is not a number"),
        ("memory_bytes", float("inf"), "is not finite"),
        ("memory_bytes", 0.0, "is zero although the VM uses"),
        ("cores", 0.0, "is zero although the VM uses CPU"),
        ("time_s", None, "is not a number"),
        ("time_s", -1e300, "is too far from 1970"),
        ("vm_id", None, "is missing"),
    ],
)
def test_impossible_row_is_refused_or_dropped(
    tmp_path: Path, trace: Trace, column: str, value: float | None, problem: str
) -> None:
    table = table_of(trace, tmp_path / "trace.parquet")
    hit = pl.int_range(pl.len()) == 5
    table = table.with_columns(
        pl.when(hit).then(pl.lit(value, table.schema[column])).otherwise(column).alias(column)
    )
    path = written_elsewhere(table, tmp_path / "other.parquet")
    with pytest.raises(TraceError, match=f"line 6, column '{column}'.*{problem}"):
        read_parquet(path)
    repaired = read_parquet(path, repair=True)
    assert any(problem in sentence for sentence in repaired.repairs)
    assert repaired.active_frac[0, 5] == trace.active_frac[0, 4]


def test_damaged_file(tmp_path: Path, trace: Trace) -> None:
    write_parquet(trace, tmp_path / "trace.parquet")
    whole = (tmp_path / "trace.parquet").read_bytes()
    path = tmp_path / "damaged.parquet"
    for content in (b"", b"PAR1", whole[:100], whole[: len(whole) // 2], whole[:-1], b"\x00" * 999):
        path.write_bytes(content)
        with pytest.raises(TraceError, match=r"damaged\.parquet"):
            read_parquet(path)


def test_flipped_bytes_never_give_a_wrong_demand(tmp_path: Path, trace: Trace) -> None:
    write_parquet(trace, tmp_path / "trace.parquet")
    whole = (tmp_path / "trace.parquet").read_bytes()
    path = tmp_path / "flipped.parquet"
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for at in range(4, footer, 11):  # the pages; the footer holds names and the checksum itself
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            read = read_parquet(path)
        except TraceError:
            continue
        assert_same(read, trace)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("gymbal_schema", "other", "metadata 'gymbal_schema' is 'other'"),
        ("gymbal_schema_version", "99", "metadata 'gymbal_schema_version' is '99', not '1'"),
        ("step_s", "often", "metadata 'step_s' is 'often'"),
        ("step_s", "-300", "metadata 'step_s' is -300"),
        ("start_s", "nan", "metadata 'start_s' is 'nan'"),
        ("repairs", "{", "metadata 'repairs' must be a JSON list"),
        ("crc32", "00000000", "does not match its checksum"),
    ],
)
def test_wrong_metadata(tmp_path: Path, trace: Trace, key: str, value: str, message: str) -> None:
    table = table_of(trace, tmp_path / "trace.parquet")
    path = written_elsewhere(table, tmp_path / "other.parquet", **{key: value})
    with pytest.raises(TraceError, match=message):
        read_parquet(path)


def test_table_without_metadata_says_how_to_get_it(tmp_path: Path, trace: Trace) -> None:
    table = table_of(trace, tmp_path / "trace.parquet")
    table.write_parquet(tmp_path / "plain.parquet")
    with pytest.raises(TraceError, match=r"import_trace\.py"):
        read_parquet(tmp_path / "plain.parquet")


def test_wrong_or_missing_column(tmp_path: Path, trace: Trace) -> None:
    table = table_of(trace, tmp_path / "trace.parquet")
    path = tmp_path / "other.parquet"
    for wrong in (table.drop("cores"), table.with_columns(pl.col("cores").cast(pl.String))):
        with pytest.raises(TraceError, match="column 'cores' must be Float64"):
            read_parquet(written_elsewhere(wrong, path))


def test_empty_table(tmp_path: Path, trace: Trace) -> None:
    table = table_of(trace, tmp_path / "trace.parquet").clear()
    with pytest.raises(TraceError, match=r"no VM is left\. It holds no sample"):
        read_parquet(written_elsewhere(table, tmp_path / "other.parquet", start_s="0"))


def test_times_too_far_apart_for_the_step(tmp_path: Path, trace: Trace) -> None:
    table = table_of(trace, tmp_path / "trace.parquet").sample(fraction=1.0, shuffle=True, seed=0)
    with pytest.raises(TraceError, match="too long for a step of 1e-300 s"):
        read_parquet(written_elsewhere(table, tmp_path / "other.parquet", step_s="1e-300"))


def test_what_cannot_be_written(tmp_path: Path, trace: Trace) -> None:
    twice = Trace(**(vars(trace) | {"vm_id": np.array([4, 4])}))
    with pytest.raises(TraceError, match="holds a vm_id twice"):
        write_parquet(twice, tmp_path / "trace.parquet")
    none = Trace(
        **(vars(trace) | {k: getattr(trace, k)[:, :0] for k in ("cpu_frac", "active_frac")})
    )
    with pytest.raises(TraceError, match="holds no sample"):
        write_parquet(none, tmp_path / "trace.parquet")
    with pytest.raises(TraceError, match="cannot be written"):
        write_parquet(trace, tmp_path / "nowhere" / "trace.parquet")
