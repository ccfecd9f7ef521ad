"""One codec for every task: rows, actions and fingerprints follow from the task's parts."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from gymbal_runtime.codec import Codec, default_codec
from gymbal_runtime.codec_agent import CodecAgent
from gymbal_runtime.command import FIELDS, Command
from gymbal_runtime.golden import GoldenCase, golden_case
from gymbal_runtime.guard import GuardLimits, guard
from gymbal_runtime.heuristics import heuristics_of, make_heuristic
from gymbal_runtime.observation import HISTORY_STEPS
from gymbal_runtime.parts import parts_of
from gymbal_runtime.policy import InvalidActionError, check_action
from gymbal_runtime.tasks import BALLOON, CACHE, HOST, TASKS, short_name
from gymbal_runtime.training_range import FeatureRange, RangeCheck, TrainingRange

DECIDED = {
    BALLOON: {"balloon_bytes"},
    CACHE: {"llc_class", "llc_units"},
    HOST: {*FIELDS} - {"cpu_cap_cores"},  # caps are no task's
}


def proposal(task, record):
    codec = default_codec(task)
    heuristic = make_heuristic(codec.heuristic, **codec.options)
    heuristic.reset(*record.present.shape)
    return codec, heuristic.act(record)


def some_action(codec, record, rng):
    return rng.uniform(-3, 3, (*record.present.shape, *codec.action_axes))


def test_fields__are_all_there_are() -> None:
    assert tuple(f.name for f in fields(Command)) == FIELDS


def test_tasks__have_short_names() -> None:
    assert [short_name(task) for task in TASKS] == ["balloon", "cache", "host"]
    with pytest.raises(ValueError, match="no task 'gymbal/Balloon-v1'; there are gymbal/Ball"):
        Codec("gymbal/Balloon-v1", "senpai")


def test_heuristics__names_are_unique_over_tasks() -> None:
    names = [name for task in TASKS for name in heuristics_of(task)]
    assert len(names) == len(set(names))
    for name in names:
        assert make_heuristic(name).name == name


@pytest.mark.parametrize("task", TASKS)
def test_spec__is_plain_json_and_says_what_each_number_is(task) -> None:
    codec = default_codec(task)
    spec = codec.spec()
    assert json.loads(json.dumps(spec)) == spec
    names = [q["name"] for q in spec["vm_quantities"]]
    assert len(set(names)) == len(names)
    tracked = len(spec["history_quantities"])
    assert codec.num_vm_features == len(names) + HISTORY_STEPS * tracked
    assert codec.num_host_features == len(spec["host_quantities"])
    prefixed = [name for name in names if "." in name]
    assert bool(prefixed) == (len(parts_of(task)) > 1)
    for part in parts_of(task):
        for name, value in part.constants.items():
            key = name if len(parts_of(task)) == 1 else f"{part.name}.{name}"
            assert spec[key] == value


def test_fingerprint__tells_tasks_apart() -> None:
    assert len({default_codec(task).fingerprint() for task in TASKS}) == len(TASKS)


def test_spec__action_has_an_axis_of_its_own_only_where_a_vm_gets_several() -> None:
    assert default_codec(BALLOON).spec()["action"] == {"shape": ["vms"], "low": -1.0, "high": 1.0}
    action = default_codec(HOST).spec()["action"]
    assert action["shape"] == ["vms", len(action["names"])]
    assert action["names"] == [name for part in parts_of(HOST) for name in part.actions]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("missing_frac", [0.0, 0.3])
def test_encode__stays_within_bounds_and_permutes(make_whole_record, task, missing_frac) -> None:
    rng = np.random.default_rng(0)
    record = make_whole_record(rng, 50, 6, occupied=0.8)
    holes = rng.random(record.present.shape) < missing_frac
    for name in ("stall_frac", "cpu_weight", "io_rate_bytes_s", "usable_bytes", "device_mode"):
        values = np.where(holes, np.nan, getattr(record, name))
        record = replace(record, **{name: values})
    codec, base = proposal(task, record)
    order = rng.permutation(6)
    shuffled_base = Command(**{name: values[:, order] for name, values in base.given.items()})
    history = shuffled_history = codec.initial_history(50, 6)
    for _ in range(HISTORY_STEPS + 1):
        seen, history = codec.encode(record, base, history)
        for name, (low, high) in codec.bounds().items():
            assert seen[name].dtype == np.float32
            assert np.isfinite(seen[name]).all()
            assert ((seen[name] >= low) & (seen[name] <= high)).all(), name
        assert not seen["vms"][~record.present].any()
        shuffled, shuffled_history = codec.encode(
            record.take_vms(order), shuffled_base, shuffled_history
        )
        np.testing.assert_allclose(shuffled["vms"], seen["vms"][:, order], atol=1e-5)
        np.testing.assert_allclose(shuffled["host"], seen["host"], atol=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_decode__zero_is_the_heuristic_in_every_field(make_whole_record, task) -> None:
    record = make_whole_record(np.random.default_rng(1), 200, 6, occupied=0.8)
    codec, base = proposal(task, record)
    zero = np.zeros((*record.present.shape, *codec.action_axes))
    command = codec.decode(zero, record, base)
    now = {"balloon_bytes": record.actual_bytes, "cpu_weight": record.cpu_weight}
    for name in DECIDED[task]:
        proposed = getattr(base, name)
        proposed = np.where(np.isnan(proposed), now.get(name, np.nan), proposed)
        told = getattr(command, name)
        np.testing.assert_allclose(told[record.present], proposed[record.present], err_msg=name)
        assert np.isnan(told[~record.present]).all()
    for name in set(command.given) - DECIDED[task]:
        assert np.isnan(command.given[name]).all()


@pytest.mark.parametrize("task", TASKS)
def test_decode__the_guard_refuses_nothing(make_whole_record, task) -> None:
    rng = np.random.default_rng(2)
    record = make_whole_record(rng, 200, 6, occupied=0.8)
    codec, base = proposal(task, record)
    for _ in range(5):
        command = codec.decode(some_action(codec, record, rng), record, base)
        allowed, report = guard(command, record, GuardLimits(np.inf, 0.0))
        assert not any(
            getattr(report, f.name).any() for f in fields(report) if f.name.endswith("_refused")
        )
        for name in DECIDED[task] - {"balloon_bytes"}:
            np.testing.assert_array_equal(allowed.given[name], command.given[name])


@pytest.mark.parametrize("task", [CACHE, HOST])
def test_codec_agent__a_nan_action_is_refused_and_shapes_are_checked(
    make_whole_record, task
) -> None:
    record = make_whole_record(np.random.default_rng(3))
    codec = default_codec(task)
    right = np.zeros((1, 6, *codec.action_axes), dtype=np.float32)
    for wrong in (right * np.nan, right[:, :, 0], right[:, :3]):
        agent = CodecAgent(codec, lambda observation, answer=wrong: answer)
        agent.reset(1, 6)
        with pytest.raises(InvalidActionError):
            agent.act(record)
    agent = CodecAgent(codec, lambda observation: right)
    agent.reset(1, 6)
    assert set(agent.act(record).given) == DECIDED[task] | {"balloon_bytes"}


def test_golden_case__keeps_the_axis_of_actions(make_whole_record) -> None:
    record = make_whole_record(np.random.default_rng(4))
    codec, base = proposal(CACHE, record)
    observation, _ = codec.encode(record, base, codec.initial_history(1, 6))
    action = np.random.default_rng(5).uniform(-1, 1, (1, 6, 2))
    case: GoldenCase = golden_case(observation, action)
    again, expected = case.arrays()
    np.testing.assert_allclose(expected, action, atol=1e-6)
    np.testing.assert_array_equal(check_action(expected, again, (2,)), expected)


def test_training_range__is_of_one_codec(bundle) -> None:
    known: TrainingRange = bundle.manifest.training_range
    RangeCheck(known, bundle.codec)
    with pytest.raises(ValueError, match="the codec has"):
        RangeCheck(known, default_codec(CACHE))
    with pytest.raises(ValueError, match="more lower than upper"):
        FeatureRange(known.tables["vms"].low[1:], known.tables["vms"].high)


@pytest.mark.parametrize(
    ("task", "golden"),
    [
        (CACHE, "59ecf22c187ae20b8fe1fb9d14fb4d3c894ca5a664151a799fde6cddf27f6d54"),
        (HOST, "433ed9bb296f87820ac93a9dd17d713ad4aec8118e3c013d3e84561c4316334c"),
    ],
)
def test_fingerprint__changes_only_on_purpose(task: str, golden: str) -> None:
    """Whoever changes it makes every trained policy of the task unusable: say so in CHANGELOG."""
    assert default_codec(task).fingerprint() == golden
