"""Controller: no failure stops it, every decision says who took it and why."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
from gymbal_runtime.codec import BalloonCodec
from gymbal_runtime.codec_agent import CodecAgent
from gymbal_runtime.command import Command
from gymbal_runtime.controller import Controller, Mode
from gymbal_runtime.decision import Decision, DecisionLog, slot_names
from gymbal_runtime.guard import GuardLimits
from gymbal_runtime.heuristics import make_heuristic
from gymbal_runtime.plausibility import plausible_hosts, without_impossible


class Clock:
    """A clock that policies in these tests can move."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Scripted:
    """An agent that does what it is told, exceptions included."""

    name = "scripted"

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.resets = 0

    def reset(self, num_hosts, num_vms, hosts=None) -> None:
        self.resets += 1

    def act(self, telemetry) -> Command:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer


@pytest.fixture
def record(make_record):
    return make_record(np.random.default_rng(0))


@pytest.fixture
def log(tmp_path):
    return DecisionLog(tmp_path / "decisions.jsonl")


@pytest.fixture
def control(log):
    def make(host, agent, fallback=None, **options) -> Controller:
        options = {"mode": Mode.ACT, "log": log, **options}
        return Controller(host, agent, fallback or make_heuristic("meb"), **options)

    return make


def lines(tmp_path) -> list[dict]:
    return [json.loads(line) for line in (tmp_path / "decisions.jsonl").open()]


def feasible(command: Command, record) -> bool:
    target = command.balloon_bytes
    actual = np.where(record.present, record.actual_bytes, 0.0)
    total = np.where(np.isfinite(target), target, actual).sum()
    return bool(total <= max(record.budget_bytes[0], actual.sum()))


def test_step__policy_decides_and_the_host_is_told(control, bundle, record, fake_host, tmp_path):
    host = fake_host(record)
    decision = control(host, bundle.agent(checked=True)).step()
    assert (decision.source, decision.reason, decision.errors) == ("policy", "", [])
    assert decision.applied
    (command,) = host.commands
    assert feasible(command, record)
    (line,) = lines(tmp_path)
    assert list(line) == list(Decision.__struct_fields__)
    targets = [line["targets"][f"vm{k}"] for k in range(6)]
    np.testing.assert_allclose(np.array(targets, dtype=float), command.balloon_bytes[0], atol=1)
    assert line["telemetry"]["budget_bytes"] == record.budget_bytes[0]


def test_step__modes(control, bundle, record, fake_host):
    for mode, source, told in (
        ("observe", "none", 0),
        ("advise", "policy", 0),
        ("act", "policy", 1),
    ):
        host = fake_host(record)
        decision = control(host, bundle.agent(), mode=mode).step()
        assert decision.source == source
        assert len(host.commands) == told
        assert bool(decision.targets) == (mode != "observe")
        assert decision.telemetry["num_vms"] == 6


def test_step__heuristic_alone(control, record, fake_host):
    decision = control(fake_host(record), None).step()
    assert (decision.source, decision.reason) == ("fallback", "no_policy")


BROKEN_POLICIES = {
    "raises": (lambda o: 1 / 0, "policy_error"),
    "NaN": (lambda o: np.full(o["present"].shape, np.nan), "policy_invalid"),
    "infinite": (lambda o: np.full(o["present"].shape, np.inf), "policy_invalid"),
    "shape": (lambda o: np.zeros(3), "policy_invalid"),
    "nothing": (lambda o: None, "policy_invalid"),
}


@pytest.mark.parametrize(("policy", "reason"), BROKEN_POLICIES.values(), ids=BROKEN_POLICIES.keys())
def test_step__broken_policy_leaves_it_to_the_heuristic(control, record, fake_host, policy, reason):
    host, alone = fake_host(record), fake_host(record)
    decision = control(host, CodecAgent(BalloonCodec(), policy)).step()
    assert (decision.source, decision.reason) == ("fallback", reason)
    assert decision.errors[0].startswith("policy: ")
    control(alone, None).step()
    np.testing.assert_array_equal(host.commands[0].balloon_bytes, alone.commands[0].balloon_bytes)


