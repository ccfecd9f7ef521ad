"""Where samples come from: a Prometheus server's query API, an exporter, or a file; all bounded."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

import msgspec

from gymbal_runtime.adapters.http_fetcher import HttpFetcher
from gymbal_runtime.adapters.prometheus_samples import (
    Sample,
    parse_exposition,
    parse_query_answer,
)


class PrometheusSource(Protocol):
    """Something that has samples."""

    def fetch(self, names: Collection[str], labels: Mapping[str, str | list[str]]) -> list[Sample]:
        """The newest samples of the named metrics, oldest first in each series.

        Args:
            names: of metrics.
            labels: what the samples' labels say at least; a source may give others as well.

        Raises:
            OSError: it does not answer in time, with too much, or with something else.
        """
        ...


class QuerySource:
    """A server that answers Prometheus queries: raw samples of the last ``window_s`` seconds.

    Args:
        fetcher: of the server's base URL.
        window_s: must span some scrapes of the slowest exporter.
    """

    def __init__(self, fetcher: HttpFetcher, *, window_s: float = 90.0) -> None:
        self._fetcher = fetcher
        self._window_ms = round(window_s * 1000)

    def fetch(  # noqa: D102
        self, names: Collection[str], labels: Mapping[str, str | list[str]]
    ) -> list[Sample]:
        matchers = [f'__name__=~"{"|".join(sorted(names))}"']
        matchers += [_matcher(label, value) for label, value in labels.items()]
        selector = f"{{{','.join(matchers)}}}[{self._window_ms}ms]"
        query = urlencode({"query": selector, "time": f"{time.time():.3f}"})
        path = f"{self._fetcher.path}/api/v1/query"
        return _parsed(
            self._fetcher.url,
            lambda: parse_query_answer(self._fetcher.get(path, query, "application/json")),
        )


def _matcher(label: str, value: str | list[str]) -> str:
    if isinstance(value, str):
        return f"{label}={_quoted(value)}"
    escaped = (re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", choice) for choice in value)
    return f"{label}=~{_quoted('|'.join(escaped))}"


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


class ExpositionSource:
    """An exporter's page."""

    def __init__(self, fetcher: HttpFetcher) -> None:
        self._fetcher = fetcher

    def fetch(  # noqa: D102
        self, names: Collection[str], labels: Mapping[str, str | list[str]]
    ) -> list[Sample]:
        def read() -> list[Sample]:
            accept = "text/plain;version=0.0.4"
            body = self._fetcher.get(self._fetcher.path, self._fetcher.query, accept)
            return parse_exposition(body.decode(), names)

        return _parsed(self._fetcher.url, read)


class FileSource:
    """A file in the exposition format; its samples are as old as its last change."""

    def __init__(self, path: str | Path, *, max_bytes: int) -> None:
        self._path = Path(path)
        self._max_bytes = max_bytes

    def fetch(  # noqa: D102
        self, names: Collection[str], labels: Mapping[str, str | list[str]]
    ) -> list[Sample]:
        def read() -> list[Sample]:
            with self._path.open("rb") as file:
                body = file.read(self._max_bytes + 1)
                changed_s = self._path.stat().st_mtime
            if len(body) > self._max_bytes:
                raise ValueError(f"more than {self._max_bytes} bytes")
            samples = parse_exposition(body.decode(), names)
            return [replace(s, time_s=changed_s) if isnan(s.time_s) else s for s in samples]

        return _parsed(str(self._path), read)


def _parsed(where: str, read: Callable[[], list[Sample]]) -> list[Sample]:
    try:
        return read()
    except ValueError as error:
        raise OSError(errno.EPROTO, f"{where}: {error}") from error
