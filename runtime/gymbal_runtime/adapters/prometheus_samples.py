"""Samples of the series that are wanted, from what an exporter or a Prometheus server answers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import nan

import msgspec

MAX_LINE_CHARS = 16_384
MAX_SAMPLES = 50_000
"""More of what is wanted is taken for a mistake or an attack: 64 VMs have some thousands."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a series.

    Attributes:
        name: of the metric.
        labels: all others.
        value: any float.
        time_s: since 1970, when it was taken; NaN where that is not told.
    """

    name: str
    labels: dict[str, str]
    value: float
    time_s: float = nan


class _Series(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]]


class _Result(msgspec.Struct, rename="camel"):
    result_type: str
    result: list[_Series]


class _Answer(msgspec.Struct, rename="camel"):
    status: str
    data: _Result | None = None
    error: str = ""


def parse_query_answer(body: bytes) -> list[Sample]:
    """Samples in an answer of ``/api/v1/query`` to a range selector, oldest first in each series.

    Raises:
        ValueError: it is something else, or has too many samples.
    """
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not an answer to a query: {_short(error)}") from error
    if answer.status != "success" or answer.data is None:
        raise ValueError(f"the query failed: {_short(answer.error) or answer.status!r}")
    if answer.data.result_type != "matrix":
        raise ValueError(f"expected a matrix of samples, got {_short(answer.data.result_type)!r}")
    samples: list[Sample] = []
    for series in answer.data.result:
        name = series.metric.pop("__name__", "")
        if len(samples) + len(series.values) > MAX_SAMPLES:
            raise ValueError(f"more than {MAX_SAMPLES} samples; set labels in the mapping")
        for time_s, text in series.values:
            samples.append(Sample(name, series.metric, _number(text), time_s))
    return samples


def _number(text: str) -> float:
    try:
        return float(text[:64])
    except ValueError as error:
        raise ValueError(f"a sample's value must be a number, got {_short(text)!r}") from error


def parse_exposition(text: str, names: Collection[str]) -> list[Sample]:
    """Samples of the named metrics in a text of the exposition format; other lines are not read.

    Raises:
        RuntimeError: prometheus_client is not installed.
        ValueError: a wanted line is not of the format, or there is too much.
    """
    try:
        from prometheus_client.parser import text_string_to_metric_families as parse
    except ImportError as error:
        raise RuntimeError(
            "reading an exporter needs prometheus_client: pip install gymbal[prometheus]"
        ) from error
    samples: list[Sample] = []
    for line in _wanted_lines(text, names):
        try:
            parsed = [sample for family in parse(line) for sample in family.samples]
            for sample in parsed:
                time_s = nan if sample.timestamp is None else float(sample.timestamp)
                samples.append(Sample(sample.name, sample.labels, float(sample.value), time_s))
        # The parser is written for well-meaning exporters, and fails on others in many ways.
        except Exception as error:
            raise ValueError(f"not a line of the exposition format: {_short(line)!r}") from error
        if len(samples) > MAX_SAMPLES:
            raise ValueError(f"more than {MAX_SAMPLES} samples of the wanted metrics")
    return samples


def _wanted_lines(text: str, names: Collection[str]) -> Iterator[str]:
    alternatives = "|".join(re.escape(name) for name in sorted(names))
    wanted = re.compile(rf"^[ \t]*(?:{alternatives})[ \t{{][^\n]*", re.MULTILINE)
    for found in wanted.finditer(text):
        if found.end() - found.start() > MAX_LINE_CHARS:
            raise ValueError(
                f"a line of more than {MAX_LINE_CHARS} characters: {_short(found[0])!r}"
            )
        yield found[0]


def _short(what: object) -> str:
    text = str(what)
    return text if len(text) <= 120 else f"{text[:117]}..."
