"""Runs in a guest with a real resctrl: obeys orders from a serial port, answers in JSON."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fake_resctrl import FakeResctrl
from resctrl_decisions import decide, record_of
from resctrl_transcript import Replay, read_transcript

from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.adapters.resctrl import Resctrl
from gymbal_runtime.adapters.resctrl_masks import cache_masks, parse_schemata
from gymbal_runtime.adapters.resctrl_tree import SystemFiles

ROOT = Path("/sys/fs/resctrl")
NUM_VMS, THREADS = 4, 2
LEAST_DIVIDED = 10  # however long it takes
RESTART_EVERY, DISTURB_EVERY, READ_EVERY = 50, 10, 5


def rehearse() -> None:
    """One decision on no real machine: what is imported late is there to be taken along."""
    fake = FakeResctrl()
    fake.processes[7] = {7}
    decide(Resctrl(files=fake), [Vm("vm", pid=7)], np.random.default_rng(0))


rehearse()


class Kernel(SystemFiles):
    """The real file system, with what a replay needs, and a list of what was refused."""

    def __init__(self) -> None:
        super().__init__(ROOT)
        self.writer = os.getpid()
        self.spawned: list[subprocess.Popen[bytes]] = []
        self.refused: list[str] = []

    def write(self, path: str, text: str) -> None:
        self._note(lambda: super(Kernel, self).write(path, text), f"write {path} {text!r}")

    def mkdir(self, path: str) -> None:
        self._note(lambda: super(Kernel, self).mkdir(path), f"mkdir {path}")

    def rmdir(self, path: str) -> None:
        self._note(lambda: super(Kernel, self).rmdir(path), f"rmdir {path}")

    def _note(self, change: Callable[[], None], what: str) -> None:
        try:
            change()
        except OSError as error:
            self.refused.append(f"{what}: {errno.errorcode[error.errno or 0]}")
            raise

    def names(self, path: str) -> list[str]:
        return sorted(entry.name for entry in (ROOT / path).iterdir())

    def walk(self) -> list[str]:
        return sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*"))

    def spawn(self) -> int:
        self.spawned.append(subprocess.Popen(["/bin/busybox", "sleep", "1000"]))
        return self.spawned[-1].pid

    def proc_groups(self, thread: int) -> str:
        return Path(f"/proc/{thread}/cpu_resctrl_groups").read_text()

    def mount(self, option: str = "") -> None:
        if os.path.ismount(ROOT):
            subprocess.run(["/bin/busybox", "umount", str(ROOT)], check=True)
        options = ["-o", option] if option else []
        command = ["/bin/busybox", "mount", "-t", "resctrl", *options, "resctrl", str(ROOT)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            invalid = "Invalid argument" in done.stderr
            raise OSError(errno.EINVAL if invalid else errno.EIO, done.stderr)


def start_vm(name: str) -> Vm:
    """A process with some threads, in the place of an emulator."""
    pid = os.fork()
    if pid == 0:
        for _ in range(THREADS - 1):
            threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()
        signal.pause()
    while len(list(Path(f"/proc/{pid}/task").iterdir())) < THREADS:
        time.sleep(0.01)
    return Vm(name, pid=pid)


def stop_vm(vm: Vm) -> None:
    os.kill(vm.pid, signal.SIGKILL)
    os.waitpid(vm.pid, 0)


def replay_transcript(path: str) -> dict[str, Any]:
    """What differs from the recorded answers."""
    kernel = Kernel()
    replay = Replay(kernel, whole_status=False)
    differences = replay.run(read_transcript(Path(path)))
    for sleeper in kernel.spawned:
        sleeper.kill()
        sleeper.wait()
    kernel.mount()
    for name in ("p0", "p1", "p2"):
        with contextlib.suppress(OSError):
            kernel.rmdir(name)
    return {"calls": replay.calls, "differences": differences}


def make_decisions(most: str, seconds: str, seed: str) -> dict[str, Any]:
    """Random decisions through guard and adapter on VMs that come and go."""
    kernel, rng = Kernel(), np.random.default_rng(int(seed))
    vms = [start_vm(f"vm{k}") for k in range(NUM_VMS)]
    started, divided, done, wrong = time.monotonic(), 0, 0, []
    while done < int(most) and (
        divided < LEAST_DIVIDED or time.monotonic() - started < float(seconds)
    ):
        if done % RESTART_EVERY == 0:  # the controller, with or without monitoring groups
            close = "keep" if rng.random() < 0.5 else "remove"
            part = Resctrl(files=kernel, on_close=close, monitor=rng.random() < 0.5)
        if done % DISTURB_EVERY == 0:
            k = int(rng.integers(len(vms)))
            stop_vm(vms[k])
            vms[k] = start_vm(vms[k].name)
        if done % READ_EVERY == 0:  # emulation is slow: not before every decision
            record = record_of(part, vms)
        wanted = decide(part, vms, rng, record)
        done += 1
        if wanted is not None:
            divided += 1
            wrong += wrong_masks(kernel, vms, wanted)
        if done % RESTART_EVERY == 0:
            part.close()
    elapsed = time.monotonic() - started
    for vm in vms:
        stop_vm(vm)
    Resctrl(files=kernel, on_close="remove").close()
    left = [name for name in kernel.directories("") if name.startswith("gymbal")]
    left += kernel.directories("mon_groups")
    return {
        "decisions": done,
        "divided": divided,
        "seconds": elapsed,
        "refused": kernel.refused,
        "wrong": wrong,
        "left": left,
    }


def wrong_masks(kernel: Kernel, vms: list[Vm], wanted: dict[str, int]) -> list[str]:
    """Threads whose group has another mask than was decided."""
    wrong, masks = [], {}
    for vm in vms:
        for thread in kernel.threads(vm.pid):
            group = kernel.proc_groups(thread).splitlines()[0].removeprefix("res:")
            if group not in masks:
                text = kernel.read(f"{group}/schemata")
                masks[group] = set(cache_masks(parse_schemata(text)).values())
            if masks[group] != {wanted[vm.name]}:
                wrong.append(f"{vm.name} {thread}: {masks[group]}, not {wanted[vm.name]}")
    return wrong


def read_part() -> dict[str, Any]:
    """What the adapter reads of an idle machine with one VM."""
    vm = start_vm("vm")
    part = Resctrl(files=Kernel(), on_close="remove")
    read = part.read([vm])
    part.close()
    stop_vm(vm)
    # JSON has no NaN.
    numbers = {name: np.atleast_1d(value) for name, value in read.items()}
    return {k: [None if np.isnan(x) else float(x) for x in v] for k, v in numbers.items()}


def held_lock() -> dict[str, Any]:
    """Whether another program's lock keeps ours from the tree, and the message."""
    files = SystemFiles(ROOT, lock_timeout_s=0.2)
    with SystemFiles(ROOT).lock(exclusive=True):
        try:
            with files.lock(exclusive=False):
                return {"message": ""}
        except TimeoutError as error:
            return {"message": str(error)}


