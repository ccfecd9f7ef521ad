"""ServiceManager: what systemd is told."""

from __future__ import annotations

import os
import socket

import pytest

from gymbal_runtime.service_manager import ServiceManager


@pytest.fixture(params=["path", "abstract"])
def channel(request, tmp_path):
    name = str(tmp_path / "notify") if request.param == "path" else f"\0gymbal-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name)
        listening.settimeout(5)
        yield listening, name.replace("\0", "@")


def test_ready_once_then_alive_then_stopping(channel):
    listening, address = channel
    manager = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "60000000"})
    assert manager.watchdog_s == 60
    manager.beat()
    manager.beat()
    manager.stopping()
    told = [listening.recv(100).decode() for _ in range(3)]
    assert told == ["READY=1\nWATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]


def test_without_systemd_nothing_happens(tmp_path):
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "nobody")}):
        manager = ServiceManager(environment)
        manager.beat()
        manager.stopping()
        assert manager.watchdog_s == 0
        manager.check_interval(1e9)


def test_interval_must_leave_the_watchdog_time():
    manager = ServiceManager({"WATCHDOG_USEC": "8000000", "WATCHDOG_PID": str(os.getpid())})
    manager.check_interval(4.0)
    with pytest.raises(ValueError, match="an interval of 5 s needs WatchdogSec=10"):
        manager.check_interval(5.0)
    assert ServiceManager({"WATCHDOG_USEC": "8000000", "WATCHDOG_PID": "1"}).watchdog_s == 0
