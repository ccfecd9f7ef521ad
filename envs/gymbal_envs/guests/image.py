"""The initial RAM disk of a test guest: busybox, virtio modules, and the agent."""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

KERNEL_ROOT_VARIABLE = "GYMBAL_GUEST_KERNEL"
KERNEL_ROOTS = (Path("/var/cache/gymbal/kernel"), Path("/"))
"""Where a Debian kernel package was unpacked: ``boot/vmlinuz-*`` and ``lib/modules/*``."""

MODULES = (
    "virtio/virtio_ring",
    "virtio/virtio",
    "virtio/virtio_pci_modern_dev",
    "virtio/virtio_pci_legacy_dev",
    "virtio/virtio_pci",
    "block/virtio_blk",
    "virtio/virtio_balloon",
)
"""In the order in which they need one another; those built into the kernel have no file."""

_HERE = Path(__file__).parent


class MissingRequirementError(RuntimeError):
    """This machine lacks something that test guests need; the message says what to install."""


@dataclass(frozen=True, slots=True)
class GuestImage:
    """What a guest boots: a kernel and an initial RAM disk."""

    kernel: Path
    initrd: Path


def find_kernel() -> Path:
    """The newest cloud kernel that is unpacked or installed on this machine.

    Raises:
        MissingRequirementError: there is none.
    """
    given = os.environ.get(KERNEL_ROOT_VARIABLE)
    roots = (Path(given),) if given else KERNEL_ROOTS
    found = [kernel for root in roots for kernel in root.glob("boot/vmlinuz-*cloud-amd64")]
    if not found:
        raise MissingRequirementError(
            "no Debian cloud kernel: `apt-get download` the package that linux-image-cloud-amd64 "
            f"depends on and `dpkg-deb -x` it to {KERNEL_ROOTS[0]} or ${KERNEL_ROOT_VARIABLE}"
        )
    return max(found, key=lambda kernel: kernel.stat().st_mtime)


def require(*programs: str) -> None:
    """Check that programs are installed.

    Raises:
        MissingRequirementError: naming those that are not.
    """
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise MissingRequirementError(f"not installed: {', '.join(missing)}")


def build_image(folder: Path) -> GuestImage:
    """Compile the agent and pack the RAM disk; takes a second.

    Args:
        folder: for the results; is made where it does not exist.

    Raises:
        MissingRequirementError: no kernel, busybox, cpio, or C compiler with a static libc.
    """
    require("gcc", "busybox", "cpio", "gzip")
    kernel = find_kernel()
    root = folder / "initrd"
    (root / "bin").mkdir(parents=True, exist_ok=True)
    (root / "modules").mkdir(exist_ok=True)
    _compile(_HERE / "agent.c", root / "bin/agent")
    shutil.copy(str(shutil.which("busybox")), root / "bin/busybox")
    shutil.copy(_HERE / "init.sh", root / "init")
    (root / "init").chmod(0o755)
    _copy_modules(kernel, root / "modules")
    initrd = folder / "initrd.gz"
    command = f"find . | cpio -o -H newc --quiet -R 0:0 | gzip -1 > '{initrd.resolve()}'"
    subprocess.run(command, shell=True, cwd=root, check=True)
    return GuestImage(kernel, initrd)


def _compile(source: Path, program: Path) -> None:
    command = ["gcc", "-O2", "-Wall", "-static", "-o", str(program), str(source), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingRequirementError(f"gcc cannot build {source.name}: {done.stderr.strip()}")


def _copy_modules(kernel: Path, target: Path) -> None:
    version = kernel.name.removeprefix("vmlinuz-")
    drivers = kernel.parents[1] / "lib/modules" / version / "kernel/drivers"
    for number, name in enumerate(MODULES):
        plain, packed = drivers / f"{name}.ko", drivers / f"{name}.ko.xz"
        if plain.exists():
            content = plain.read_bytes()
        elif packed.exists():
            content = lzma.decompress(packed.read_bytes())
        else:
            continue
        (target / f"{number:02}-{plain.name}").write_bytes(content)
