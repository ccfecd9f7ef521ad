"""Starting and stopping test guests under QEMU's emulation."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gymbal_envs.guests.agent import Agent
from gymbal_envs.guests.image import GuestImage, MissingRequirementError, require
from gymbal_runtime.adapters.qmp_socket import QmpSocket

ODD_MEMORY_KIB = 196616
"""Not a multiple of 256 KiB, which QEMU 7.2 cannot migrate under emulation (see `QmpMigration`)."""

EMULATOR = "qemu-system-x86_64"
BALLOON = "virtio-balloon-pci,id=balloon0"
KERNEL_COMMAND = "console=ttyS0 quiet panic=-1 nokaslr tsc=reliable no_timer_check psi=1"
"""On a busy machine an emulated timer is late, which the kernel's check takes for broken."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The hardware of a guest; a saved state can be restored on the same hardware only.

    Attributes:
        memory_kib: RAM.
        swap: the swap disk as the value of QEMU's ``-drive`` without interface and id, such as
            ``file=/dev/shm/swap,format=raw``; "" is none.
        balloon: value of ``-device``.
        options: more arguments for QEMU.
    """

    memory_kib: int = ODD_MEMORY_KIB
    swap: str = ""
    balloon: str = BALLOON
    options: Sequence[str] = field(default=())

    def arguments(self, image: GuestImage) -> list[str]:
        """QEMU's, but for the guest's sockets. Always emulated: the same anywhere."""
        arguments = (
            f"{EMULATOR} -nodefaults -no-user-config -display none -no-reboot -machine pc "
            f"-accel tcg,thread=single,tb-size=32 -m {self.memory_kib}K -kernel {image.kernel} "
            f"-initrd {image.initrd} -device {self.balloon}"
        ).split()
        arguments += ["-append", KERNEL_COMMAND]
        if self.swap:
            arguments += ["-drive", f"if=none,id=swap,{self.swap}"]
            arguments += ["-device", "virtio-blk-pci,drive=swap"]
        return [*arguments, *self.options]


class Guest:
    """One running guest.

    Args:
        name: of its sockets.
        folder: for the sockets and logs: short, a UNIX socket's path has at most 107 bytes.
        image: what it boots.
        machine: its hardware.
        incoming: QEMU's ``-incoming``: where its state comes from; "" boots.

    Raises:
        MissingRequirementError: QEMU is not installed.
        OSError: it ended at once.
    """

    def __init__(
        self, name: str, folder: Path, image: GuestImage, machine: Machine, incoming: str = ""
    ) -> None:
        require(EMULATOR)
        self.name = name
        self.machine = machine
        self.qmp_path = folder / f"{name}.qmp"
        self.log_path = folder / f"{name}.log"
        agent_path = folder / f"{name}.agent"
        for path in (self.qmp_path, agent_path):
            path.unlink(missing_ok=True)
        arguments = machine.arguments(image)
        arguments += ["-name", name, "-serial", f"file:{folder / name}.console"]
        arguments += ["-serial", f"unix:{agent_path},server=on,wait=off"]
        # Two monitors: one for who started it, one for the controller under test.
        control = folder / f"{name}.control"
        control.unlink(missing_ok=True)
        arguments += ["-qmp", f"unix:{control},server=on,wait=off"]
        arguments += ["-qmp", f"unix:{self.qmp_path},server=on,wait=off"]
        if incoming:
            arguments += ["-incoming", incoming]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.agent = Agent(agent_path)
        self.control = QmpSocket(control, timeout_s=60.0)
        self._wait_until_it_listens()

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + 30.0
        while True:
            try:
                return self.control.connect()
            except OSError as error:  # no socket yet, or nobody listens to it yet
                if self.process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.01)
                    continue
                said = self.log_path.read_text(errors="replace").strip()
                self.close()
                raise OSError(f"guest {self.name} did not start: {said or error}") from error

    def save(self, path: Path) -> None:
        """Write the state of the guest to a file; it stands still afterwards."""
        self.control.execute("stop")
        self.control.execute("migrate-set-parameters", {"max-bandwidth": 1 << 40})
        self.control.execute("migrate", {"uri": f"exec:cat > '{path}'"})
        self._finish_migration()

    def wait_until_restored(self) -> None:
        """Return once the incoming state is here, and let the guest run."""
        deadline = time.monotonic() + 60.0
        while self.control.execute("query-status")["status"] == "inmigrate":
            if time.monotonic() > deadline:
                raise OSError(f"guest {self.name}: its state does not arrive")
            time.sleep(0.01)
        self.control.execute("cont")

    def _finish_migration(self) -> None:
        while (status := self.control.execute("query-migrate")["status"]) != "completed":
            if status in ("failed", "cancelled"):
                raise OSError(f"guest {self.name}: saving {status}")
            time.sleep(0.01)

    def close(self) -> None:
        """End it, however it fares."""
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.control.execute("quit")
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.control.close()
        self.agent.close()


def boot(name: str, folder: Path, image: GuestImage, machine: Machine) -> Guest:
    """Boot a guest and wait until its agent answers: 3 to 6 s, on a busy machine longer."""
    guest = Guest(name, folder, image, machine)
    try:
        guest.agent.wait_until_ready()
    except OSError as error:
        guest.close()
        said = (folder / f"{name}.console").read_text(errors="replace")[-1000:]
        raise OSError(f"guest {name} does not boot: {error}; its console: {said!r}") from error
    return guest


def wait_for_migration(
    name: str, folder: Path, image: GuestImage, machine: Machine, uri: str
) -> Guest:
    """A QEMU that listens for a guest to come, on the same machine as it had."""
    guest = Guest(name, folder, image, machine, incoming="defer")
    try:
        guest.control.execute("migrate-incoming", {"uri": uri})
    except OSError:
        guest.close()
        raise
    return guest


def restore(name: str, folder: Path, image: GuestImage, machine: Machine, state: Path) -> Guest:
    """A guest in a saved state, running: below a second."""
    guest = Guest(name, folder, image, machine, incoming=f"exec:cat '{state}'")
    try:
        guest.wait_until_restored()
    except OSError:
        guest.close()
        raise
    return guest


__all__ = ["Guest", "Machine", "MissingRequirementError", "boot", "restore", "wait_for_migration"]
