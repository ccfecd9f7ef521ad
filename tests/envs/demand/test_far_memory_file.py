"""Slowdowns from files: both formats tell the same, and what is wrong is named with its place."""

import json

import numpy as np
import pytest

from gymbal_envs.demand.far_memory_file import read_slowdowns
from gymbal_envs.demand.sheet import CurveError

GOOD = {"local_ratio": [1, 0.8, 0.5], "runtime_s": [50.0, 60.0, 100.0], "rss_mb_small": 8250}


def as_json(tmp_path, workloads):
    path = tmp_path / "slow.json"
    path.write_text(json.dumps({"source": "made up", "workloads": workloads}))
    return path


def test_both_formats_tell_the_same(tmp_path):
    (first,) = read_slowdowns(as_json(tmp_path, {"sorter": GOOD}))
    path = tmp_path / "slow.csv"
    path.write_text("program,local_ratio,slowdown\nsorter,1,1\nsorter,0.8,1.2\nsorter,0.5,2\n")
    (second,) = read_slowdowns(path)
    for points in (first, second):
        assert points.program == "sorter"
        np.testing.assert_array_equal(points.local_frac, [1.0, 0.8, 0.5])
        np.testing.assert_allclose(points.slowdown, [1.0, 1.2, 2.0])


def test_slowdowns_that_are_given_are_kept(tmp_path):
    given = GOOD | {"slowdown": [1.0, 1.25, 2.5]}
    (points,) = read_slowdowns(as_json(tmp_path, {"sorter": given}))
    assert points.slowdown.tolist() == [1.0, 1.25, 2.5]


def test_programs_of_a_table_may_be_mixed(tmp_path):
    path = tmp_path / "slow.csv"
    path.write_text("program,local_ratio,runtime_s\na,1,10\nb,0.5,30\na,0.5,15\nb,1,20\n")
    a, b = read_slowdowns(str(path))
    assert (a.program, a.slowdown.tolist()) == ("a", [1.0, 1.5])
    assert (b.program, b.slowdown.tolist()) == ("b", [1.5, 1.0])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"local_ratio": [1, 0.8]}, "2 local_ratios do not go with 3 run times"),
        ({"local_ratio": [1, 80, 0.5]}, r"local_ratio must lie in \[0, 1\], found 80"),
        ({"local_ratio": [1, "most", 0.5]}, "local_ratio: must be a list of numbers"),
        ({"runtime_s": [50.0, 0.0, 100.0]}, "must be above 0, found 0"),
        ({"runtime_s": [50.0, None, 100.0]}, "must be above 0, found nan"),
        ({"local_ratio": [0.9, 0.8, 0.5]}, "needs a point at local_ratio 1"),
        ({"local_ratio": None}, "1 local_ratios do not go with 3 run times"),
    ],
)
def test_what_is_wrong_in_json_is_named(tmp_path, changes, named):
    path = as_json(tmp_path, {"sorter": GOOD | changes})
    with pytest.raises(CurveError, match=f"{path}: workloads.sorter.*{named}"):
        read_slowdowns(path)


def test_missing_columns_are_named(tmp_path):
    for left_out, named in (("local_ratio", "no local_ratio"), ("runtime_s", "neither slowdown")):
        columns = {name: values for name, values in GOOD.items() if name != left_out}
        with pytest.raises(CurveError, match=named):
            read_slowdowns(as_json(tmp_path, {"sorter": columns}))
    path = tmp_path / "slow.csv"
    path.write_text("program,ratio\na,1\n")
    with pytest.raises(CurveError, match="no column local_ratio, runtime_s"):
        read_slowdowns(path)


def test_what_is_no_such_file_is_named(tmp_path):
    for name in ("none.json", "none.csv"):
        with pytest.raises(CurveError, match=f"{name}: there is no such file"):
            read_slowdowns(tmp_path / name)
    with pytest.raises(CurveError, match="no known format"):
        read_slowdowns(tmp_path / "slow.txt")
    for content in ("not json", "[1, 2]", '{"workloads": {}}', '{"workloads": {"a": 3}}'):
        path = tmp_path / "bad.json"
        path.write_text(content)
        with pytest.raises(CurveError, match=r"bad\.json"):
            read_slowdowns(path)
