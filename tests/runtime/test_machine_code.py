"""The optional compiler stays out of whoever does not ask for kernels."""

from __future__ import annotations

import subprocess
import sys

from gymbal_runtime import machine_code

CHECK = """
import sys
import gymbal_runtime, gymbal_runtime.cli, gymbal_runtime.controller, gymbal_runtime.policy_kinds
import gymbal_runtime.centre.agent, gymbal_runtime.centre.orders, gymbal_runtime.machine_code
from gymbal_runtime.heuristics import make_heuristic
for name in ("senpai", "kpart", "delay", "cold"):
    make_heuristic(name)
assert "numba" not in sys.modules
"""


def test_the_runtime_imports_no_compiler():
    subprocess.run([sys.executable, "-c", CHECK], check=True)


def test_without_a_compiler_a_kernel_is_the_function(monkeypatch):
    def double(x: float) -> float:
        return 2.0 * x

    monkeypatch.setattr(machine_code, "_numba", lambda: None)
    assert machine_code.kernel(double) is double
    assert machine_code.lean_kernel(double) is double