def divide_unprivileged(group_id: str) -> dict[str, Any]:
    """A user who was given the tree, as the documentation says, divides the cache."""
    gid = int(group_id)
    for path in (ROOT, *ROOT.rglob("*")):
        os.chown(path, -1, gid)
        with contextlib.suppress(OSError):  # files that nobody may write stay so
            path.chmod(path.stat().st_mode | 0o020 if path.is_dir() else 0o664)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgid(gid)
        os.setuid(gid)
        try:
            part = Resctrl(on_close="remove")
            vm = Vm("own", pid=os.getpid())
            part.apply([vm], {"llc_class": np.zeros(1), "llc_units": np.full(1, 5.0)})
            held = float(np.asarray(part.read([vm])["llc_units_held"])[0])
            occupancy = float(np.asarray(part.read([vm])["llc_occupancy_bytes"])[0])
            part.close()
            told = {"held": held, "occupancy": occupancy}
        except Exception:
            told = {"error": traceback.format_exc()}
        os.write(writer, json.dumps(told).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = json.loads(pipe.read())
    os.waitpid(pid, 0)
    return told


ORDERS: dict[str, Callable[..., dict[str, Any]]] = {
    "ping": lambda number: {"pong": int(number)},
    "transcript": replay_transcript,
    "decisions": make_decisions,
    "read": read_part,
    "lock": held_lock,
    "unprivileged": divide_unprivileged,
}


def main() -> None:
    tty.setraw(sys.stdin.fileno())
    for line in sys.stdin:
        order, *arguments = line.split() or [""]
        try:
            answer = ORDERS[order](*arguments)
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
