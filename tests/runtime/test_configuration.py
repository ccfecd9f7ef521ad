"""Configuration files: every mistake has a place, and an answer to what instead."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gymbal_runtime.configuration import (
    ConfigurationError,
    overlaid,
    parse_settings,
    read_configuration,
)
from gymbal_runtime.settings import Settings
from gymbal_runtime.sizes import parse_size

LEAST = {"host": {"kind": "simulated"}, "policy": {"heuristic": "meb"}}


def parse(text: str) -> Settings:
    return parse_settings({**LEAST, **tomllib.loads(text)})


def test_least_configuration_is_careful():
    settings = parse_settings(LEAST)
    assert settings.control.mode == "observe"
    assert settings.control.hold_steps == 3
    assert settings.guard.protect
    assert settings.guard.shrink_first


def test_everything_at_once():
    settings = parse(
        """
        [host]
        kind = "libvirt"
        budget = "48GiB"
        options = { uri = "qemu:///system" }
        [[host.parts]]
        kind = "resctrl"
        [vms]
        exclude = ["infra-*"]
        [[vms.rules]]
        match = "db-*"
        shares = 2000
        min = "2GiB"
        """
    )
    assert settings.host.parts[0].kind == "resctrl"
    assert settings.host.options == {"uri": "qemu:///system"}
    assert settings.vms.rules[0].shares == 2000
    assert parse_size(settings.vms.rules[0].min) == 2 * 2**30


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[gaurd]", "unknown key 'gaurd': did you mean 'guard'?"),
        ("[guard]\nheadrom_frac = 1", "'guard.headrom_frac': did you mean 'headroom_frac'?"),
        ("[log]\nxyz = 1", "'log.xyz': there are file, max_size, keep, telemetry"),
        ("[[vms.rules]]\nmatch = 'a'\nmni = 1", r"'vms.rules\[0\].mni': did you mean 'min'"),
        ("[log]\nxyz = 1\n[metrics]\nxyz = 1", "log.xyz.*metrics.xyz"),
        ("[control]\nmode = 'fly'", "control.mode: Invalid enum value 'fly'"),
        ("[control]\ninterval_s = -1", "control.interval_s: Expected .*>= 0.0, got -1"),
        ("[control]\ninterval_s = '5'", "control.interval_s: Expected `float`, got `str`, got '5'"),
        ("log = 3", "log: Expected a table, got `int`"),
        ("[vms]\nmin = '2GBs'", "vms: min: expected bytes or a size such as '4GiB', got '2GBs'"),
        ("[vms]\nmin = nan", "min: a size must be zero or a positive number"),
        ("[[vms.rules]]\nshares = 1", "missing required field `match`"),
        ("[control]\nstate_file = 'x'", "state_file goes with on_exit"),
        ("[log]\nmax_size = 1", "log.max_size goes with log.file"),
        ("[policy]\nheuristic = 'meb'\nbundle = 'x'", "either a bundle or a heuristic"),
        ("[policy]\nbundle = 'x'\noptions = {a = 1}", "policy.options goes with a heuristic"),
        ("[policy]", "either a bundle or a heuristic"),
        ("[host]", "host.kind is missing"),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(ConfigurationError, match=message):
        parse(text)


def test_read_configuration__unusable_files(tmp_path):
    for content, message in ((b"a = ]", "not TOML: .*line 1"), (b"\xff\xfe", "not TOML")):
        path = tmp_path / "c.toml"
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=message):
            read_configuration(path)
    with pytest.raises(ConfigurationError, match="No such file"):
        read_configuration(Path("nowhere.toml"))


def test_overlaid__flags_replace_values_and_keep_the_rest():
    tables = {"control": {"mode": "act", "hold_steps": 1}, "log": 3}
    flags = {"control": {"mode": "observe"}, "guard": {}, "metrics": {"file": "x"}, "log": {"a": 1}}
    assert overlaid(tables, flags) == {
        "control": {"mode": "observe", "hold_steps": 1},
        "metrics": {"file": "x"},
        "log": 3,  # still the mistake that it was
    }
    assert tables["control"]["mode"] == "act"


@pytest.mark.parametrize(
    ("size", "expected"),
    [("4GiB", 2**32), ("1.5 MB", 1.5e6), ("12", 12), (7, 7), (0.5, 0.5), ("3kB", 3000), ("0", 0)],
)
def test_parse_size(size, expected):
    assert parse_size(size) == expected


@pytest.mark.parametrize("size", ["", "GiB", "-1", "1e9", "4 GB!", "1KB", -1, float("inf")])
def test_parse_size__nonsense(size):
    with pytest.raises(ValueError, match="size"):
        parse_size(size)
