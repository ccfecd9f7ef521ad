"""The file that says which series is which field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.adapters.prometheus_mapping import presets, read_mapping


def test_every_preset_is_a_mapping() -> None:
    assert "kubevirt" in presets()
    for name in presets():
        mapping = read_mapping(name)
        assert mapping.preset == name or not mapping.preset
        # What the hypervisor knows for certain, a scrape from a while ago shall not replace.
        assert not {"actual_bytes", "memory_max_bytes", "memory_min_bytes"} & set(mapping.fields)


@pytest.mark.parametrize("suffix", [".toml", ".json", ".yaml"])
def test_three_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mine{suffix}"
    texts = {
        ".toml": 'preset = "kubevirt"\nlabels = {node = "n1"}\n[fields.cpu_cores]\n'
        'metric = "kubevirt_vmi_cpu_usage_seconds_total"\nkind = "counter"\n',
        ".yaml": "preset: kubevirt\nlabels: {node: n1}\nfields:\n  cpu_cores:\n"
        "    metric: kubevirt_vmi_cpu_usage_seconds_total\n    kind: counter\n",
    }
    fields = {"cpu_cores": {"metric": "kubevirt_vmi_cpu_usage_seconds_total", "kind": "counter"}}
    whole = {"preset": "kubevirt", "labels": {"node": "n1"}, "fields": fields}
    if suffix == ".yaml":
        pytest.importorskip("yaml")
    path.write_text(texts.get(suffix, json.dumps(whole)))
    mapping = read_mapping(path)
    assert mapping.fields["cpu_cores"].kind == "counter"
    assert "usable_bytes" in mapping.fields
    assert mapping.labels == {"node": "n1"}
    assert mapping.key_of({"namespace": "a", "name": "b"}) == "a_b"
    assert mapping.key_of({"name": "b"}) is None
    assert mapping.key_of_vm(Vm("a_b")) == "a_b"
    assert mapping == read_mapping(whole)


FIELD = {"usable_bytes": {"metric": "m"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "fields must name at least one"),
        ({"fields": {}, "filds": 1}, "filds"),
        ({"fields": {"usable_byte": {"metric": "m"}}}, "no field of telemetry.*usable_byte"),
        ({"fields": {"present": {"metric": "m"}}}, "no field of telemetry.*present"),
        ({"fields": {"usable_bytes": {}}}, "metric"),
        ({"fields": {"usable_bytes": {"metric": "m", "kind": "rate"}}}, "kind"),
        ({"fields": {"usable_bytes": {"metric": "m", "factor": "1k"}}}, "factor"),
        ({"fields": {"usable_bytes": {"metric": "m", "factor": float("nan")}}}, "factor.*finite"),
        ({"fields": {"usable_bytes": {"metric": 'm"}'}}}, "not the name of a metric"),
        ({"fields": FIELD, "preset": "nagios"}, "preset must be one of.*kubevirt"),
        ({"fields": FIELD, "series_key": "domain"}, "series_key and vm_key"),
        ({"fields": FIELD, "vm_key": "{pid}"}, "vm_key can have"),
        ({"fields": 3}, "fields"),
    ],
)
def test_mistakes_are_named(content: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_mapping(content)


def test_broken_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_mapping(tmp_path / "missing.toml")
    with pytest.raises(ValueError, match="neither a preset"):
        read_mapping("nagios")
    for name, text in (("a.toml", "= 1"), ("b.json", "{"), ("c.json", "[1]"), ("d.toml", "\xff")):
        (tmp_path / name).write_text(text, encoding="latin-1")
        with pytest.raises(ValueError, match=name):
            read_mapping(tmp_path / name)
