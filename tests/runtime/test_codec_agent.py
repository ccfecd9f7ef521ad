"""CodecAgent: a policy as a correction to its heuristic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.agent import Agent
from gymbal_runtime.codec import Codec, Observation
from gymbal_runtime.codec_agent import CodecAgent
from gymbal_runtime.heuristics import make_heuristic
from gymbal_runtime.policy import InvalidActionError
from gymbal_runtime.tasks import BALLOON
from gymbal_runtime.training_range import (
    FeatureRange,
    MissingTelemetryError,
    OutOfTrainingRangeError,
    RangeCheck,
    TrainingRange,
    always_measured,
    range_of,
)

CODEC = Codec(BALLOON, "senpai")


def zero(observation: Observation) -> np.ndarray:
    return np.zeros(observation["present"].shape, dtype=np.float32)


def test_codec_agent__zero_action_is_the_heuristic(make_record):
    rng = np.random.default_rng(0)
    agent, heuristic = CodecAgent(CODEC, zero), make_heuristic("senpai")
    agent.reset(50, 6)
    heuristic.reset(50, 6)
    for _ in range(5):
        record = make_record(rng, 50, 6, occupied=0.8)
        base = heuristic.act(record).balloon_bytes
        base = np.where(np.isnan(base), record.actual_bytes, base)
        corrected = agent.act(record).balloon_bytes
        np.testing.assert_array_equal(corrected[record.present], base[record.present])
        assert np.isnan(corrected[~record.present]).all()


@pytest.mark.parametrize("num_vms", [5, 40])
def test_codec_agent__permuting_vms_permutes_the_decision(bundle, make_record, num_vms):
    rng = np.random.default_rng(1)
    straight, shuffled = bundle.agent(), bundle.agent()
    order = rng.permutation(num_vms)
    straight.reset(3, num_vms)
    shuffled.reset(3, num_vms)
    for _ in range(4):
        record = make_record(rng, 3, num_vms)
        expected = straight.act(record).balloon_bytes[:, order]
        found = shuffled.act(record.take_vms(order)).balloon_bytes
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_codec_agent__batch_does_not_matter(bundle, make_record):
    rng = np.random.default_rng(2)
    together, alone = bundle.agent(), bundle.agent()
    together.reset(8, 5)
    alone.reset(1, 5)
    for _ in range(4):
        record = make_record(rng, 8, 5)
        expected = together.act(record).balloon_bytes[3]
        found = alone.act(record.take_hosts(np.array([3]))).balloon_bytes[0]
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_codec_agent__reset_forgets_marked_hosts_only(bundle, make_record):
    rng = np.random.default_rng(3)
    records = [make_record(rng, 2, 4) for _ in range(3)]
    kept, reset, fresh = bundle.agent(), bundle.agent(), bundle.agent()
    for agent in (kept, reset, fresh):
        agent.reset(2, 4)
    for record in records[:2]:
        kept.act(record)
        reset.act(record)
    reset.reset(2, 4, np.array([True, False]))
    found = reset.act(records[2]).balloon_bytes
    np.testing.assert_array_equal(found[1], kept.act(records[2]).balloon_bytes[1])
    np.testing.assert_array_equal(found[0], fresh.act(records[2]).balloon_bytes[0])


def test_codec_agent__leaves_the_record_alone(bundle, make_record):
    record = make_record(np.random.default_rng(4))
    for name in record.__slots__:
        getattr(record, name).flags.writeable = False
    agent = bundle.agent(checked=True)
    agent.reset(1, 6)
    agent.act(record)


def test_codec_agent__refuses_another_shape(bundle, make_record):
    agent = bundle.agent()
    agent.reset(1, 5)
    with pytest.raises(ValueError, match=r"record is \(1, 6\), reset announced \(1, 5\)"):
        agent.act(make_record(np.random.default_rng(5)))


def test_codec_agent__nan_action_is_refused(make_record):
    agent = CodecAgent(CODEC, lambda o: zero(o) + np.float32(np.nan))
    agent.reset(1, 6)
    with pytest.raises(InvalidActionError):
        agent.act(make_record(np.random.default_rng(6)))


def test_codec_agent__silent_sensor_is_refused_only_when_checked(bundle, make_record):
    record = make_record(np.random.default_rng(7))
    silent = replace(record, psi_some_frac=np.full((1, 6), np.nan))
    checked, unchecked = bundle.agent(checked=True), bundle.agent()
    checked.reset(1, 6)
    unchecked.reset(1, 6)
    unchecked.act(silent)
    checked.act(record)
    with pytest.raises(MissingTelemetryError, match="psi_some_frac"):
        checked.act(silent)


def test_codec_agent__is_an_agent(bundle):
    assert isinstance(bundle.agent(), Agent)


@pytest.fixture
def observations() -> Observation:
    rng = np.random.default_rng(8)
    return Observation(
        vms=rng.uniform(0.2, 0.4, (500, 4, CODEC.num_vm_features)).astype(np.float32),
        host=rng.uniform(0.2, 0.4, (500, CODEC.num_host_features)).astype(np.float32),
        present=np.ones((500, 4), dtype=np.float32),
    )


def test_range_check__accepts_what_it_was_made_of(observations):
    known = range_of(observations, CODEC.signature)
    check = RangeCheck(known, CODEC)
    assert check.share_outside(observations).max() == 0
    check(observations)


def test_range_check__refuses_one_strange_vm_among_many(observations):
    known = range_of(observations, CODEC.signature)
    observations["vms"][17, 2] = -5.0
    share = RangeCheck(known, CODEC).share_outside(observations)
    assert share[17] > 0.8
    assert np.delete(share, 17).max() == 0
    with pytest.raises(OutOfTrainingRangeError):
        RangeCheck(known, CODEC)(observations)
    observations["present"][17, 2] = 0
    RangeCheck(known, CODEC)(observations)


def test_range_check__tolerates_a_few_strange_features(observations):
    known = range_of(observations, CODEC.signature)
    observations["vms"][:, :, :5] = 9.0
    RangeCheck(known, CODEC)(observations)
    RangeCheck(known, CODEC)(
        Observation(
            **{
                name: v[:, :0] if v.ndim > 1 and name != "host" else v
                for name, v in observations.items()
            }
        )
    )


def test_range_of__needs_a_vm(observations):
    with pytest.raises(ValueError, match="no VM is present"):
        range_of(observations | {"present": 0 * observations["present"]}, CODEC.signature)


def test_training_range__refuses_nonsense(bundle):
    known = bundle.manifest.training_range
    host = known.tables["host"]
    with pytest.raises(ValueError, match="lower bound above"):
        FeatureRange(host.high, host.low)
    with pytest.raises(ValueError, match="unknown telemetry fields"):
        TrainingRange(known.tables, ["working_set"])


def test_always_measured__counts_present_vms_only(make_record):
    record = make_record(np.random.default_rng(9), occupied=0.5)
    assert not record.present.all()
    holes = np.where(record.present, record.cpu_cores, np.nan)
    assert "cpu_cores" in always_measured(replace(record, cpu_cores=holes))
    holes = np.where(record.present, np.nan, record.cpu_cores)
    assert "cpu_cores" not in always_measured(replace(record, cpu_cores=holes))