@pytest.mark.parametrize(
    "command", [None, Command(np.zeros((1, 2))), Command(np.full((1, 6), np.inf))]
)
def test_step__broken_agent_leaves_it_to_the_heuristic(control, record, fake_host, command):
    decision = control(fake_host(record), Scripted(command)).step()
    assert (decision.source, decision.reason) == ("fallback", "policy_error")


def test_step__late_policy_is_not_listened_to(control, record, fake_host):
    clock = Clock()

    def slow() -> Command:
        clock.now += 0.2
        return Command.no_change(1, 6)

    controller = control(fake_host(record), Scripted(slow), clock=clock, deadline_s=0.15)
    decision = controller.step()
    assert (decision.source, decision.reason) == ("fallback", "policy_late")
    assert decision.latency_s == pytest.approx(0.2)
    controller.deadline_s = 0.25
    assert controller.step().source == "policy"


def test_step__unlike_training(control, bundle, record, fake_host):
    known = bundle.manifest.training_range
    narrow = type(known)(known.vms_high, known.vms_high, known.host_high, known.host_high)
    agent = CodecAgent(bundle.codec, bundle.policy, known=narrow)
    decision = control(fake_host(record), agent).step()
    assert (decision.source, decision.reason) == ("fallback", "out_of_training_range")


def test_step__telemetry_that_the_policy_cannot_use(control, bundle, record, fake_host):
    silent = np.full((1, 6), np.nan)
    mad = record.swap_in_rate.copy()
    mad[0, 3] = -5.0
    cases = [
        (replace(record, psi_some_frac=silent), "fallback", "missing_telemetry"),
        (replace(record, swap_in_rate=mad), "fallback", "implausible_telemetry"),
        (replace(record, age_s=np.array([20.0])), "fallback", "stale_telemetry"),
        (replace(record, age_s=np.array([31.0])), "none", "stale_telemetry"),
        (replace(record, age_s=np.array([np.nan])), "none", "implausible_telemetry"),
        (replace(record, actual_bytes=silent), "none", "implausible_telemetry"),
        (replace(record, budget_bytes=np.array([-1.0])), "none", "implausible_telemetry"),
    ]
    for bad, source, reason in cases:
        host = fake_host(bad, record)
        controller = control(host, bundle.agent(checked=True))
        decision = controller.step()
        assert (decision.source, decision.reason) == (source, reason)
        assert bool(host.commands) == (source != "none")
        assert controller.step().source == "policy"


@pytest.mark.parametrize("lost", [OSError("gone"), ValueError("?"), None, "text", 3])
def test_step__lost_host(control, bundle, record, fake_host, lost):
    controller = control(fake_host(lost, record, names=tuple("abcdef")), bundle.agent())
    decision = controller.step()
    assert (decision.source, decision.reason) == ("none", "no_telemetry")
    assert controller.step().source == "policy"


def test_step__two_hosts_in_a_record(control, bundle, make_record, fake_host):
    decision = control(fake_host(make_record(np.random.default_rng(0), 2)), bundle.agent()).step()
    assert decision.reason == "no_telemetry"


def test_step__failing_heuristic(control, bundle, record, fake_host):
    broken = Scripted(RuntimeError("no"))
    decision = control(fake_host(record), bundle.agent(), broken).step()
    assert decision.source == "policy"
    decision = control(fake_host(record), Scripted(RuntimeError("no")), broken).step()
    assert (decision.source, decision.reason) == ("none", "policy_error")
    assert len(decision.errors) == 2


def test_step__disobedient_host(control, bundle, record, fake_host):
    host = fake_host(record)
    host.apply = Scripted(OSError("read only")).act
    decision = control(host, bundle.agent()).step()
    assert not decision.applied
    assert decision.errors == ["apply: OSError: read only"]


def test_step__log_and_metrics_that_cannot_be_written(bundle, record, fake_host, tmp_path):
    log = DecisionLog(tmp_path / "no" / "log")
    controller = Controller(
        fake_host(record),
        bundle.agent(),
        bundle.fallback(),
        mode="act",
        log=log,
        metrics_file=tmp_path / "no" / "metrics",
    )
    assert controller.step().applied
    assert controller.metrics.count("gymbal_errors_total", "log") == 1
    assert controller.metrics.count("gymbal_errors_total", "metrics") == 1
    (tmp_path / "no").mkdir()  # the disk is back
    controller.step()
    assert len((tmp_path / "no" / "log").read_text().splitlines()) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_step__lets_the_user_out(control, record, fake_host, error):
    with pytest.raises(error):
        control(fake_host(record), Scripted(error())).step()


