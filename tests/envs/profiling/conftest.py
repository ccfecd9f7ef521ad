"""Small programs whose memory use is known, compiled for the tests."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Compile a C program; gives its path. Tests that ask for it trace real programs."""
    if shutil.which("qemu-x86_64") is None or shutil.which("gcc") is None:
        pytest.skip("needs qemu-x86_64 and gcc: apt-get install qemu-user gcc")

    def compile_source(source: str) -> str:
        program = tmp_path_factory.mktemp("program") / "program"
        command = ["gcc", "-O1", "-w", "-x", "c", "-", "-o", str(program), "-lpthread"]
        subprocess.run(command, input=source, text=True, check=True)
        return str(program)

    return compile_source
