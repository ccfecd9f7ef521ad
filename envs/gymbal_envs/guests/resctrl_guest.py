"""A guest with a real resctrl file system and a Python program that works on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gymbal_envs.guests.cat_machine import CatMachine
from gymbal_envs.guests.python_image import build_python_image

_MOUNT = "/bin/busybox mount -t resctrl resctrl /sys/fs/resctrl"


def boot_resctrl(
    folder: Path, program: Path, *, path: Sequence[Path] = (), data: Sequence[Path] = ()
) -> CatMachine:
    """Boot it and wait until the program answers: 10 s, on a busy machine 30 s.

    Args:
        folder: for the image, sockets and logs: short, a UNIX socket's path has at most 107 bytes.
        program: obeys orders on its standard input as `gymbal_envs.guests.agent.Agent` sends them.
        path: folders that it imports from.
        data: files that it reads.

    Raises:
        MissingRequirementError: this machine lacks QEMU, a kernel or what makes the image.
        OSError: the guest does not start or has no resctrl; the message has its console's words.
    """
    image = build_python_image(folder, program, commands=[_MOUNT], path=path, data=data)
    machine = CatMachine(folder, image)
    try:
        machine.agent.wait_until_ready()
    except OSError as error:
        machine.close()
        console = folder / "console"
        said = console.read_text(errors="replace")[-2000:] if console.exists() else ""
        raise OSError(f"{error}; its console said: {said}") from error
    return machine
