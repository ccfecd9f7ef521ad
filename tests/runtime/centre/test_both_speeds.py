"""Rules run compiled where numba is installed and as plain Python elsewhere: the same bits.

Run as a script this file plays records without numba: ``IN.npz OUT.npz``.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

RULES = {
    "thr_mmt": {"parameter": 0.6}, "iqr_mmt": {}, "mad_mmt": {"selector": "rs"},
    "lr_mmt": {"selector": "mc"}, "drs": {"cost_weight": 0.0, "awake_s": 0.0},
    "workload_balance": {}, "workload_stabilization": {"retry_count": 3.0, "memory_weight": 0.5},
    "vm_workload_consolidation": {}, "basic_consolidation": {},
}  # fmt: skip
RECORDS = 3


def play(path):
    """What is told for each record, and numbers of the rules below."""
    from gymbal_runtime.centre.heuristics import make_centre_heuristic
    from gymbal_runtime.centre.rules.detection import (
        forecast,
        interquartile_range,
        median_absolute_deviation,
    )
    from gymbal_runtime.centre.rules.power import power_w
    from gymbal_runtime.centre.rules.selection import explained_share
    from gymbal_runtime.centre.telemetry import CentreTelemetry
    from gymbal_runtime.random_numbers import normal

    with np.load(path) as columns:
        record = CentreTelemetry(**columns)
    told = {}
    for name, options in RULES.items():
        orders = make_centre_heuristic(name, **options).act(record)
        told[name], told[f"{name} power"] = orders.target, orders.power
    past, work = np.random.default_rng(0).random((4, 30)), np.zeros(30)
    streams = np.array([2**63 + 5], dtype=np.uint64)
    with np.errstate(over="ignore"):
        told["numbers"] = np.array([
            *(forecast(past[k], 1.0) for k in range(4)),
            *(median_absolute_deviation(past[k], 25, work) for k in range(4)),
            *(interquartile_range(past[k], 29, work) for k in range(4)),
            *(power_w(record.power_w[0, 0], use) for use in past[0]),
            *(explained_share(k, np.arange(4), 4, 20, past, np.zeros((30, 31))) for k in range(4)),
            *(normal(streams, 0) for _ in range(20)),
        ])  # fmt: skip
    return told


@pytest.fixture(scope="module")
def paths(random_centres, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    for k in range(RECORDS):
        record = random_centres(k, hosts=8, vms=20)
        arrays = {f.name: getattr(record, f.name) for f in fields(record) if f.name != "sharing"}
        np.savez(folder / f"in{k}.npz", **arrays)
        command = [sys.executable, __file__, folder / f"in{k}.npz", folder / f"out{k}.npz"]
        subprocess.run(command, check=True)
    return [(folder / f"in{k}.npz", folder / f"out{k}.npz") for k in range(RECORDS)]


def test_rules_run_without_a_compiler(paths):
    moves = 0
    for _, told in paths:
        with np.load(told) as plain:
            moves += sum((plain[name] >= 0).sum() for name in RULES)
    assert moves > 50


@pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs numba")
def test_both_ways_give_the_same_bits(paths):
    for record, told in paths:
        compiled = play(record)
        with np.load(told) as plain:
            assert set(plain) == set(compiled)
            for name, values in compiled.items():
                np.testing.assert_array_equal(plain[name], values, name)


if __name__ == "__main__":
    sys.modules["numba"] = None  # as if it were not installed
    np.savez(sys.argv[2], **play(sys.argv[1]))
