"""The controller among failures: it says what happened, and leaves things as it should."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.command import Command
from gymbal_runtime.custody import Custody
from gymbal_runtime.decision import DecisionLog
from gymbal_runtime.decision_reader import LogReader
from gymbal_runtime.guard import GuardLimits
from gymbal_runtime.record import telemetry_of
from gymbal_runtime.safeguard import Safeguard
from gymbal_runtime.slots import Slots

FREE = GuardLimits(np.inf, 0.0)
GIB = 2.0**30


class Guests:
    """A host whose guests do at once what they are told."""

    def __init__(self, record) -> None:
        self.name, self.vm_names = "rack", tuple("abcdef")
        self.record, self.lost = record, False

    def telemetry(self):
        if self.lost:
            raise ConnectionError("libvirtd restarted")
        return self.record

    def apply(self, command: Command) -> None:
        told = np.isfinite(command.balloon_bytes)
        actual = np.where(told, command.balloon_bytes, self.record.actual_bytes)
        self.record = replace(self.record, actual_bytes=actual)

    def close(self) -> None:
        pass


@pytest.fixture
def guests(record):
    return Guests(replace(record, budget_bytes=record.actual_bytes.sum(axis=1) * 1.2))


def thirds(guests, scripted):
    """Tells the first three VMs to go a third of the way to their floor."""
    record = guests.record
    down = record.actual_bytes - (record.actual_bytes - record.memory_min_bytes) / 3
    return scripted(Command(np.where(np.arange(6) < 3, down, np.nan)))


def test_step__says_which_part_failed_and_which_field_nobody_obeys(
    control, scripted, make_whole_record, fake_host
):
    record = make_whole_record(np.random.default_rng(0))
    host = fake_host(record)
    host.errors = ["prometheus: no route to host"]
    host.capabilities = frozenset({"balloon_bytes"})
    both = Command(record.actual_bytes * 0.9, cpu_weight=record.shares)
    controller = control(host, None, scripted(both))
    decision = controller.step()
    assert decision.errors == ["part: prometheus: no route to host"]
    assert decision.not_obeyed == {"cpu_weight": 6}
    assert host.commands[0].cpu_weight is None
    text = controller.metrics_text()
    assert 'gymbal_part_errors_total{host="fake",mode="act",part="prometheus"} 1' in text
    assert 'gymbal_not_obeyed_total{host="fake",mode="act",field="cpu_weight"} 6' in text


def test_step__caps_are_guarded_logged_counted_and_put_back(
    control, scripted, make_whole_record, fake_host, tmp_path
):
    found = make_whole_record(np.random.default_rng(0))
    found.cpu_cap_cores[0, 2] = 3.0
    nothing = np.full((1, 6), np.nan)
    caps = np.array([[1.5, np.inf, np.inf, 0.01, np.nan, np.nan]])
    agent = scripted(Command(nothing, cpu_cap_cores=caps))
    log = DecisionLog(tmp_path / "caps.jsonl")
    host = fake_host(found)
    controller = control(host, agent, log=log, log_records=True, custody=Custody("fake"))
    decision = controller.step()
    assert (decision.source, decision.errors) == ("policy", [])
    assert decision.guard == {"cpu_cap_cores_refused": 1}
    line = json.loads((tmp_path / "caps.jsonl").read_bytes())
    assert list(line["settings"]["cpu_cap_cores"].values()) == [1.5, "inf", "inf", None, None, None]
    assert line["record"]["vms"][1]["cpu_cap_cores"] == "inf"
    assert 'field="cpu_cap_cores",vm="vm1"} +Inf' in controller.metrics_text()
    (read,) = LogReader(tmp_path / "caps.jsonl")
    back, _ = telemetry_of(read.record, Slots())
    np.testing.assert_array_equal(back.cpu_cap_cores, found.cpu_cap_cores)
    assert controller.restore().errors == []
    now = [[np.inf, np.inf, 3.0, np.nan, np.nan, np.nan]]
    np.testing.assert_array_equal(host.commands[-1].cpu_cap_cores, now)


def test_step__a_clock_that_goes_back_makes_the_agents_forget(control, scripted, record, fake_host):
    times = (100.0, 105.0, 40.0, 45.0)
    host = fake_host(*(replace(record, time_s=np.array([t])) for t in times))
    agent = scripted(Command.no_change(1, 6))
    controller = control(host, agent, scripted(Command.no_change(1, 6)))
    errors = [controller.step().errors for _ in times]
    assert errors == [[], [], ["sensors: the host's clock went back by 65 s"], []]
    assert agent.resets == 2


def test_step__a_wall_clock_that_goes_back_is_nothing_to_the_loop(
    control, record, fake_host, monkeypatch
):
    wall = iter((1e9, 1e9 - 3600.0))
    monkeypatch.setattr("gymbal_runtime.metrics.time.time", lambda: next(wall))
    controller = control(fake_host(record), None)
    assert [controller.step().errors for _ in range(2)] == [[], []]
    assert 0 <= controller.metrics.since_decision_s < 60


def test_restore__puts_back_what_was_changed(control, scripted, guests, tmp_path):
    found = guests.record.actual_bytes.copy()
    custody = Custody("rack", tmp_path / "state")
    agent = thirds(guests, scripted)
    controller = control(guests, None, agent, safeguard=Safeguard(FREE), custody=custody)
    assert controller.step().applied
    assert (guests.record.actual_bytes[0, :3] < found[0, :3]).all()
    assert (tmp_path / "state").exists()
    decision = controller.restore()
    assert (decision.reason, decision.source, decision.errors) == ("restored", "none", [])
    np.testing.assert_allclose(guests.record.actual_bytes, found)
    assert not (tmp_path / "state").exists()


def test_restore__by_the_process_after_a_crash(control, scripted, guests, tmp_path):
    found = guests.record.actual_bytes.copy()
    path = tmp_path / "state"
    agent = thirds(guests, scripted)
    for _ in range(2):  # the second time it starts on what the first one left
        custody = Custody("rack", path)
        custody.load()
        controller = control(guests, None, agent, safeguard=Safeguard(FREE), custody=custody)
        controller.step()  # and then it is killed
    custody = Custody("rack", path)
    custody.load()
    control(guests, None, agent, custody=custody).restore()
    np.testing.assert_allclose(guests.record.actual_bytes, found)


def test_restore__within_the_budget_and_only_who_is_still_there(control, scripted, guests):
    custody = Custody("rack")
    agent = thirds(guests, scripted)
    controller = control(guests, None, agent, safeguard=Safeguard(FREE), custody=custody)
    found = guests.record.actual_bytes.copy()
    controller.step()
    guests.vm_names = ("new", *guests.vm_names[1:])
    guests.record = replace(
        guests.record, budget_bytes=guests.record.actual_bytes.sum(axis=1) * 1.0001
    )
    controller.restore()
    held = guests.record.actual_bytes
    assert held.sum() <= guests.record.budget_bytes[0]
    assert held[0, 0] < found[0, 0]


def test_restore__of_a_host_that_is_gone_keeps_the_state(control, scripted, guests, tmp_path):
    custody = Custody("rack", tmp_path / "state")
    controller = control(guests, None, thirds(guests, scripted), custody=custody)
    controller.step()
    guests.lost = True
    decision = controller.restore()
    assert decision.reason == "no_telemetry"
    assert decision.errors == ["read: ConnectionError: libvirtd restarted"]
    assert (tmp_path / "state").exists()


def test_step__a_state_file_that_cannot_be_written_is_said(control, scripted, guests, tmp_path):
    custody = Custody("rack", tmp_path / "no" / "state")
    decision = control(guests, None, thirds(guests, scripted), custody=custody).step()
    assert decision.applied
    (error,) = decision.errors
    assert error.startswith("state: FileNotFoundError")


def test_step__starts_by_looking(control, bundle, record, fake_host):
    host = fake_host(record)
    controller = control(host, bundle.agent(), safeguard=Safeguard(hold_steps=3), deadline_s=60.0)
    decisions = [controller.step() for _ in range(4)]
    assert [d.applied for d in decisions] == [False, False, False, True]
    assert [d.guard.get("holding", 0) for d in decisions] == [6, 6, 6, 0]
    assert {d.source for d in decisions} == {"policy"}


def test_log__with_whole_records(control, bundle, record, fake_host, tmp_path):
    control(fake_host(record), bundle.agent(), log_records=True).step()
    (line,) = [json.loads(line) for line in (tmp_path / "decisions.jsonl").open()]
    assert [vm["name"] for vm in line["record"]["vms"]] == [f"vm{k}" for k in range(6)]
    assert line["record"]["vms"][0]["usable_bytes"] == record.usable_bytes[0, 0]


def test_run__beats_after_every_step(control, record, fake_host):
    beats = []
    control(fake_host(record), None).run(3, 0.0, lambda: beats.append(1))
    assert len(beats) == 3
