"""A real node exporter, scraped directly and through a real Prometheus server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest

from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.adapters.prometheus import PrometheusTelemetry

UNPACKED = Path("/var/cache/gymbal/exporters/usr/bin")
"""Where Debian's packages may be unpacked instead of being installed, which starts services."""

CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: guests
    static_configs: [{{targets: ["127.0.0.1:{port}"], labels: {{instance: web}}}}]
"""


def find(program: str) -> str:
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{UNPACKED}")
    if path is None:
        pytest.skip(f"{program} is not installed (Debian package {program})")
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(command: list[str], page: str, log: Path) -> Iterator[None]:
    """A program that serves a page, until the end of the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        eventually(lambda: served(page), lambda: log.read_text(errors="replace")[-2000:])
        yield
    finally:
        process.terminate()
        process.wait(20)


def served(page: str) -> bool:
    try:
        with urlopen(page, timeout=5) as response:
            return bool(response.read(1))
    except OSError:
        return False


def eventually(holds: Callable[[], bool], said: Callable[[], str] = str) -> None:
    deadline_s = time.monotonic() + 60.0
    while not holds():
        assert time.monotonic() < deadline_s, f"it never came to hold: {said()}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of a node exporter."""
    port = free_port()
    log = tmp_path_factory.mktemp("exporter") / "log"
    command = [find("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{port}"]
    with running(command, f"http://127.0.0.1:{port}/metrics", log):
        yield port


def swap_rate_is_read(part: PrometheusTelemetry, vm: Vm) -> bool:
    return bool(np.isfinite(part.read([vm])["swap_in_rate"][0]))


def test_a_node_exporters_page(exporter: int) -> None:
    pytest.importorskip("prometheus_client")
    url = f"http://127.0.0.1:{exporter}/metrics"
    host = PrometheusTelemetry(url, "node_exporter_host").read([])
    assert host["host_cores"] == os.cpu_count()
    # A single page has no label that names a machine: this one is all there is.
    mapping = {"preset": "node_exporter", "series_key": "{mode}", "vm_key": "{name}"}
    fields = {"cpu_cores": {"metric": "node_cpu_seconds_total", "kind": "counter"}}
    fields["cpu_cores"] |= {"labels": {"mode": "idle"}, "combine": "sum"}
    idle = PrometheusTelemetry(url, {**mapping, "fields": fields})
    assert np.isnan(idle.read([Vm("idle")])["cpu_cores"][0])
    time.sleep(0.5)
    assert 0 <= idle.read([Vm("idle")])["cpu_cores"][0] <= 1.1 * (os.cpu_count() or 1)


def test_a_prometheus_server(exporter: int, tmp_path: Path) -> None:
    port = free_port()
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(CONFIGURATION.format(port=exporter))
    command = [
        find("prometheus"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    url = f"http://127.0.0.1:{port}"
    vm = Vm("web")
    with running(command, f"{url}/-/ready", tmp_path / "log"):
        part = PrometheusTelemetry(
            url, {"preset": "node_exporter", "labels": {"job": ["guests"]}}, api="query"
        )
        eventually(lambda: swap_rate_is_read(part, vm))
        read = part.read([Vm("other"), vm])
        known = dict(line.split()[:2] for line in Path("/proc/meminfo").read_text().splitlines())
        available = float(known["MemAvailable:"]) * 1024
        assert read["usable_bytes"][1] == pytest.approx(available, rel=0.5)
        assert 0 <= read["age_s"] < 30
        for field in ("swap_in_rate", "swap_out_rate", "major_fault_rate", "cpu_cores"):
            assert np.isnan(read[field][0])
            assert read[field][1] >= 0
        strange = PrometheusTelemetry(url, "kubevirt", api="query")
        assert np.isnan(strange.read([vm])["usable_bytes"]).all()
        with pytest.raises(OSError, match="404"):
            PrometheusTelemetry(f"{url}/elsewhere", "kubevirt", api="query").read([vm])
