"""Playing a script on real guests under QEMU, all policies at the same time.

Each policy has a host of its own: two guests restored from the same booted state, with swap disks
in memory behind a network block device that takes 2 ms per request. They run side by side, so that
whatever else the machine does meets all policies alike.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from real_host_script import (
    FLOOR_BYTES,
    GUESTS,
    POLICIES,
    Play,
    Script,
    Watched,
    controller_of,
    note,
)

from gymbal_envs.guests.image import GuestImage, build_image, require
from gymbal_envs.guests.qemu import Guest, Machine, boot, restore
from gymbal_envs.guests.reports import GuestReports
from gymbal_runtime.adapters.combined import CombinedHost
from gymbal_runtime.adapters.qmp import QmpHypervisor

SWAP = "256M"
DELAY_MS = 2
SETTLE_S = 60.0


@dataclass(frozen=True)
class Booted:
    """What every guest begins with.

    Attributes:
        folder: of the files.
        image: kernel and RAM disk.
        state: of a guest that has booted.
        reserved_bytes: what a guest's kernel keeps from its own count of all memory.
    """

    folder: Path
    image: GuestImage
    state: Path
    reserved_bytes: float


@contextlib.contextmanager
def booted() -> Iterator[Booted]:
    """Boot a guest once and save its state."""
    require("nbdkit")
    folder = Path(tempfile.mkdtemp(prefix="gymbal-"))
    try:
        image = build_image(folder)
        with swap_disk(folder / "swap") as swap:
            guest = boot("first", folder, image, Machine(swap=swap))
            report = guest.agent.report()
            reserved = guest.machine.memory_kib * 1024.0 - report.total_kib * 1024.0
            guest.save(folder / "state")
            guest.close()
        yield Booted(folder, image, folder / "state", reserved)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def swap_disk(path: Path, delay_ms: int = DELAY_MS) -> Iterator[str]:
    """A disk of memory behind a network block device, as an argument for QEMU."""
    delays = [f"rdelay={delay_ms}ms", f"wdelay={delay_ms}ms"]
    command = [
        "nbdkit",
        "--exit-with-parent",
        "-f",
        "-U",
        str(path),
        "--filter=delay",
        "memory",
        SWAP,
        *delays,
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        while not path.exists():
            time.sleep(0.01)
        try:
            yield f"file=nbd+unix:///?socket={path},format=raw"
        finally:
            server.terminate()


@contextlib.contextmanager
def guests_of(here: Booted, policy: str) -> Iterator[dict[str, Guest]]:
    """The running guests of one host."""
    folder = here.folder / policy
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        guests = {}
        for name in GUESTS:
            swap = stack.enter_context(swap_disk(folder / f"{name}.nbd"))
            guests[name] = restore(name, folder, here.image, Machine(swap=swap), here.state)
            stack.callback(guests[name].close)
        yield guests


class RealHost:
    """One policy's host, and how it fares."""

    def __init__(self, here: Booted, policy: str, script: Script, guests: dict[str, Guest]) -> None:
        self.play = Play(policy)
        self._guests = guests
        self._skew = script.skew
        self._reports = GuestReports(
            {name: guest.agent for name, guest in guests.items()}, here.reserved_bytes
        )
        floors = dict.fromkeys(GUESTS, FLOOR_BYTES)
        hypervisor = QmpHypervisor(here.folder / policy, floors=floors, timeout_s=3.0)
        combined = CombinedHost(
            hypervisor, [self._reports], name=policy, budget_bytes=script.budget_bytes
        )
        self._host = Watched(combined)
        self._controller = controller_of(policy, self._host)

    def divide_equally(self, budget_bytes: float) -> None:
        """Start from half of the budget each."""
        half = int(budget_bytes / len(GUESTS) // 4096) * 4096
        for guest in self._guests.values():
            guest.control.execute("balloon", {"value": half})
        deadline_s = time.monotonic() + SETTLE_S
        while any(
            guest.control.execute("query-balloon")["actual"] > half
            for guest in self._guests.values()
        ):
            if time.monotonic() > deadline_s:
                raise OSError(f"{self.play.policy}: a balloon does not inflate")
            time.sleep(0.1)

    def demand(self, sizes: np.ndarray, rates: np.ndarray) -> None:
        """Tell the guests what to do from now on."""
        for name, size, rate in zip(GUESTS, sizes, rates, strict=True):
            self._guests[name].agent.work(float(size), float(rate), self._skew)

    def step(self, began_s: float) -> None:
        """One decision, and a note of how things stand."""
        decision = self._controller.step()
        seen = self._host.newest
        if seen is None or not seen.present[0].all():
            raise OSError(f"{self.play.policy}: {decision.reason}: {decision.errors}")
        reports = [self._reports.newest[name] for name in GUESTS]
        note(self.play, time.monotonic() - began_s, seen, decision)
        self.play.touched.append(np.array([float(report.touched) for report in reports]))
        self.play.wanted.append(np.array([report.wanted for report in reports]))

    def close(self) -> None:
        """Let go of the guests."""
        self._host.close()


def play_on_guests(
    here: Booted, script: Script, policies: Sequence[str] = POLICIES
) -> dict[str, Play]:
    """Play a script once under each policy, all at the same time."""
    with contextlib.ExitStack() as stack:
        hosts = []
        for policy in policies:
            guests = stack.enter_context(guests_of(here, policy))
            hosts.append(RealHost(here, policy, script, guests))
            stack.callback(hosts[-1].close)
        pool = stack.enter_context(ThreadPoolExecutor(len(hosts)))
        list(pool.map(lambda host: host.divide_equally(script.budget_bytes), hosts))
        began_s = time.monotonic()
        told: object = None
        for step in range(script.num_steps + 1):
            due_s = step * script.interval_s
            time.sleep(max(0.0, began_s + due_s - time.monotonic()))
            sizes, rates = script.demand(due_s)
            if (wanted := (tuple(sizes), tuple(rates))) != told:
                list(pool.map(lambda host, a=sizes, b=rates: host.demand(a, b), hosts))
                told = wanted
            list(pool.map(lambda host: host.step(began_s), hosts))
    return {host.play.policy: host.play for host in hosts}
