"""The adapter, and the fake's recording, against the file system of a real kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from gymbal_envs.guests.agent import Agent

IDLE = {
    "llc_bytes": [pytest.approx(16777200)],
    "llc_units": [20],
    "llc_classes": [3],
    "llc_min_units": [2],
    "llc_recolours": [0],
    "llc_class": [0],
    "llc_units_held": [20],
    "llc_occupancy_bytes": [0],
    "memory_bandwidth_bytes_s": [None],
}


def test_a_real_kernel(kernel: Agent, transcript_path: Path) -> None:
    """One test, so that one process of a parallel run boots the guest."""
    replayed = kernel.ask(f"transcript {transcript_path}")
    assert replayed == {"calls": 69, "differences": []}
    assert kernel.ask("read") == IDLE
    assert "another program has held its lock for 0.2 s" in kernel.ask("lock")["message"]
    assert kernel.ask("unprivileged 1000") == {"held": 5, "occupancy": 0}
    made = kernel.ask("decisions 10000 15 1")
    assert (made["refused"], made["wrong"], made["left"]) == ([], [], [])
    assert made["divided"] >= 10
