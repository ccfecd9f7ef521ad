"""QEMU, a C compiler, and the tracing plugin that one makes for the other."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

QEMU = "qemu-x86_64"
COMPILER = "gcc"
# QEMU 9.0 refuses plugins that were made for its first plugin interface, older ones know no other.
FIRST_QEMU_WITH_API_2 = 9


class TracerError(RuntimeError):
    """The program cannot be traced; the message says why and what to do."""


def find_qemu() -> str:
    """Path of QEMU's user-mode emulator for x86-64.

    Raises:
        TracerError: It is not installed; names the package.
    """
    found = shutil.which(QEMU)
    if found is None:
        raise TracerError(
            f"{QEMU} is not installed: programs are traced in QEMU's user mode; "
            "install it with: apt-get install qemu-user"
        )
    return found


def build_plugin(qemu: str) -> Path:
    """Compile the plugin for this QEMU, or find it compiled already.

    It lies in ``$XDG_CACHE_HOME/gymbal`` (by default ``~/.cache/gymbal``), under the hash of its
    source, so an old one is never taken for a new one.

    Raises:
        TracerError: There is no compiler, or it refuses the source.
    """
    source = files("gymbal_envs.profiling").joinpath("plugin.c").read_text("utf-8")
    api = 2 if _major_version(qemu) >= FIRST_QEMU_WITH_API_2 else 1
    digest = hashlib.sha256(f"{api}\n{source}".encode()).hexdigest()[:16]
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    plugin = Path(root) / "gymbal" / f"tracer-{digest}.so"
    if not plugin.is_file():
        plugin.parent.mkdir(parents=True, exist_ok=True)
        _compile(source, api, plugin)
    return plugin


def _compile(source: str, api: int, plugin: Path) -> None:
    compiler = shutil.which(COMPILER)
    if compiler is None:
        raise TracerError(
            f"{COMPILER} is not installed: it compiles the tracing plugin once; "
            "install it with: apt-get install gcc libc6-dev"
        )
    with tempfile.TemporaryDirectory(dir=plugin.parent) as folder:
        made = Path(folder) / plugin.name
        options = ["-O2", "-shared", "-fPIC", "-fvisibility=hidden", f"-DPLUGIN_API={api}"]
        command = [compiler, *options, "-x", "c", "-", "-o", str(made), "-lpthread"]
        done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
        if done.returncode:
            raise TracerError(
                f"{COMPILER} could not compile the tracing plugin; if headers are missing, "
                f"apt-get install libc6-dev. It said:\n{done.stderr.strip()}"
            )
        made.replace(plugin)  # at once: another process may look for it


def _major_version(qemu: str) -> int:
    """Of "qemu-x86_64 version 7.2.22 (Debian ...)", the 7."""
    said = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"version (\d+)\.", said)
    if version is None:
        raise TracerError(f"{qemu} --version does not tell its version, found {said[:80]!r}")
    return int(version.group(1))
