"""An initial RAM disk with this Python and the modules that a program imports: no distribution."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from gymbal_envs.guests.image import GuestImage, find_kernel, require

_INIT = """#!/bin/busybox sh
export PATH=/bin
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
{commands}
export PYTHONPATH={path} OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
{python} -S -s {program} </dev/ttyS1 >/dev/ttyS1 2>/dev/console
echo "the program ended with status $?" >/dev/console
/bin/busybox poweroff -f
"""


def build_python_image(
    folder: Path,
    program: Path,
    *,
    commands: Sequence[str] = (),
    path: Sequence[Path] = (),
    data: Sequence[Path] = (),
) -> GuestImage:
    """Pack a RAM disk that runs a program, whose input and output are the second serial port.

    Args:
        folder: for the results; is made where it does not exist.
        program: what to run. What it imports at its top is taken along.
        commands: of the shell, before it runs.
        path: folders to import from besides those of this Python.
        data: other files that it reads, at the same place in the guest.

    Raises:
        MissingRequirementError: no kernel, busybox or cpio.
        OSError: the program's imports fail.
    """
    require("busybox", "cpio", "ldd")
    kernel = find_kernel()
    root = folder / "python"
    shutil.rmtree(root, ignore_errors=True)
    search = [str(p) for p in (*path, *sys.path) if p]
    files = _imported(program, search)
    python = Path(sys.executable).resolve()
    libraries = _libraries([python, *(f for f in files if f.suffix == ".so")])
    (root / "bin").mkdir(parents=True)
    for name in ("proc", "sys", "dev", "tmp"):
        (root / name).mkdir()
    for file in {python, program.resolve(), *files, *libraries, *data}:
        _copy(file, root)
    # The marks by which an interpreter knows its standard library.
    standard = Path(sys.base_prefix) / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}"
    (root / standard.relative_to("/") / "lib-dynload").mkdir(parents=True, exist_ok=True)
    shutil.copy(str(shutil.which("busybox")), root / "bin/busybox")
    init = root / "init"
    init.write_text(
        _INIT.format(
            commands="\n".join(commands),
            path=":".join(search),
            python=python,
            program=program.resolve(),
        )
    )
    init.chmod(0o755)
    initrd = folder / "python.cpio"
    # Not compressed: reading is quick, and unpacking under emulation is not.
    command = f"find . | cpio -o -H newc --quiet -R 0:0 > '{initrd.resolve()}'"
    subprocess.run(command, shell=True, cwd=root, check=True)
    shutil.rmtree(root)
    return GuestImage(kernel, initrd)


def _imported(program: Path, search: Sequence[str]) -> set[Path]:
    """Files of all modules that are there after the program's imports, with their compiled form."""
    script = (
        "import sys, runpy; sys.path[:0] = sys.argv[2:]\n"
        "runpy.run_path(sys.argv[1], run_name='imported')\n"
        "import encodings.utf_8, encodings.ascii, encodings.latin_1\n"
        "for m in list(sys.modules.values()):\n"
        "    for name in {getattr(m, '__file__', None), getattr(m, '__cached__', None)} - {None}:\n"
        "        print(name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(program), *search],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise OSError(f"{program} cannot be imported: {done.stderr.strip()}")
    return {Path(line) for line in done.stdout.splitlines() if Path(line).is_file()}


def _libraries(programs: Iterable[Path]) -> set[Path]:
    """Shared libraries that programs and modules need, the loader included."""
    done = subprocess.run(
        ["ldd", *(str(p) for p in programs)], capture_output=True, text=True, check=False
    )
    words = (word for line in done.stdout.splitlines() for word in line.split("(")[0].split())
    return {Path(word) for word in words if word.startswith("/") and not word.endswith(":")}


def _copy(file: Path, root: Path) -> None:
    target = root / file.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        # With its time, by which Python knows whether the compiled form is the file's own.
        shutil.copy2(file, target)
