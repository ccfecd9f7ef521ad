"""A rig of real guests: booted once for the whole run, restored from that state for each test."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gymbal_envs.guests.image import (
    GuestImage,
    MissingRequirementError,
    build_image,
    find_kernel,
    require,
)
from gymbal_envs.guests.qemu import EMULATOR, Guest, Machine, boot, restore, wait_for_migration

SWAP_BYTES = 256 << 20


@dataclass
class Rig:
    """Where guests are made.

    Attributes:
        folder: of this test's sockets and swap disks.
        image: what guests boot.
        state: of a booted guest with a swap disk.
        guests: those that run.
    """

    folder: Path
    image: GuestImage
    state: Path
    guests: list[Guest] = field(default_factory=list)

    def machine(self, name: str) -> Machine:
        """A guest with a swap disk of its own, as it was when its state was saved: unused."""
        swap = self.folder / f"{name}.swap"
        if not swap.exists():
            with swap.open("wb") as file:
                file.truncate(SWAP_BYTES)
        return Machine(swap=f"file={swap},format=raw,cache=writeback,file.locking=off")

    def restored(self, name: str, machine: Machine | None = None) -> Guest:
        """A running guest."""
        machine = machine or self.machine(name)
        guest = restore(name, self.folder, self.image, machine, self.state)
        self.guests.append(guest)
        return guest

    def waiting(self, name: str, uri: str, machine: Machine) -> Guest:
        """A QEMU that waits for a guest to come."""
        guest = wait_for_migration(name, self.folder, self.image, machine, uri)
        self.guests.append(guest)
        return guest

    def close(self) -> None:
        for guest in self.guests:
            guest.close()


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all processes of a test run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "qemu"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def saved(shared_folder: Path) -> tuple[GuestImage, Path]:
    """A guest image and the state of a guest that has booted it."""
    with (shared_folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            require(EMULATOR)
            return _boot_once(shared_folder)
        except MissingRequirementError as missing:
            pytest.skip(f"no real guests: {missing}")


def _boot_once(folder: Path) -> tuple[GuestImage, Path]:
    state = folder / "booted"
    if state.exists():  # another process of this run made it
        return GuestImage(find_kernel(), folder / "initrd.gz"), state
    image = build_image(folder)
    with tempfile.TemporaryDirectory(prefix="gymbal-") as short:
        rig = Rig(Path(short), image, state)
        guest = boot("first", rig.folder, image, rig.machine("first"))
        try:
            guest.save(folder / "booting")
        finally:
            guest.close()
    (folder / "booting").rename(state)
    return image, state


@pytest.fixture
def rig(saved: tuple[GuestImage, Path]) -> Iterator[Rig]:
    """Real guests; whatever is still running ends with the test."""
    folder = Path(tempfile.mkdtemp(prefix="gymbal-"))  # short: sockets' paths have 107 bytes
    rig = Rig(folder, *saved)
    try:
        yield rig
    finally:
        rig.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Wait until something holds; a busy machine takes its time."""

    def wait(holds: Callable[[], bool], timeout_s: float = 60.0, poll_s: float = 0.1) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline_s, "it never came to hold"
            time.sleep(poll_s)

    return wait
