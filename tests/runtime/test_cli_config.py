"""gymbal-control with a configuration file, as an operator runs it."""

from __future__ import annotations

import importlib
import json
import threading
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from gymbal_runtime import cli, hosts
from gymbal_runtime.adapters.opening import HYPERVISORS, PARTS
from gymbal_runtime.commands import run as run_command
from gymbal_runtime.configuration import parse_settings, read_configuration
from gymbal_runtime.hosts import check_options

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "gymbal.toml"


@pytest.fixture
def host(monkeypatch, make_record, fake_host):
    rng = np.random.default_rng(0)
    host = fake_host(*(make_record(rng) for _ in range(8)))
    monkeypatch.setattr(hosts, "open_host", lambda name, **options: host)
    return host


@pytest.fixture
def configure(tmp_path, bundle_path):
    def write(text: str = "", **control: object) -> str:
        control = {"mode": "act", "interval_s": 0.0, **control}
        lines = [f"{name} = {json.dumps(value)}" for name, value in control.items()]
        path = tmp_path / "gymbal.toml"
        path.write_text(
            f'[host]\nkind = "simulated"\n[policy]\nbundle = "{bundle_path}"\n'
            + "deadline_s = 60.0\n[control]\n"
            + "\n".join(lines)
            + f'\n[log]\nfile = "{tmp_path}/log"\n{text}\n'
        )
        return str(path)

    return write


def decisions(tmp_path) -> list[dict]:
    return [json.loads(line) for line in (tmp_path / "log").open()]


def test_run__a_file_and_flags_that_override_it(host, configure, tmp_path):
    file = configure('telemetry = "full"\n[guard]\nprotect = false\nshrink_first = false')
    assert cli.main(["run", "--config", file, "--steps", "5", "--hold", "2"]) == 0
    logged = decisions(tmp_path)
    assert [d["guard"].get("holding", 0) for d in logged] == [6, 6, 0, 0, 0]
    assert "record" in logged[0]
    assert len(host.commands) == 3
    arguments = ["--heuristic", "meb", "--mode", "advise", "--log-telemetry", "summary"]
    assert cli.main(["run", "--config", file, "--steps", "1", *arguments]) == 0
    last = decisions(tmp_path)[-1]
    assert (last["mode"], last["source"], last["reason"]) == ("advise", "fallback", "no_policy")
    assert "record" not in last


def test_run__selected_vms(host, configure, tmp_path):
    file = configure('[vms]\ninclude = ["vm[0-2]"]\n[[vms.rules]]\nmatch = "vm1"\nmin = "1MiB"')
    assert cli.main(["run", "--config", file, "--steps", "1", "--mode", "advise"]) == 0
    assert list(decisions(tmp_path)[0]["targets"]) == ["vm0", "vm1", "vm2"]


def test_run__restores_at_the_end(host, configure, tmp_path):
    state = str(tmp_path / "state")
    file = configure("[guard]\nprotect = false", on_exit="restore", state_file=state, hold_steps=0)
    assert cli.main(["run", "--config", file, "--steps", "3"]) == 0
    assert [d["reason"] for d in decisions(tmp_path)][-1] == "restored"
    assert host.closed
    assert not Path(state).exists()


def test_restore__after_a_crash(host, configure, tmp_path, capsys):
    state = tmp_path / "state"
    file = configure(on_exit="restore", state_file=str(state))
    found = float(host.records[0].actual_bytes[0, 0] * 0.9)
    state.write_text(json.dumps({"host": "fake", "found": {"balloon_bytes": {"vm0": found}}}))
    assert cli.main(["restore", "--config", file]) == 0
    assert host.commands[0].balloon_bytes[0, 0] == pytest.approx(found)
    assert not state.exists()
    state.write_text("{")
    assert cli.main(["restore", "--config", file]) == cli.USAGE_ERROR
    assert "is damaged and not used" in capsys.readouterr().err
    assert cli.main(["run", "--config", file, "--steps", "1"]) == 0  # a wreck stops nobody
    assert "warning: " in capsys.readouterr().err


def test_run__metrics_over_http(host, configure, monkeypatch, bundle):
    seen, ports = {}, []
    publish = run_command._publish

    def published(controller, settings, closing):
        publish(controller, settings, closing)
        (server,) = (c for c in threading.enumerate() if c.name == "metrics")
        ports.append(server._args and server._target.__self__.server_address[1])

    monkeypatch.setattr(run_command, "_publish", published)
    step = type(host).telemetry

    def telemetry(self):
        if self._next == 2:
            for page in ("metrics", "healthz"):
                with urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/{page}") as answer:
                    seen[page] = answer.read().decode()
        return step(self)

    monkeypatch.setattr(type(host), "telemetry", telemetry)
    file = configure('[metrics]\nlisten = "127.0.0.1:0"')
    assert cli.main(["run", "--config", file, "--steps", "3"]) == 0
    assert f'policy="{bundle.sha256[:16]}"' in seen["metrics"]
    assert 'gymbal_decisions_total{host="fake",mode="act",source="policy"} 2' in seen["metrics"]
    assert seen["healthz"].endswith("s since the newest decision\n")


def test_check(host, configure, capsys):
    file = configure()
    assert cli.main(["check", file, "--connect"]) == 0
    out = capsys.readouterr().out
    assert f"{file}: fine; act on simulated, policy " in out
    assert "fake: 6 VMs: vm0, vm1" in out
    assert host.closed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[gard]", "gymbal.toml: unknown key 'gard': did you mean 'guard'?"),
        ("[guard]\nheadroom_frac = -1", "guard: headroom_frac must be zero or positive, got -1"),
        ("[metrics]\nfile = 'no/such/place'", "there is no directory"),
    ],
)
def test_check__mistakes_are_one_line_and_status_2(host, configure, capsys, text, message):
    assert cli.main(["check", configure(text)]) == cli.USAGE_ERROR
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_example__is_valid_and_shows_every_key():
    tables = read_configuration(EXAMPLE)
    settings = parse_settings(tables)
    for section in settings.__struct_fields__:
        shown = set(tables[section])
        fields = set(getattr(settings, section).__struct_fields__)
        assert shown == fields - ({"heuristic", "options"} if section == "policy" else set())


def test_example__names_parts_and_options_that_there_are():
    host = parse_settings(read_configuration(EXAMPLE)).host
    named = [(HYPERVISORS[host.kind], host.options)]
    named += [(PARTS[part.kind], part.options) for part in host.parts]
    for place, options in named:
        module, _, factory = place.partition(":")
        check_options(place, getattr(importlib.import_module(module), factory), options)