def test_step__another_vm_in_a_slot_resets_the_agents(control, record, fake_host):
    agent, host = Scripted(Command.no_change(1, 6)), fake_host(record)
    controller = control(host, agent, Scripted(Command.no_change(1, 6)))
    controller.step()
    controller.step()
    assert agent.resets == 1
    host.vm_names = ("new", *host.vm_names[1:])
    controller.step()
    assert agent.resets == 2


def test_step__number_of_slots_may_change(control, bundle, make_record, fake_host):
    rng = np.random.default_rng(1)
    host = fake_host(*(make_record(rng, 1, n) for n in (3, 9, 0, 1, 300)))
    controller = control(host, bundle.agent())
    sources = [controller.step().source for _ in range(5)]
    assert sources == ["policy", "policy", "policy", "policy", "fallback"]


def test_step__ten_thousand_fuzzed_records(bundle, fuzz_record, fake_host, tmp_path):
    rng = np.random.default_rng(2)
    batch = fuzz_record(rng, 10_000)
    records = [batch.take_hosts(np.array([k])) for k in range(10_000)]
    for k in rng.choice(10_000, 2000, replace=False):
        records[k] = records[k].take_vms(rng.permutation(6))
    host = fake_host(*records)
    controller = Controller(
        host,
        bundle.agent(checked=True),
        bundle.fallback(),
        mode="act",
        limits=GuardLimits(dead_band_frac=0.0),
        log=DecisionLog(tmp_path / "log"),
        deadline_s=10.0,
    )
    told = 0
    sources = {"policy": 0, "fallback": 0, "none": 0}
    for record in records:
        decision = controller.step()
        assert decision.reason not in ("internal_error", "no_telemetry"), decision.errors
        assert not [e for e in decision.errors if not e.startswith(("policy:", "sensors:"))]
        sources[decision.source] += 1
        if decision.applied:
            command = host.commands[told]
            told += 1
            assert plausible_hosts(replace(record, **_known(record)))[0]
            assert feasible(command, record)
            assert not np.isinf(command.balloon_bytes).any()
    assert min(sources.values()) > 500
    assert len((tmp_path / "log").read_text().splitlines()) == 10_000


def _known(record) -> dict[str, np.ndarray]:
    """The measured fields without what is impossible, as the controller reads them."""
    repaired, _ = without_impossible(record)
    return {name: getattr(repaired, name) for name in repaired.__slots__}


def test_run__stops_after_the_steps(control, record, fake_host):
    assert control(fake_host(record), None).run(3, 0.0) == 3


def test_run__keeps_its_interval(control, record, fake_host):
    begun = time.monotonic()
    control(fake_host(record), None).run(3, 0.05)
    assert 0.1 <= time.monotonic() - begun < 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run__signal_stops_between_decisions(control, record, fake_host, number):
    before = signal.getsignal(number)

    def kill() -> Command:
        os.kill(os.getpid(), number)
        return Command.no_change(1, 6)

    controller = control(fake_host(record), Scripted(Command.no_change(1, 6), kill))
    assert controller.run(None, 0.001) == 2
    assert signal.getsignal(number) is before


def test_metrics_text__is_prometheus(control, bundle, record, fake_host):
    host = fake_host(record, names=('a"b', "c\\d", "e\nf", "g", "h", "i"))
    controller = control(host, bundle.agent())
    controller.run(3, 0.0)
    text = controller.metrics_text()
    assert 'gymbal_decisions_total{host="fake",mode="act",source="policy"} 3\n' in text
    assert 'gymbal_decision_latency_seconds_bucket{host="fake",mode="act",le="+Inf"} 3\n' in text
    assert 'vm="a\\"b"' in text
    assert 'vm="e\\nf"' in text
    for line in text.splitlines():
        assert line.startswith("# ") or len(line.rsplit(" ", 1)) == 2
        if not line.startswith("# "):
            float(line.rsplit(" ", 1)[1])


def test_slot_names__are_distinct():
    assert slot_names(("a", "", "a"), 4) == ("a", "slot-1", "a-2", "slot-3")
    assert slot_names(("a", "b"), 1) == ("a",)
