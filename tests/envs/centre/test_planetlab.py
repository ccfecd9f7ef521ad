import numpy as np
import pytest

from gymbal_envs.demand.planetlab import NUM_SAMPLES, planetlab_days, read_planetlab
from gymbal_envs.demand.trace import TraceError

NAMES = ["a_b", "aa", "B"]
"""In order of name: B, a_b, aa; caseless: AA, A_B, B."""


@pytest.fixture
def cpu():
    return np.random.default_rng(0).integers(0, 101, (3, NUM_SAMPLES)).astype(np.uint8)


@pytest.fixture
def packed(tmp_path, cpu):
    path = tmp_path / "days.npz"
    days = np.array(["20110303", "20110303", "20110303", "20110309"])
    rows = np.vstack([cpu, cpu[:1]])
    np.savez(path, day=days, name=np.array([*NAMES, "only"]), cpu_pct=rows)
    return path


@pytest.fixture
def folder(tmp_path, cpu):
    for day in ("20110303", "20110309"):
        (tmp_path / "planetlab" / day).mkdir(parents=True)
        for name, row in zip(NAMES, cpu, strict=True):
            path = tmp_path / "planetlab" / day / name
            path.write_text("\n".join(map(str, row)) + "\n")
    return tmp_path / "planetlab"


def test_packed_and_folder_hold_the_same(packed, folder, cpu):
    for order in ("caseless", "name"):
        one, other = (read_planetlab(path, "20110303", order) for path in (packed, folder))
        assert (one.day, one.names) == (other.day, other.names)
        np.testing.assert_array_equal(one.cpu_pct, other.cpu_pct)
    alone = read_planetlab(folder / "20110309")
    assert alone.day == "20110309"
    np.testing.assert_array_equal(alone.cpu_pct[alone.names.index("aa")], cpu[1])


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("caseless", ("aa", "a_b", "B")), ("name", ("B", "a_b", "aa")),
        ("listing", ("a_b", "aa", "B")),
    ],
)  # fmt: skip
def test_orders(packed, cpu, order, names):
    day = read_planetlab(packed, "20110303", order)
    assert day.names == names
    np.testing.assert_array_equal(day.cpu_pct, cpu[[NAMES.index(name) for name in names]])


def test_listing_is_the_folders(folder):
    listed = tuple(path.name for path in (folder / "20110303").iterdir())
    assert read_planetlab(folder, "20110303", "listing").names == listed


def test_days_are_listed(packed, folder):
    assert planetlab_days(packed) == planetlab_days(folder) == ("20110303", "20110309")


def test_an_unknown_day_lists_the_known(packed, folder):
    for path in (packed, folder):
        with pytest.raises(TraceError, match=r"day '2012' is not in it; it holds 20110303, 2011"):
            read_planetlab(path, "2012")
        with pytest.raises(TraceError, match=r"a day must be chosen; it holds 20110303, 20110309"):
            read_planetlab(path)


def test_a_day_has_no_days(folder):
    with pytest.raises(TraceError, match="holds no folder '20110303'; it is one day itself"):
        read_planetlab(folder / "20110309", "20110303")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:100], "aa: is truncated: it has 100 lines and must have 288"),
        (lambda lines: [*lines, "1"], "aa: is too long: it has 289 lines"),
        (lambda lines: ["101", *lines[1:]], "aa: line 1 is '101'; each must be a whole percentage"),
        (lambda lines: [*lines[:-1], "1.5"], "aa: line 288 is '1.5'"),
        (lambda lines: ["-1", *lines[1:]], "aa: line 1 is '-1'"),
    ],
)
def test_broken_files_are_named(folder, change, message):
    path = folder / "20110303" / "aa"
    path.write_text("\n".join(change(path.read_text().split())))
    with pytest.raises(TraceError, match=message):
        read_planetlab(folder, "20110303")


def test_a_file_that_is_no_text(folder):
    (folder / "20110303" / "aa").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TraceError, match="aa: cannot be read as text"):
        read_planetlab(folder, "20110303")


def test_hidden_files_are_none(folder):
    (folder / "20110303" / ".DS_Store").write_text("x")
    assert len(read_planetlab(folder, "20110303").names) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"cpu_pct": np.full((2, NUM_SAMPLES), 130, np.uint8)},
            "cpu_pct of 'x' at sample 0 is 130",
        ),
        ({"cpu_pct": np.zeros((2, 5), np.uint8)}, r"cpu_pct has shape \(2, 5\)"),
        ({"cpu_pct": np.zeros((2, NUM_SAMPLES))}, "cpu_pct is float64; pack whole percents"),
        ({"name": np.array(["x"])}, r"name has shape \(1,\)"),
    ],
)
def test_broken_packs_are_named(tmp_path, changes, message):
    fields = {
        "day": np.array(["d", "d"]),
        "name": np.array(["x", "y"]),
        "cpu_pct": np.zeros((2, NUM_SAMPLES), np.uint8),
    }
    path = tmp_path / "days.npz"
    np.savez(path, **(fields | changes))
    with pytest.raises(TraceError, match=message):
        read_planetlab(path, "d")


def test_a_pack_without_a_field(tmp_path):
    np.savez(tmp_path / "days.npz", day=np.array(["d"]), cpu_pct=np.zeros((1, NUM_SAMPLES)))
    with pytest.raises(TraceError, match=r"name.*pack day, name and cpu_pct"):
        read_planetlab(tmp_path / "days.npz")


def test_what_is_no_pack(tmp_path):
    (tmp_path / "days.npz").write_text("day,name")
    with pytest.raises(TraceError, match=r"days.npz: cannot be read .*; copy it again"):
        read_planetlab(tmp_path / "days.npz")


def test_nothing_there(tmp_path):
    with pytest.raises(TraceError, match=r"does not exist; give an \.npz or a folder"):
        read_planetlab(tmp_path / "days")
    with pytest.raises(TraceError, match="is empty; give a folder with one file for each VM"):
        read_planetlab(tmp_path)


def test_an_unknown_order(tmp_path):
    with pytest.raises(
        TraceError, match="order is 'random'; choose one of caseless, name, listing"
    ):
        read_planetlab(tmp_path, order="random")
