"""Which series of an exporter is which field of telemetry: a file that its user edits."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields as fields_of
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import msgspec

from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.telemetry import CURVE_FIELDS, PER_HOST_FIELDS, Telemetry

_NOT_MAPPED = ("time_s", "age_s", "present", *CURVE_FIELDS)
MAPPED_FIELDS = frozenset(f.name for f in fields_of(Telemetry)) - set(_NOT_MAPPED)
"""Fields of telemetry that a mapping may fill."""

_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PLACE = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*)\}")
_PRESETS = "prometheus_presets"

Labels = Mapping[str, str]


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a field comes from.

    Attributes:
        metric: name of the series.
        kind: ``gauge`` is taken as it is; of a ``counter``, the growth per second.
        factor: to the field's unit.
        labels: what the series' labels must say, besides the mapping's: one value or a choice.
        combine: what to do with several series of a VM (or of the host): ``one`` takes none of
            them, because they may be the same thing twice.
        minus: another metric whose value is subtracted, of the same kind and labels.
    """

    metric: str
    kind: Literal["gauge", "counter"] = "gauge"
    factor: float = 1.0
    labels: dict[str, str | list[str]] = {}
    combine: Literal["one", "sum", "max", "count"] = "one"
    minus: str = ""


class PrometheusMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which series are which fields, and whose.

    Attributes:
        preset: name of a mapping that comes with Gymbal; what this one says replaces its parts.
        series_key: how a series names its VM: labels in braces, such as ``{namespace}_{name}``.
        vm_key: what that is for a VM, with ``{name}`` and ``{uuid}`` in braces.
        labels: what the labels of all series must say: one value or a choice.
        fields: telemetry field to metric.
    """

    preset: str = ""
    series_key: str = "{domain}"
    vm_key: str = "{name}"
    labels: dict[str, str | list[str]] = {}
    fields: dict[str, Metric] = {}

    @property
    def metric_names(self) -> frozenset[str]:
        """Every metric that is needed."""
        named = [(metric.metric, metric.minus) for metric in self.fields.values()]
        return frozenset(name for pair in named for name in pair if name)

    def key_of(self, labels: Labels) -> str | None:
        """How a series names its VM; None where it lacks a label for that."""
        places = _PLACE.findall(self.series_key)
        if not all(place in labels for place in places):
            return None
        return _PLACE.sub(lambda place: labels[place[1]], self.series_key)

    def key_of_vm(self, vm: Vm) -> str:
        """How series name this VM."""
        known = {"name": vm.name, "uuid": vm.uuid}
        return _PLACE.sub(lambda place: known[place[1]], self.vm_key)

    def takes(self, metric: Metric, name: str, labels: Labels) -> bool:
        """Whether a series belongs to a metric."""
        if name not in (metric.metric, metric.minus):
            return False
        wanted = {**self.labels, **metric.labels}
        return all(_says(labels.get(label, ""), value) for label, value in wanted.items())


def _says(value: str, wanted: str | list[str]) -> bool:
    return value == wanted if isinstance(wanted, str) else value in wanted


def presets() -> list[str]:
    """Names of the mappings that come with Gymbal."""
    folder = files("gymbal_runtime.adapters") / _PRESETS
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir())


def read_mapping(source: str | Path | Mapping[str, Any]) -> PrometheusMapping:
    """A mapping from a preset's name, a TOML, JSON or YAML file, or its contents.

    Args:
        source: a name of `presets`, a path that ends in .toml, .json, .yaml or .yml (YAML needs
            PyYAML), or what such a file would hold.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a mapping; the message names the file, the key and the fix.
    """
    if isinstance(source, Mapping):
        return _checked(dict(source), "mapping")
    if str(source) in presets():
        return _checked({"preset": str(source)}, f"preset {source}")
    path = Path(source)
    if path.suffix not in (".toml", ".json", ".yaml", ".yml"):
        known = ", ".join(presets())
        raise ValueError(
            f"mapping {source}: neither a preset ({known}) nor a .toml, .json or .yaml"
        )
    try:
        return _checked(_decode(path.read_bytes(), path.suffix), str(path))
    except (tomllib.TOMLDecodeError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"mapping {path}: {error}") from error


def _decode(content: bytes, suffix: str) -> Any:
    if suffix == ".toml":
        return tomllib.loads(content.decode())
    if suffix == ".json":
        return msgspec.json.decode(content)
    try:
        return msgspec.yaml.decode(content)
    except ImportError as error:
        raise ValueError("a YAML mapping needs PyYAML: pip install pyyaml, or use TOML") from error


def _checked(content: Any, where: str) -> PrometheusMapping:
    if not isinstance(content, dict):
        raise ValueError(f"{where}: must be a table of keys and values")
    preset = content.get("preset", "")
    if preset:
        if preset not in presets():
            known = ", ".join(presets())
            raise ValueError(f"{where}: preset must be one of {known}, got {preset!r}")
        text = (files("gymbal_runtime.adapters") / _PRESETS / f"{preset}.toml").read_text()
        base = tomllib.loads(text)
        merged = {**base.get("fields", {}), **content.get("fields", {})}
        content = {**base, **content, "fields": merged}
    try:
        mapping = msgspec.convert(content, PrometheusMapping)
    except msgspec.ValidationError as error:
        raise ValueError(f"{where}: {error}") from error
    _check_names(mapping, where)
    return mapping


def _check_names(mapping: PrometheusMapping, where: str) -> None:
    if not mapping.fields:
        raise ValueError(f"{where}: fields must name at least one field of telemetry")
    unknown = sorted(set(mapping.fields) - MAPPED_FIELDS)
    if unknown:
        raise ValueError(f"{where}: no field of telemetry (that can be mapped): {unknown[0]}")
    for name in mapping.metric_names:
        if not _METRIC_NAME.fullmatch(name):
            raise ValueError(f"{where}: not the name of a metric: {name!r}")
    for place in _PLACE.findall(mapping.vm_key):
        if place not in ("name", "uuid"):
            raise ValueError(f"{where}: vm_key can have {{name}} and {{uuid}}, got {{{place}}}")
    per_vm = set(mapping.fields) - set(PER_HOST_FIELDS)
    if per_vm and not (_PLACE.search(mapping.series_key) and _PLACE.search(mapping.vm_key)):
        raise ValueError(f"{where}: series_key and vm_key must name a label and a property of VMs")
    for field, metric in mapping.fields.items():
        if not -1e30 < metric.factor < 1e30:
            raise ValueError(f"{where}: factor of {field} must be finite, got {metric.factor}")
