"""The codec: numbers that mean the same in training and on a host."""

from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.codec import Codec
from gymbal_runtime.command import Command
from gymbal_runtime.guard import GuardLimits, guard
from gymbal_runtime.observation import HISTORY_STEPS
from gymbal_runtime.parts.memory_quantities import HISTORY_QUANTITIES, VM_QUANTITIES
from gymbal_runtime.plausibility import plausible_hosts
from gymbal_runtime.tasks import BALLOON

GIB = 2.0**30
CODEC = Codec(BALLOON, "senpai")


def encoded(record, base=None):
    base = Command(record.actual_bytes if base is None else base)
    history = CODEC.initial_history(record.num_hosts, record.num_vms)
    return CODEC.encode(record, base, history)


def test_fingerprint__is_the_golden_one(fixtures):
    # A change here changes what every exported policy means: regenerate with make_fixture.py,
    # bump CODEC_VERSION and train again.
    golden = (fixtures / "codec_fingerprint.txt").read_text().strip()
    assert CODEC.fingerprint() == golden


def test_fingerprint__depends_on_heuristic_and_options():
    codecs = [
        CODEC,
        Codec(BALLOON, "static"),
        Codec(BALLOON, "meb", {"miss_ratio": 0.1}),
        Codec(BALLOON, "meb", {"miss_ratio": 0.1, "weighted": True}),
    ]
    assert len({codec.fingerprint() for codec in codecs}) == len(codecs)
    backwards = Codec(BALLOON, "meb", {"weighted": True, "miss_ratio": 0.1})
    assert backwards.fingerprint() == codecs[-1].fingerprint()


@pytest.mark.parametrize("kind", ["make_record", "fuzz_record"])
def test_encode__features_stay_within_their_bounds(kind, request):
    rng = np.random.default_rng(0)
    record = request.getfixturevalue(kind)(rng, 3000)
    record = record.take_hosts(np.flatnonzero(plausible_hosts(record)))
    codec, bounds = CODEC, CODEC.bounds()
    history = codec.initial_history(record.num_hosts, record.num_vms)
    for _ in range(HISTORY_STEPS + 1):
        base = Command(rng.uniform(-1, 20, record.present.shape) * GIB)
        observation, history = codec.encode(record, base, history)
        for name, (low, high) in bounds.items():
            values = observation[name]
            assert values.dtype == np.float32
            assert np.isfinite(values).all()
            assert (values >= low).all(), name
            assert (values <= high).all(), name
    assert not observation["vms"][~record.present].any()


def test_encode__permuting_vms_permutes_rows(make_record):
    rng = np.random.default_rng(1)
    record = make_record(rng, 3, 7, occupied=0.8)
    order = rng.permutation(7)
    straight, _ = encoded(record)
    shuffled, _ = encoded(record.take_vms(order))
    np.testing.assert_allclose(shuffled["vms"], straight["vms"][:, order], atol=1e-6)
    np.testing.assert_allclose(shuffled["host"], straight["host"], atol=1e-6)


def test_encode__size_of_host_does_not_matter(make_record):
    record = make_record(np.random.default_rng(2))
    scaled = {
        name: getattr(record, name) * 16 for name in record.__slots__ if name.endswith("_bytes")
    }
    bigger = type(record)(**{n: scaled.get(n, getattr(record, n)) for n in record.__slots__})
    np.testing.assert_allclose(encoded(bigger)[0]["vms"], encoded(record)[0]["vms"], atol=1e-6)


def test_encode__history_is_zero_first_and_difference_after(make_record):
    rng = np.random.default_rng(3)
    first, second = make_record(rng), make_record(rng)
    width, start = len(HISTORY_QUANTITIES), len(VM_QUANTITIES)
    observation, history = encoded(first)
    assert observation["vms"].shape[-1] == CODEC.num_vm_features
    assert not observation["vms"][..., start:].any()
    observation, _ = CODEC.encode(second, Command(second.actual_bytes), history)
    pressure = observation["vms"][..., start + 3]
    expected = (second.psi_some_frac - first.psi_some_frac).astype(np.float32)
    np.testing.assert_allclose(pressure, expected, atol=1e-6)
    assert not observation["vms"][..., start + width :].any()


@pytest.mark.parametrize("num_vms", [1, 6, 64])
def test_decode__is_feasible_and_the_guard_agrees(make_record, num_vms):
    rng = np.random.default_rng(4)
    record = make_record(rng, 500, num_vms, occupied=0.8)
    base = Command(record.memory_min_bytes)
    action = rng.uniform(-3, 3, record.present.shape)
    action[rng.random(action.shape) < 0.1] = np.nan
    command = CODEC.decode(action, record, base)
    target = np.where(record.present, command.balloon_bytes, 0.0)
    floors = np.where(record.present, record.memory_min_bytes, 0.0).sum(axis=1)
    fits = floors <= record.budget_bytes
    assert (target.sum(axis=1) <= record.budget_bytes * (1 + 1e-9)).all()
    assert (target >= record.memory_min_bytes * (1 - 1e-12))[record.present & fits[:, None]].all()
    _, report = guard(command, record, GuardLimits(np.inf, 0.0))
    assert not report.over_budget.any()
    assert not report.clamped[fits].any()


def test_decode__more_action_is_more_memory(make_record):
    record = make_record(np.random.default_rng(5), 100)
    base = Command(0.5 * (record.memory_min_bytes + record.actual_bytes))
    action = np.zeros(record.present.shape)
    low = CODEC.decode(action, record, base).balloon_bytes
    action[:, 0] = 1.0
    high = CODEC.decode(action, record, base).balloon_bytes
    assert (high[:, 0] >= low[:, 0]).all()
    assert (high[:, 1:] <= low[:, 1:] * (1 + 1e-9)).all()
