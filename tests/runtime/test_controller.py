"""Controller: no failure stops it, every decision says who took it and why."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.codec import Codec
from gymbal_runtime.codec_agent import CodecAgent
from gymbal_runtime.command import Command
from gymbal_runtime.controller import Controller
from gymbal_runtime.decision import Decision, DecisionLog, slot_names
from gymbal_runtime.tasks import BALLOON
from gymbal_runtime.training_range import FeatureRange


class Clock:
    """A clock that policies in these tests can move."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(tmp_path) -> list[dict]:
    return [json.loads(line) for line in (tmp_path / "decisions.jsonl").open()]


def test_step__policy_decides_and_the_host_is_told(control, bundle, record, fake_host, tmp_path):
    host = fake_host(record)
    decision = control(host, bundle.agent(checked=True)).step()
    assert (decision.source, decision.reason, decision.errors) == ("policy", "", [])
    assert decision.applied
    (command,) = host.commands
    assert command.balloon_bytes.sum() <= max(record.budget_bytes[0], record.actual_bytes.sum())
    (line,) = lines(tmp_path)
    assert list(line) == [name for name in Decision.__struct_fields__ if name != "record"]
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
    decision = control(host, CodecAgent(Codec(BALLOON, "senpai"), policy)).step()
    assert (decision.source, decision.reason) == ("fallback", reason)
    assert decision.errors[0].startswith("policy: ")
    control(alone, None).step()
    np.testing.assert_array_equal(host.commands[0].balloon_bytes, alone.commands[0].balloon_bytes)


@pytest.mark.parametrize(
    "command", [None, Command(np.zeros((1, 2))), Command(np.full((1, 6), np.inf))]
)
def test_step__broken_agent_leaves_it_to_the_heuristic(
    scripted, control, record, fake_host, command
):
    decision = control(fake_host(record), scripted(command)).step()
    assert (decision.source, decision.reason) == ("fallback", "policy_error")


def test_step__late_policy_is_not_listened_to(scripted, control, record, fake_host):
    clock = Clock()

    def slow() -> Command:
        clock.now += 0.2
        return Command.no_change(1, 6)

    controller = control(fake_host(record), scripted(slow), clock=clock, deadline_s=0.15)
    decision = controller.step()
    assert (decision.source, decision.reason) == ("fallback", "policy_late")
    assert decision.latency_s == pytest.approx(0.2)
    controller.arbiter.deadline_s = 0.25
    assert controller.step().source == "policy"


def test_step__unlike_training(control, bundle, record, fake_host):
    known = bundle.manifest.training_range
    narrow = type(known)(
        {name: FeatureRange(table.high, table.high) for name, table in known.tables.items()}
    )
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


def test_step__failing_heuristic(scripted, control, bundle, record, fake_host):
    broken = scripted(RuntimeError("no"))
    decision = control(fake_host(record), bundle.agent(), broken).step()
    assert decision.source == "policy"
    decision = control(fake_host(record), scripted(RuntimeError("no")), broken).step()
    assert (decision.source, decision.reason) == ("none", "policy_error")
    assert len(decision.errors) == 2


def test_step__disobedient_host(scripted, control, bundle, record, fake_host):
    host = fake_host(record)
    host.apply = scripted(OSError("read only")).act
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
def test_step__lets_the_user_out(scripted, control, record, fake_host, error):
    with pytest.raises(error):
        control(fake_host(record), scripted(error())).step()


def test_step__another_vm_in_a_slot_resets_the_agents(scripted, control, record, fake_host):
    agent, host = scripted(Command.no_change(1, 6)), fake_host(record)
    controller = control(host, agent, scripted(Command.no_change(1, 6)))
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


def test_slot_names__are_distinct():
    assert slot_names(("a", "", "a"), 4) == ("a", "slot-1", "a-2", "slot-3")
    assert slot_names(("a", "b"), 1) == ("a",)
