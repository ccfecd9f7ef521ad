"""Whatever is decided, the kernel has nothing to refuse, and the masks are those of the command."""

from __future__ import annotations

import numpy as np
import pytest
from resctrl_decisions import decide

from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.adapters.resctrl import Resctrl

MACHINES = [
    {},
    {"closids": 16, "ways": 11, "min_bits": 1, "shareable": 0x600},
    {"closids": 2, "rmids": 4},
    {"closids": 16, "ways": 16, "min_bits": 0, "sparse": True, "shareable": 0},
    {"closids": 8, "ways": 12, "min_bits": 1, "domains": (0, 1), "cdp": True},
    {"closids": 8, "shareable": 0, "taken": 0xF0},
    {"closids": 8, "shareable": 0, "taken": 0xFF000},
    {"closids": 5, "rmids": 0},
]
DECISIONS = 10_000


@pytest.mark.parametrize("hardware", MACHINES)
def test_no_write_is_refused(machine, hardware) -> None:
    hardware = dict(hardware)
    taken = hardware.pop("taken", 0)
    fake, vms = machine(6, **hardware)
    if taken:
        fake.mkdir("theirs")
        below = (taken & -taken) - 1
        fake.write("schemata", f"L3:0={below or fake.full & ~taken:x}\n")
        fake.write("theirs/schemata", f"L3:0={taken:x}\n")
        fake.write("theirs/mode", "exclusive\n")
    left = dict(fake.groups)
    rng = np.random.default_rng(7)
    divided = 0
    for step in range(DECISIONS // len(MACHINES)):
        if step % 50 == 0:  # a controller that starts again
            part = Resctrl(files=fake, on_close=rng.choice(["keep", "remove"]))
        if rng.random() < 0.1:
            _disturb(fake, vms, rng)
        wanted = decide(part, vms, rng)
        divided += wanted is not None
        if wanted is not None:
            _check_masks(fake, vms, wanted, fake.full & ~taken)
        if step % 50 == 49:
            part.close()
    assert divided > DECISIONS // len(MACHINES) / 2
    assert fake.refused == []
    for name, group in left.items():  # nothing of others was touched
        assert fake.groups[name].masks == group.masks
        assert fake.groups[name].mode == group.mode


def _disturb(fake, vms, rng) -> None:
    """A VM restarts, or starts and ends threads."""
    k = int(rng.integers(len(vms)))
    if rng.random() < 0.5:
        gone = fake.processes.pop(vms[k].pid)
        for thread in gone:
            fake.places.pop(thread, None)
        pid = vms[k].pid + 100_000
        vms[k] = Vm(vms[k].name, pid=pid)
        fake.processes[pid] = {pid, pid + 1}
        return
    threads = fake.processes[vms[k].pid]
    fake.places[max(threads) + 1] = fake.place(max(threads))
    threads.add(max(threads) + 1)
    threads.discard(min(threads - {vms[k].pid}))


def _check_masks(fake, vms, wanted: dict[str, int], free: int) -> None:
    runs = [run for run in f"{free:b}"[::-1].split("0") if run]
    first = f"{free:b}"[::-1].index(max(runs, key=len))
    for vm in vms:
        for thread in fake.processes[vm.pid]:
            for masks in fake.groups[fake.place(thread)[0]].masks.values():
                assert set(masks.values()) == {wanted[vm.name] << first}
