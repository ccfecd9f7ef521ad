"""What exporters say becomes telemetry; what they should not say becomes NaN or an OSError."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from web_server import body, serving

from gymbal_runtime.adapters.part import HostPart, Vm
from gymbal_runtime.adapters.prometheus import PrometheusTelemetry
from gymbal_runtime.adapters.prometheus_samples import parse_exposition

NAN = np.nan
WEB, DB = Vm("web", uuid="11111111-2222-3333-4444-555555555555"), Vm("db")


@pytest.fixture
def page(tmp_path: Path):
    """A file in the exposition format that can be changed, and the part that reads it."""
    pytest.importorskip("prometheus_client")

    class Page:
        path = tmp_path / "page.prom"
        now = 1_700_000_000.0

        def write(self, text: str) -> None:
            self.path.write_text(text)
            os.utime(self.path, (self.now, self.now))

        def part(self, mapping: object, **options) -> PrometheusTelemetry:
            return PrometheusTelemetry(str(self.path), mapping, clock=lambda: self.now, **options)

    return Page()


PRESETS = [
    ("node_exporter", "web", {"usable_bytes": 1.610612736e9, "swap_used_bytes": 322122548}),
    ("node_exporter_host", "web", {"host_cores": 2}),
    ("libvirt_debian", "web", {}),
    ("libvirt_tinkoff", "web", {"usable_bytes": 1.6e8}),
    ("libvirt_inovex", "web", {"usable_bytes": 9.9e7}),
    ("libvirt_stat_label", "web", {"usable_bytes": 5e7}),
    ("kubevirt", "shop_web", {"usable_bytes": 1.5e9}),
    ("cadvisor", "web", {"llc_occupancy_bytes": 3 * 2**20}),
]


@pytest.mark.parametrize(("preset", "name", "gauges"), PRESETS)
def test_presets(page, fixtures: Path, preset: str, name: str, gauges: dict) -> None:
    text = (fixtures / "exposition" / f"{preset.removesuffix('_host')}.txt").read_text()
    page.write(text)
    part = page.part(preset)
    assert isinstance(part, HostPart)
    vms = [Vm("other"), Vm(name)]
    read = part.read(vms)
    assert read.keys() - {"age_s"} == part.measures
    for field in part.measures:
        value = read[field] if np.ndim(read[field]) == 0 else read[field][1]
        assert value == gauges[field] if field in gauges else np.isnan(value)
        assert np.ndim(read[field]) == 0 or np.isnan(read[field][0])
    page.now += 10.0
    page.write(text.replace(" 1700000000000", " 1700000010000"))
    read = part.read(vms)
    rates = part.measures - gauges.keys()
    assert all(read[field][1] == 0.0 for field in rates)


def test_rates(page) -> None:
    mapping = {
        "fields": {
            "swap_in_rate": {"metric": "pages", "kind": "counter", "factor": 4096},
            "cpu_cores": {
                "metric": "cpu",
                "kind": "counter",
                "combine": "sum",
                "labels": {"mode": ["user", "system"]},
            },
        }
    }
    part = page.part(mapping)
    cpu = 'cpu{{domain="web",mode="{}"}} {}\n'
    script = [  # pages, seconds in user mode, expected rate of pages and cores
        (100, 10.0, NAN, NAN),
        (150, 12.0, 5 * 4096, 0.2),
        (150, 12.0, 0, 0.0),
        (20, 13.0, NAN, 0.1),  # the guest restarted
        (30, 14.0, 4096, 0.1),
        ("NaN", "+Inf", NAN, NAN),
        (50, 15.0, 4096, 0.05),  # twenty seconds since it last made sense
    ]
    for pages, user, swap_in, cores in script:
        text = f'pages{{domain="web"}} {pages}\n' + cpu.format("user", user)
        page.write(text + cpu.format("idle", 1e9) + cpu.format("system", 5))
        read = part.read([WEB])
        np.testing.assert_allclose(read["swap_in_rate"], [swap_in])
        np.testing.assert_allclose(read["cpu_cores"], [cores])
        assert part.read([WEB])["cpu_cores"] == pytest.approx([cores], nan_ok=True)  # same again
        page.now += 10.0


def test_what_is_missing_old_or_double(page, caplog) -> None:
    mapping = {"fields": {"usable_bytes": {"metric": "free"}}}
    part = page.part(mapping)
    stamp = int(page.now * 1000)
    for line, expected in [
        ('free{domain="web"} 7', 7),
        (f'free{{domain="web"}} 7 {stamp - 59_000}', 7),
        (f'free{{domain="web"}} 7 {stamp - 61_000}', NAN),
        ('free{domain="db"} 7', NAN),
        ("free 7", NAN),
        ('free{domain="web"} NaN', NAN),
        ('free{domain="web"} -Inf', NAN),
        ('free_bytes{domain="web"} 7', NAN),
        ('# free{domain="web"} 7', NAN),
        ('free{domain="web",a="1"} 7\nfree{domain="web",a="2"} 7', NAN),
        ("", NAN),
    ]:
        page.write(line + "\n")
        np.testing.assert_array_equal(part.read([WEB])["usable_bytes"], [expected])
    assert [r.message for r in caplog.records] == [
        "usable_bytes: 2 series of free for one VM or host are taken for none; set `combine` or"
        " `labels` in the mapping"
    ]
    page.write('free{domain="web"} 7\n')
    page.now += 30.0
    assert part.read([WEB])["age_s"] == 30.0
    page.now += 31.0
    read = part.read([WEB])
    assert "age_s" not in read
    assert np.isnan(read["usable_bytes"][0])


def test_a_vm_by_its_uuid_or_with_a_port(page) -> None:
    fields = {"usable_bytes": {"metric": "free"}}
    page.write('free{id="11111111-2222-3333-4444-555555555555"} 1\nfree{id=""} 2\n')
    part = page.part({"fields": fields, "series_key": "{id}", "vm_key": "{uuid}"})
    np.testing.assert_array_equal(part.read([DB, WEB])["usable_bytes"], [NAN, 1])
    page.write('free{instance="web:9100"} 3\n')
    part = page.part({"fields": fields, "series_key": "{instance}", "vm_key": "{name}:9100"})
    np.testing.assert_array_equal(part.read([DB, WEB])["usable_bytes"], [NAN, 3])


HOSTILE = {
    "huge line": 'free{domain="' + "x" * 3_000_000 + '"} 1\n',
    "many labels": "free{" + ",".join(f'a{k}="{k}"' for k in range(200_000)) + "} 1\n",
    "open quote": 'free{domain="web 1\n',
    "backslashes": 'free{domain="' + "\\" * 15_000 + '"} 1\n',
    "quotes": "free{" + '"' * 15_000 + "} 1\n",
    "commas": "free{" + "," * 15_000 + "} 1\n",
    "no value": 'free{domain="web"}\n',
    "word": 'free{domain="web"} seven\n',
    "huge number": 'free{domain="web"} ' + "9" * 9_000 + "\n",
    "many series": "".join(f'free{{domain="v{k}"}} 1\n' for k in range(60_000)),
    "too long": "# " + "x" * 10_000_000,
    "binary": "free\x00 \x01\n",
}


HARMLESS = ("backslashes", "huge number", "binary")
"""Lines of series that are not wanted, or values that are none."""


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_pages(page, kind: str) -> None:
    page.write(HOSTILE[kind])
    part = page.part({"fields": {"usable_bytes": {"metric": "free"}}})
    started = time.monotonic()
    if kind in HARMLESS:
        assert np.isnan(part.read([WEB])["usable_bytes"][0])
    else:
        with pytest.raises(OSError, match=re.escape(str(page.path))) as raised:
            part.read([WEB])
        assert len(str(raised.value)) < 500
    assert time.monotonic() - started < 5.0


def test_not_text(page) -> None:
    page.path.write_bytes(b"free 1 \xff\xfe\n")
    with pytest.raises(OSError, match="utf-8"):
        page.part({"fields": {"usable_bytes": {"metric": "free"}}}).read([WEB])
    with pytest.raises(OSError, match="No such file"):
        PrometheusTelemetry("missing.prom", "kubevirt").read([WEB])


def test_an_exporters_page(fixtures: Path) -> None:
    pytest.importorskip("prometheus_client")
    text = (fixtures / "exposition" / "libvirt_tinkoff.txt").read_text()
    with serving(body(text)) as server:
        part = PrometheusTelemetry(f"{server.url}/metrics", "libvirt_tinkoff")
        read = part.read([WEB, DB])
        np.testing.assert_array_equal(read["usable_bytes"], [1.6e8, 3.2e8])
        assert read["age_s"] == 0.0
        assert server.requests == ["/metrics"]
        server.answer = body("gone", 410)
        with pytest.raises(OSError, match="410 Gone: gone"):
            part.read([WEB])


def answer(*series: tuple[dict[str, str], list[tuple[float, str]]]) -> str:
    result = [{"metric": metric, "values": values} for metric, values in series]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


def test_a_server_is_asked_once_for_raw_samples() -> None:
    now = [1000.0]
    swap = {"__name__": "libvirt_domain_memory_stats_swap_in_bytes", "domain": "web", "job": "a"}
    usable = {"__name__": "libvirt_domain_memory_stats_usable_bytes", "domain": "web", "job": "a"}
    mapping = {"preset": "libvirt_inovex", "labels": {"job": 'a"b', "node": ["n.1", "n2"]}}
    good = {"preset": "libvirt_inovex", "labels": {"job": "a"}}
    with serving(body(answer())) as server:
        part = PrometheusTelemetry(f"{server.url}/prom/", mapping, api="query")
        assert np.isnan(part.read([WEB])["swap_in_rate"][0])
        asked = urlsplit(server.requests[0])
        assert asked.path == "/prom/api/v1/query"
        (query,) = parse_qs(asked.query)["query"]
        assert query == (
            '{__name__=~"libvirt_domain_info_cpu_time_seconds_total'
            "|libvirt_domain_memory_stats_swap_in_bytes"
            "|libvirt_domain_memory_stats_swap_out_bytes"
            '|libvirt_domain_memory_stats_usable_bytes",job="a\\"b",node=~"n\\\\.1|n2"}[90000ms]'
        )
        part = PrometheusTelemetry(server.url, good, api="query", clock=lambda: now[0])
        first = [(970.0, "1000"), (985.0, "4000")]
        server.answer = body(answer((swap, first), (usable, [(985.0, "5e7")])))
        read = part.read([WEB])
        assert (read["swap_in_rate"][0], read["usable_bytes"][0]) == (200.0, 5e7)
        assert read["age_s"] == 15.0
        # No scrape since: the rate stands. Then one, a reset, and one after it.
        assert part.read([WEB])["swap_in_rate"][0] == 200.0
        now[0] = 1030.0
        for samples, rate in [
            ([(985.0, "4000"), (1000.0, "4000")], 0.0),
            ([(1000.0, "4000"), (1015.0, "15")], NAN),
            ([(1015.0, "15"), (1030.0, "30")], 1.0),
            ([(1030.0, "NaN")], NAN),
            ([(900.0, "30")], NAN),  # old
        ]:
            server.answer = body(answer((swap, samples)))
            np.testing.assert_equal(part.read([WEB])["swap_in_rate"][0], rate)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not an answer"),
        ("[" * 100_000, "not an answer"),
        ('{"status":"success","data":' + '{"a":' * 50_000, "not an answer"),
        ('{"status":"error","error":"parse error"}', "the query failed: 'parse error'"),
        ('{"status":"success"}', "the query failed: 'success'"),
        ('{"status":"success","data":{"resultType":"vector","result":[]}}', "expected a matrix"),
        ('{"status":"success","data":{"resultType":"matrix","result":{}}}', "not an answer"),
        (answer(({"__name__": 3}, [])), "not an answer"),  # type: ignore[dict-item]
        (answer(({"__name__": "m"}, [("1", "2")])), "not an answer"),  # type: ignore[list-item]
        (answer(({"__name__": "m"}, [(1.0, "seven")])), "must be a number"),
        (answer(({"__name__": "m"}, [(1.0, "1")] * 50_001)), "more than 50000 samples"),
        ("x" * 10_000_000, "more than 4194304 bytes"),
        (b"\xff\xfe", "not an answer"),
    ],
)
def test_hostile_answers(text: str | bytes, message: str) -> None:
    with serving(body(text)) as server:
        part = PrometheusTelemetry(server.url, "kubevirt", api="query")
        with pytest.raises(OSError, match=message) as raised:
            part.read([WEB])
        assert len(str(raised.value)) < 500


def test_it_obeys_nothing_and_options_are_checked(page) -> None:
    page.write("")
    part = page.part("kubevirt")
    part.apply([WEB], {})
    with pytest.raises(OSError, match="prometheus cannot set cpu_weight"):
        part.apply([WEB], {"cpu_weight": np.ones(1)})
    part.close()
    for options in ({"api": "graph"}, {"stale_s": 0.0}, {"max_bytes": NAN}, {"timeout_s": -1}):
        with pytest.raises(ValueError, match=next(iter(options))):
            page.part("kubevirt", **options)


def test_only_wanted_lines_are_parsed() -> None:
    pytest.importorskip("prometheus_client")
    text = 'broken{ 1\nfree{domain="a\\"b\\\\c\\nd"} 1.5 1000\n\tfree 2 # end\nfreedom 3\n'
    samples = parse_exposition(text.replace(" # end", ""), ["free"])
    assert [(s.labels, s.value) for s in samples] == [({"domain": 'a"b\\c\nd'}, 1.5), ({}, 2.0)]
    assert samples[0].time_s == 1.0
