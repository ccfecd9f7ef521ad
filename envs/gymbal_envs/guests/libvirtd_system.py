"""A libvirt daemon for tests of control groups: in system mode, in folders that only it sees."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from gymbal_envs.guests.image import MissingRequirementError, require
from gymbal_envs.guests.libvirtd import SessionDaemon

_GROUPS = Path("/sys/fs/cgroup")
_PARTITION = "machine"  # where libvirt makes its groups without systemd
_HIDDEN = "/run /var/lib /var/log /var/cache"
_USER = "libvirt-qemu"  # libvirt insists on it, whoever runs its QEMUs

# A daemon in system mode has its folders compiled in, and takes an empty second hierarchy of
# control groups for its own. Its /etc is a copy, as a host need not have an /etc/libvirt to mount
# on; what the host's own libvirt is told there (guests to start at once) is left out.
_SCRIPT = f"""set -e
mount --make-rprivate /
for folder in {_HIDDEN}; do mount -t tmpfs none "$folder"; done
cp -a /etc /var/cache/etc
rm -rf /var/cache/etc/libvirt
mkdir /var/cache/etc/libvirt
cp "$1/config/libvirt/qemu.conf" /var/cache/etc/libvirt/
cp "$1/passwd" "$1/group" /var/cache/etc/
mount --bind /var/cache/etc /etc
if [ -d {_GROUPS}/unified ]; then umount {_GROUPS}/unified; fi
exec libvirtd -f "$1/config/libvirt/libvirtd.conf" -p "$1/libvirtd.pid" --timeout 0
"""


class SystemDaemon(SessionDaemon):
    """``libvirtd`` in system mode, as root, in a mount namespace of its own.

    Its guests' control groups are real: below ``machine``, for the cpu controller only.

    Args:
        folder: see `SessionDaemon`.
        number: see `SessionDaemon`.

    Raises:
        MissingRequirementError: we are not root, cannot make groups, or it is not installed.
    """

    def __init__(self, folder: Path, number: int) -> None:
        require("unshare")
        if os.geteuid() != 0 or not os.access(_cpu_groups(), os.W_OK):
            raise MissingRequirementError("the right to make control groups")
        super().__init__(folder, number)

    @property
    def uri(self) -> str:
        """To connect to it."""
        return f"qemu+unix:///system?socket={self.folder}/run/libvirt/libvirt-sock"

    @property
    def pid_folder(self) -> Path:
        """Where it keeps the process ids of its QEMUs, seen from outside."""
        pid = self.process.pid if self.process is not None else 0
        return Path(f"/proc/{pid}/root/run/libvirt/qemu")

    def lend(self, path: Path) -> None:
        """Let its guests write to a file: they may."""

    def close(self) -> None:
        """End its guests, wait until it has removed their groups, and stop it."""
        files = list(self.pid_folder.glob("*.pid"))
        self.end_guests()
        deadline_s = time.monotonic() + 10.0
        while any(file.exists() for file in files) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        self.stop()
        with contextlib.suppress(OSError):  # another daemon has guests in it
            (_cpu_groups() / _PARTITION).rmdir()

    def _invocation(self) -> tuple[list[str], dict[str, str]]:
        command = ["unshare", "--mount", "sh", "-c", _SCRIPT, "sh", str(self.folder)]
        return command, {"PATH": os.environ["PATH"]}

    def _configure(self) -> None:
        super()._configure()
        config = self.folder / "config/libvirt"
        with (config / "libvirtd.conf").open("a") as file:
            file.write(f'unix_sock_dir = "{self.folder}/run/libvirt"\nauth_unix_rw = "none"\n')
        with (config / "qemu.conf").open("a") as file:
            file.write(
                'user = "root"\ngroup = "root"\nsecurity_driver = "none"\nnamespaces = []\n'
                'remember_owner = 0\ncgroup_controllers = ["cpu"]\n'
            )
        (self.folder / "run/libvirt").mkdir(exist_ok=True)
        for name, entry in (("passwd", "64055:64055::/:/bin/false"), ("group", "64055:")):
            known = Path(f"/etc/{name}").read_text()
            (self.folder / name).write_text(f"{known}{_USER}:x:{entry}\n")


def _cpu_groups() -> Path:
    """Where groups of the cpu controller are made: cgroup v1, or v2."""
    return _GROUPS / "cpu" if (_GROUPS / "cpu").exists() else _GROUPS
