"""What test guests say of themselves, as telemetry; the guests are in tests/real."""

import socket
import threading
from dataclasses import replace

import numpy as np
import pytest

from gymbal_envs.guests.agent import (
    DISTANCE_BIN_BYTES,
    NUM_DISTANCE_BINS,
    PAGE_BYTES,
    Agent,
    AgentError,
    Report,
)
from gymbal_envs.guests.reports import GuestReports
from gymbal_runtime.adapters.part import HostPart, Vm

MIB = 2**20
RESERVED = 32 * MIB
FIRST = Report(
    time_s=10.0, touched=0, wanted=0.0, pages=1000, active_pages=500, stalled_us=0.0,
    swap_total_kib=1000.0, swap_free_kib=1000.0, available_kib=16.0 * 1024, total_kib=96.0 * 1024,
    anonymous_kib=48.0 * 1024, swapped_in_pages=0.0, swapped_out_pages=0.0, major_faults=0.0,
    oom_kills=0.0, worker_kills=0, distances=[0] * (NUM_DISTANCE_BINS + 1), faults=0, fault_s=0.0,
)  # fmt: skip


class Told:
    """An agent whose reports are given."""

    def __init__(self, *reports):
        self._reports = list(reports)

    def report(self, window_s):
        if not self._reports:
            raise AgentError("gone")
        return self._reports.pop(0)

    def close(self):
        pass


def test_rates_are_since_the_reading_before():
    later = replace(
        FIRST, time_s=12.0, stalled_us=5e5, swap_free_kib=600.0, faults=100, fault_s=0.4
    )
    reports = GuestReports({"a": Told(FIRST, later)}, RESERVED)
    assert isinstance(reports, HostPart)
    first = reports.read([Vm("a")])
    assert np.isnan(first["psi_some_frac"][0])
    assert np.isnan(first["swap_latency_s"])
    read = reports.read([Vm("a"), Vm("unknown")])
    assert read["psi_some_frac"][0] == 0.25
    assert read["swap_used_bytes"][0] == 400 * 1024
    assert read["swap_latency_s"] == pytest.approx(4e-3)
    assert np.isnan(read["psi_some_frac"][1])
    gone = reports.read([Vm("a")])
    assert all(np.isnan(gone[name]).all() for name in ("psi_some_frac", "active_bytes"))
    reports.close()


def test_the_kernels_pages_come_first_in_the_histogram():
    # 96 MiB + 32 reserved are 128: slices of 16. Others than the program and what is free hold
    # 96 - 48 - 16 + 32 = 64 MiB, so distance 0 is where the fifth slice begins.
    distances = [0] * (NUM_DISTANCE_BINS + 1)
    per_slice = round(16 * MIB / DISTANCE_BIN_BYTES)
    distances[0] = 70
    distances[per_slice] = 30
    distances[-2] = 1000  # farther than the guest's memory reaches
    later = replace(FIRST, time_s=11.0, distances=distances)
    reports = GuestReports({"a": Told(FIRST, later)}, RESERVED)
    reports.read([Vm("a")])
    read = reports.read([Vm("a")])
    np.testing.assert_allclose(read["lru_hit_rate"][0], [0, 0, 0, 0, 70, 30, 0, 0])
    assert read["active_bytes"][0] == 500 * PAGE_BYTES + 64 * MIB
    reports.close()


def test_an_agent_is_ready_once_it_answers_and_late_answers_are_not_mixed_up(tmp_path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "agent"))
    listener.listen(1)

    def serve():
        client, _ = listener.accept()
        lines = client.makefile("rb")
        heard = [lines.readline() for _ in range(2)]  # the first ping is answered late
        for line in heard:
            client.sendall(b'{"pong": %s}\n' % line.split()[1])
        lines.readline()
        client.sendall(b'{"error": "no such order"}\n')
        client.close()

    threading.Thread(target=serve, daemon=True).start()
    agent = Agent(tmp_path / "agent", timeout_s=20.0)
    agent.wait_until_ready()
    with pytest.raises(AgentError, match="no such order"):
        agent.ask("dance")
    with pytest.raises(OSError, match=r"gone|reset|Broken pipe"):
        agent.ask("check")
    agent.close()
    listener.close()
