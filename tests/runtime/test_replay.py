"""Replay: what a policy would have done with what a log holds."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime import cli
from gymbal_runtime.assembly import Deciders
from gymbal_runtime.command import Command
from gymbal_runtime.decision_reader import LogReader
from gymbal_runtime.replay import replay
from gymbal_runtime.replay_picture import MAX_PANELS, picture
from gymbal_runtime.replay_report import report, vm_rows
from gymbal_runtime.safeguard import Safeguard
from gymbal_runtime.settings import PolicySettings

GIB = 2.0**30


@pytest.fixture
def logged(control, scripted, make_record, fake_host, tmp_path):
    """A log of five decisions under a rule that halves what is above the floor; records whole."""
    rng = np.random.default_rng(0)
    records = [
        replace(make_record(rng), time_s=np.array([100.0 + 5.0 * k]), age_s=np.zeros(1))
        for k in range(5)
    ]
    halves = [Command((r.actual_bytes + r.memory_min_bytes) / 2) for r in records]
    controller = control(fake_host(*records), None, scripted(*halves), log_records=True)
    controller.run(5, 0.0)
    return tmp_path / "decisions.jsonl", records, halves


def replayed(path, bundle=None, **heuristic):
    policy = PolicySettings(bundle="x") if bundle else PolicySettings(**heuristic)
    reader = LogReader(path)
    return replay(reader, Deciders(bundle, policy), policy, Safeguard()), reader.skipped


def test_replay__compares_what_would_be_done_with_what_was(logged):
    path, records, halves = logged
    result, skipped = replayed(path, heuristic="static")
    assert not skipped
    assert result.num_decisions == 5
    assert result.sources == {"fallback": 5}
    assert list(result.vms) == [f"vm{k}" for k in range(6)]
    for slot, vm in enumerate(result.vms.values()):
        np.testing.assert_allclose(vm["time_s"], [0, 5, 10, 15, 20])
        np.testing.assert_array_equal(vm["held"], [r.actual_bytes[0, slot] for r in records])
        done = np.array([h.balloon_bytes[0, slot] for h in halves])
        unmoved = np.isclose(done, vm["held"], rtol=0.011)  # in the dead band
        np.testing.assert_allclose(np.where(unmoved, vm["done"], done), vm["done"], atol=1)


def test_replay__of_the_policy_that_wrote_the_log_differs_nowhere(
    control, bundle, make_record, fake_host, tmp_path
):
    rng = np.random.default_rng(1)
    records = [replace(make_record(rng), time_s=np.array([5.0 * k])) for k in range(6)]
    agent = bundle.agent(checked=True)
    controller = control(fake_host(*records), agent, log_records=True, deadline_s=60.0)
    controller.run(6, 0.0)
    result, _ = replayed(tmp_path / "decisions.jsonl", bundle)
    assert result.sources["policy"] == 6
    for row in vm_rows(result):
        assert row["max |diff|"] == 0


def test_replay__a_host_that_restarted_goes_on_in_time(logged, tmp_path):
    path, *_ = logged
    path.write_bytes(path.read_bytes() * 2)
    result, _ = replayed(path, heuristic="meb")
    assert result.num_decisions == 10
    assert result.errors == {"sensors": 1}  # the clock went back
    assert (np.diff(result.vms["vm0"]["time_s"]) >= 0).all()


def test_reader__cut_lines_and_summaries_are_counted_and_parts_are_read_in_order(logged):
    path, *_ = logged
    lines = path.read_bytes().splitlines(keepends=True)
    path.with_name("decisions.jsonl.2").write_bytes(lines[0] + b'{"time": "20')
    path.with_name("decisions.jsonl.1").write_bytes(
        b'\xff\x00\n{"time": "t", "host": "h"}\n\n' + b"".join(lines[1:3]) + b"[]\n"
    )
    path.write_bytes(b"".join(lines[3:]) + lines[0][:-20])
    reader = LogReader(path)
    assert [decision.record.time_s for decision in reader] == [100, 105, 110, 115, 120]
    assert reader.skipped == {"unreadable": 4, "no_record": 1}


def test_report__counts_exposure(logged):
    path, *_ = logged
    result, skipped = replayed(path, heuristic="static")
    vm = result.vms["vm0"]
    for name, value in (("done", GIB), ("would", 3 * GIB), ("working_set", 2 * GIB)):
        for k in range(5):
            vm.columns[name][k] = value
    for k in range(5):
        vm.columns["trouble"][k] = k == 2
    assert vm_rows(result)[0]["in trouble"] == "20.0%"
    assert (vm_rows(result)[0]["then more"], vm_rows(result)[0]["then less"]) == ("100.0%", "0.0%")
    row = vm_rows(result)[0]
    assert (row["done exposed"], row["by MiB (done)"]) == ("100.0%", 1024)
    assert (row["would exposed"], row["by MiB (would)"]) == ("0.0%", 0)
    assert row["mean diff"] == 2048
    text = report(result, skipped)
    assert "who would have decided: fallback 5" in text
    assert "not used" not in text
    table = report(result, {"unreadable": 3}, markdown=True).splitlines()
    assert "lines of the log not used: unreadable 3" in table
    widths = {line.count("|") - line.count("\\|") for line in table if line.startswith("|")}
    assert len(widths) == 1


def test_picture__is_svg_with_a_panel_for_the_vms_that_differ_most(logged):
    path, *_ = logged
    result, _ = replayed(path, heuristic="static")
    result.vms = {f"<&\x00{k}>": result.vms[f"vm{k % 6}"] for k in range(20)}
    root = ElementTree.fromstring(picture(result))
    lines = [e for e in root.iter() if e.tag.endswith("polyline")]
    assert len(lines) == 3 * (MAX_PANELS + 1)  # and the legend's
    assert "8 VMs with smaller differences" in "".join(root.itertext())


def test_command(logged, bundle_path, tmp_path, capsys):
    path, *_ = logged
    arguments = [
        "replay",
        str(path),
        "--bundle",
        str(bundle_path),
        "--svg",
        str(tmp_path / "r.svg"),
    ]
    assert cli.main(arguments) == 0
    assert "5 decisions" in capsys.readouterr().out
    assert ElementTree.parse(tmp_path / "r.svg").getroot().tag.endswith("svg")


def test_command__without_records(tmp_path, capsys):
    (tmp_path / "log").write_text('{"time": "t", "host": "h"}\n')
    assert cli.main(["replay", str(tmp_path / "log"), "--heuristic", "meb"]) == cli.USAGE_ERROR
    assert "no record to replay (no_record 1); log with --log-telemetry full" in (
        capsys.readouterr().err
    )
    assert cli.main(["replay", str(tmp_path / "none"), "--heuristic", "meb"]) == cli.USAGE_ERROR
    assert "none" in capsys.readouterr().err
