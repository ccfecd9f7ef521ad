"""The controller over many steps: fuzzed records, intervals, signals, metrics."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

from gymbal_runtime.command import Command
from gymbal_runtime.controller import Controller
from gymbal_runtime.decision import DecisionLog
from gymbal_runtime.guard import GuardLimits
from gymbal_runtime.plausibility import plausible_hosts, without_impossible


def feasible(command: Command, record) -> bool:
    target = command.balloon_bytes
    actual = np.where(record.present, record.actual_bytes, 0.0)
    total = np.where(np.isfinite(target), target, actual).sum()
    return bool(total <= max(record.budget_bytes[0], actual.sum()))


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
    logged = [json.loads(line) for line in (tmp_path / "log").open()]
    assert [line["step"] for line in logged] == list(range(10_000))


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
def test_run__signal_stops_between_decisions(scripted, control, record, fake_host, number):
    before = signal.getsignal(number)

    def kill() -> Command:
        os.kill(os.getpid(), number)
        return Command.no_change(1, 6)

    controller = control(fake_host(record), scripted(Command.no_change(1, 6), kill))
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
