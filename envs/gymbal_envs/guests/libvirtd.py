"""A libvirt daemon for tests: unprivileged, with folders of its own, beside any other."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path

from gymbal_envs.guests.image import GuestImage, require
from gymbal_envs.guests.qemu import EMULATOR, KERNEL_COMMAND, ODD_MEMORY_KIB

_NOBODY = 65534
_PORTS_PER_DAEMON = 50


class SessionDaemon:
    """``libvirtd`` in session mode: needs neither root nor systemd.

    Args:
        folder: for everything it writes; short, and reachable by user *nobody* where we are root.
        number: of the daemon among those beside it, for its migration ports.

    Raises:
        MissingRequirementError: it is not installed.
    """

    def __init__(self, folder: Path, number: int) -> None:
        require("libvirtd", EMULATOR, "setpriv")
        self.folder = folder
        self.host_uuid = uuid.uuid4()  # daemons of the same host refuse to migrate to each other
        self._first_port = 49152 + _PORTS_PER_DAEMON * number
        for name in ("run", "config/libvirt", "cache", "data"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._configure()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """To connect to it."""
        return f"qemu+unix:///session?socket={self.folder}/run/libvirt/libvirt-sock"

    @property
    def pid_folder(self) -> Path:
        """Where it keeps the process ids of its QEMUs."""
        return self.folder / "run/libvirt/qemu/run"

    def start(self) -> None:
        """Start it, and wait until it listens.

        Raises:
            OSError: it does not start.
        """
        command, environment = self._invocation()
        log = self.folder / "stderr.log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        listener = self.folder / "run/libvirt/libvirt-sock"
        deadline_s = time.monotonic() + 30.0
        while not listener.exists():
            if self.process.poll() is not None or time.monotonic() > deadline_s:
                raise OSError(f"libvirtd does not start: {log.read_text(errors='replace')[-500:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the daemon; its guests go on."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        (self.folder / "run/libvirt/libvirt-sock").unlink(missing_ok=True)

    def close(self) -> None:
        """Stop the daemon and end its guests."""
        self.stop()
        self.end_guests()

    def end_guests(self) -> None:
        """Kill its QEMUs."""
        for file in self.pid_folder.glob("*.pid"):
            with contextlib.suppress(OSError, ValueError):
                pid = int(file.read_text())
                if EMULATOR in Path(f"/proc/{pid}/cmdline").read_text():
                    os.kill(pid, signal.SIGKILL)

    def lend(self, path: Path) -> None:
        """Let its guests write to a file."""
        if os.geteuid() == 0:
            shutil.chown(path, _NOBODY, _NOBODY)

    def _invocation(self) -> tuple[list[str], dict[str, str]]:
        """The command that starts it, and its environment."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_DATA_HOME": str(self.folder / "data"),
        }
        command = ["libvirtd", "-p", str(self.folder / "libvirtd.pid"), "--timeout", "0"]
        if os.geteuid() == 0:
            self._give_away(self.folder)
            ids = [f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
            command = ["setpriv", *ids, *command]
        return command, environment

    def _configure(self) -> None:
        config = self.folder / "config/libvirt"
        (config / "libvirtd.conf").write_text(
            f'host_uuid = "{self.host_uuid}"\nlog_outputs = "3:file:{self.folder}/libvirtd.log"\n'
        )
        last_port = self._first_port + _PORTS_PER_DAEMON - 1
        (config / "qemu.conf").write_text(
            'stdio_handler = "file"\n'
            f"migration_port_min = {self._first_port}\nmigration_port_max = {last_port}\n"
        )

    def _give_away(self, folder: Path) -> None:
        for path in (folder, *folder.rglob("*")):
            if not path.is_symlink():
                shutil.chown(path, _NOBODY, _NOBODY)


def domain_xml(
    name: str, image: GuestImage, agent: Path, swap: Path, memory_kib: int = ODD_MEMORY_KIB
) -> str:
    """A guest like those of `gymbal_envs.guests.qemu`, as libvirt wants it described.

    Args:
        name: of the domain.
        image: what it boots.
        agent: socket of its agent, to be made by QEMU.
        swap: its swap disk, a raw file.
        memory_kib: RAM.
    """
    return f"""<domain type="qemu">
  <name>{name}</name>
  <uuid>{uuid.uuid5(uuid.NAMESPACE_OID, name)}</uuid>
  <memory unit="KiB">{memory_kib}</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch="x86_64" machine="pc">hvm</type>
    <kernel>{image.kernel}</kernel>
    <initrd>{image.initrd}</initrd>
    <cmdline>{KERNEL_COMMAND}</cmdline>
  </os>
  <features><acpi/></features>
  <devices>
    <emulator>{shutil.which(EMULATOR)}</emulator>
    <controller type="usb" model="none"/>
    <disk type="file" device="disk">
      <driver name="qemu" type="raw" cache="none"/>
      <source file="{swap}"/>
      <target dev="vda" bus="virtio"/>
      <shareable/>
    </disk>
    <serial type="null"><target port="0"/></serial>
    <serial type="unix"><source mode="bind" path="{agent}"/><target port="1"/></serial>
    <memballoon model="virtio"/>
  </devices>
</domain>"""
