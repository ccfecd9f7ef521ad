"""Measuring in a fresh process that must not import what training needs."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FORBIDDEN = ("torch", "gymnasium", "numba", "polars", "stable_baselines3")


def measured_apart(script: str, **options: object) -> dict[str, Any]:
    """What ``script --measure`` prints last, as JSON, in a process of its own."""
    command = [sys.executable, script, "--measure"]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def check_thin() -> None:
    """Stop if anything heavy was imported."""
    heavy = [name for name in FORBIDDEN if name in sys.modules]
    assert not heavy, f"not thin: {heavy}"


def resident_mb(field: str) -> float:
    """A memory count of this process in MB, as the kernel has it: VmRSS, or VmHWM, the peak."""
    status = Path("/proc/self/status").read_text()
    line = next(row for row in status.splitlines() if row.startswith(field))
    return int(line.split()[1]) * 1024 / 1e6


def print_result(
    benchmark: str, title: str, result: Mapping[str, Any], bars: Mapping[str, float], **about: Any
) -> None:
    """A table against the bars (each is an upper limit), then one JSON line."""
    print(title)
    for name, value in result.items():
        bar = f"< {bars[name]:g}" if name in bars else ""
        verdict = ("ok" if value < bars[name] else "MISSED") if name in bars else ""
        print(f"  {name:<20} {value!s:>10}  {bar:<7} {verdict}".rstrip())
    line = {
        "benchmark": benchmark,
        **about,
        **result,
        "bars": dict(bars),
        "pass": all(result[name] < bar for name, bar in bars.items()),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }
    print(json.dumps(line))
