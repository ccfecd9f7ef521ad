"""Hosts are found by name, and what goes wrong is said plainly."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from gymbal_runtime import hosts
from gymbal_runtime.hosts import HostError, open_host


def opens(size: int = 1) -> object:
    """Stands for a package's ``open_host``."""
    if size < 0:
        raise ConnectionError("nobody answers")
    return object()


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Entry points of two distributions: one that works, one whose package is missing."""
    value = f"{__name__}:opens"
    points = [
        EntryPoint("good", value, hosts.GROUP),
        EntryPoint("bad", "no_such_package_at_all:open_host", hosts.GROUP),
    ]
    monkeypatch.setattr(hosts, "entry_points", lambda group: points)
    factories: dict[str, object] = {"good": opens}
    load = EntryPoint.load
    monkeypatch.setattr(EntryPoint, "load", lambda p: factories.get(p.name) or load(p))
    return factories


def test_open_host__passes_options(installed, fake_host):
    installed["good"] = lambda size: fake_host(names=("a",) * size)
    assert open_host("good", size=3).vm_names == ("a", "a", "a")


def test_open_host__lists_what_is_installed():
    with pytest.raises(HostError, match="no host named 'xen'; installed: bad, good"):
        open_host("xen")


def test_open_host__missing_package():
    with pytest.raises(HostError, match=r"'bad' cannot be loaded: .*no_such_package_at_all"):
        open_host("bad")


def test_open_host__unknown_option_lists_options():
    with pytest.raises(HostError, match="unexpected keyword argument 'color'; it takes size"):
        open_host("good", color=1)


def test_open_host__cannot_connect():
    with pytest.raises(HostError, match="cannot be opened: nobody answers"):
        open_host("good", size=-1)


def test_open_host__must_return_a_host():
    with pytest.raises(HostError, match="did not return a host"):
        open_host("good")
