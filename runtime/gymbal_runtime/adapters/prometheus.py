"""Telemetry from Prometheus exporters: a part of a host that measures and obeys nothing."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import isfinite, isnan, nan
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.adapters.http_fetcher import HttpFetcher
from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.adapters.prometheus_mapping import Metric, read_mapping
from gymbal_runtime.adapters.prometheus_samples import Sample, parse_exposition
from gymbal_runtime.adapters.prometheus_source import (
    ExpositionSource,
    FileSource,
    PrometheusSource,
    QuerySource,
)
from gymbal_runtime.adapters.rates import CounterRates
from gymbal_runtime.telemetry import PER_HOST_FIELDS

Floats = NDArray[np.float64]

_LOG = logging.getLogger(__name__)

_Series = tuple[str, tuple[tuple[str, str], ...]]


class PrometheusTelemetry:
    """Fields of telemetry from the series that a mapping names.

    A value that is NaN, infinite, older than ``stale_s`` or missing is NaN. Rates are computed here
    from raw counters, series by series, so that one that is reset costs one interval.

    Args:
        source: URL of a Prometheus server or an exporter's page, path of a file in the exposition
            format, or anything else that has samples.
        mapping: see `gymbal_runtime.adapters.prometheus_mapping.read_mapping`.
        api: ``query`` for a server, ``exposition`` for a page; files are always the latter.
        stale_s: samples that are older count as missing.
        window_s: how far back a server is asked for samples; must span two scrapes.
        timeout_s: for an answer.
        max_bytes: of an answer.
        token_file: holds a bearer token for the server.
        ca_file: certificates to trust instead of the system's.
        clock: seconds since 1970, as of the samples.

    Raises:
        OSError: the mapping or a certificate cannot be read.
        RuntimeError: prometheus_client is needed and not installed.
        ValueError: an argument or the mapping is not what it should be.
    """

    name = "prometheus"
    obeys: frozenset[str] = frozenset()

    def __init__(
        self,
        source: str | PrometheusSource,
        mapping: str | Path | Mapping[str, Any],
        *,
        api: Literal["query", "exposition"] = "exposition",
        stale_s: float = 60.0,
        window_s: float = 90.0,
        timeout_s: float = 5.0,
        max_bytes: int = 4 << 20,
        token_file: str = "",
        ca_file: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        for option, value in (
            ("stale_s", stale_s),
            ("window_s", window_s),
            ("timeout_s", timeout_s),
            ("max_bytes", max_bytes),
        ):
            if not 0 < value < np.inf:
                raise ValueError(f"{option} must be a positive number, got {value}")
        if api not in ("query", "exposition"):
            raise ValueError(f"api must be 'query' or 'exposition', got {api!r}")
        self._mapping = read_mapping(mapping)
        self._stale_s = stale_s
        self._clock = clock
        self._rates = CounterRates()
        self._doubted: set[str] = set()
        self.measures = frozenset(self._mapping.fields)
        self._source: PrometheusSource
        if not isinstance(source, str):
            self._source = source
            return
        is_query = api == "query" and "://" in source
        if not is_query:
            parse_exposition("", self._mapping.metric_names)  # is the parser there?
        if "://" not in source:
            self._source = FileSource(source, max_bytes=max_bytes)
            return
        fetcher = HttpFetcher(
            source, timeout_s=timeout_s, max_bytes=max_bytes, token_file=token_file, ca_file=ca_file
        )
        self._source = (
            QuerySource(fetcher, window_s=window_s) if is_query else ExpositionSource(fetcher)
        )

    def read(self, vms: Sequence[Vm]) -> dict[str, Floats | float]:
        """The newest values, and as ``age_s`` how old the newest of them is.

        Raises:
            OSError: the source does not answer, or not with samples.
        """
        mapping = self._mapping
        samples = self._source.fetch(mapping.metric_names, mapping.labels)
        now_s, steady_s = self._clock(), time.monotonic()
        by_series: dict[_Series, list[Sample]] = defaultdict(list)
        for sample in samples:
            by_series[sample.name, tuple(sorted(sample.labels.items()))].append(sample)
        ages = {key: _age(group[-1], now_s) for key, group in by_series.items()}
        fresh = {key: group for key, group in by_series.items() if ages[key] <= self._stale_s}
        rows = {mapping.key_of_vm(vm): row for row, vm in enumerate(vms)}
        rows.pop("", None)
        values: dict[str, Floats | float] = {}
        for field, metric in mapping.fields.items():
            found = self._values(metric, fresh, steady_s)
            if field in PER_HOST_FIELDS:
                merged = [pair for pairs in found.values() for pair in pairs]
                values[field] = self._combined(field, metric, merged)
                continue
            column = np.full(len(vms), nan)
            for key, pairs in found.items():
                if key in rows:
                    column[rows[key]] = self._combined(field, metric, pairs)
            values[field] = column
        self._rates.keep(fresh)
        if fresh:
            values["age_s"] = max(min(ages[key] for key in fresh), 0.0)
        return values

    def apply(self, vms: Sequence[Vm], settings: Mapping[str, Floats]) -> None:
        """Exporters take no orders.

        Raises:
            OSError: something was ordered.
        """
        if settings:
            raise OSError(f"prometheus cannot set {', '.join(sorted(settings))}")

    def close(self) -> None:
        """There is nothing to release."""

    def _values(
        self, metric: Metric, fresh: Mapping[_Series, Sequence[Sample]], steady_s: float
    ) -> dict[str, list[tuple[str, float]]]:
        """Name and value of each of the metric's series, by the VM that it names."""
        found: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for key, samples in fresh.items():
            name, labels = key[0], samples[-1].labels
            if not self._mapping.takes(metric, name, labels):
                continue
            value = samples[-1].value
            if metric.kind == "counter":
                value = self._rate(key, samples, steady_s)
            found[self._mapping.key_of(labels) or ""].append((name, value))
        return found

    def _rate(self, key: _Series, samples: Sequence[Sample], steady_s: float) -> float:
        """Growth per second between the two newest samples that were seen."""
        times = [steady_s if isnan(sample.time_s) else sample.time_s for sample in samples]
        seen_s = self._rates.time_of(key)
        # What was seen is not to be counted again; a window without it starts anew.
        first = times.index(seen_s) if seen_s in times else 0
        rate = nan
        for time_s, sample in zip(times[first:], samples[first:], strict=True):
            rate = self._rates.rate(key, sample.value, time_s)
        return rate

    def _combined(self, field: str, metric: Metric, pairs: Sequence[tuple[str, float]]) -> float:
        total = self._merged(field, metric, [v for name, v in pairs if name == metric.metric])
        if metric.minus:
            total -= self._merged(field, metric, [v for name, v in pairs if name == metric.minus])
        value = total * metric.factor
        return value if isfinite(value) else nan

    def _merged(self, field: str, metric: Metric, values: Sequence[float]) -> float:
        if not values:
            return nan
        if metric.combine == "count":
            return float(len(values))
        if metric.combine == "sum":
            return sum(values)
        if metric.combine == "max":
            return float(np.max(values))
        if len(values) > 1:
            if field not in self._doubted:
                self._doubted.add(field)
                _LOG.warning(
                    "%s: %d series of %s for one VM or host are taken for none; set `combine` or"
                    " `labels` in the mapping",
                    field,
                    len(values),
                    metric.metric,
                )
            return nan
        return values[0]


def _age(sample: Sample, now_s: float) -> float:
    """Seconds since a sample was taken; 0 where it does not tell, as it was fetched just now."""
    return 0.0 if isnan(sample.time_s) else now_s - sample.time_s
