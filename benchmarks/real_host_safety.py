"""Hostile policies in act mode on real guests: what the controller lets them do.

The policy's place is taken by agents that ask for random, extreme, contradictory or impossible
things, while the guests' own demand changes at random. Checked all the time: no process of a guest
is killed for want of memory, no target lies below a guest's floor, and the guests together never
hold more than the host's budget.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from real_host_guests import Booted, booted
from real_host_script import FLOOR_BYTES, MEMORY_BYTES, MIB, Silent

from gymbal_envs.guests.qemu import Guest, Machine, restore
from gymbal_envs.guests.reports import GuestReports
from gymbal_runtime.adapters.combined import CombinedHost
from gymbal_runtime.adapters.qmp import QmpHypervisor
from gymbal_runtime.adapters.qmp_socket import exchange
from gymbal_runtime.assembly import make_safeguard
from gymbal_runtime.command import Command
from gymbal_runtime.controller import Controller, Mode
from gymbal_runtime.heuristics import make_heuristic
from gymbal_runtime.settings import GuardSettings
from gymbal_runtime.telemetry import Telemetry

NAMES = ("first", "second", "third")
BUDGET = 115 * MIB * len(NAMES)
INTERVAL_S = 1.0
DEMAND_S = 8.0
WATCH_S = 0.2
LOOK_S = 0.1
MAX_EXCESSES = 20
PAGE_BYTES = 4096.0

Ask = Callable[[Telemetry, np.random.Generator, int], np.ndarray]


def anything(seen: Telemetry, rng: np.random.Generator, _: int) -> np.ndarray:
    """Any size, also below zero and beyond the guest."""
    return rng.uniform(-1.0, 3.0, seen.actual_bytes.shape) * MEMORY_BYTES


def nothing(seen: Telemetry, rng: np.random.Generator, _: int) -> np.ndarray:
    """No memory for anybody."""
    return np.zeros_like(seen.actual_bytes)


def everything(seen: Telemetry, rng: np.random.Generator, _: int) -> np.ndarray:
    """All memory for everybody."""
    return seen.memory_max_bytes * 100.0


def starve(seen: Telemetry, rng: np.random.Generator, _: int) -> np.ndarray:
    """Nothing for who needs it most, all for the others."""
    used = seen.actual_bytes - np.nan_to_num(seen.usable_bytes)
    return np.where(used == used.max(), 0.0, seen.memory_max_bytes)


def to_and_fro(seen: Telemetry, rng: np.random.Generator, step: int) -> np.ndarray:
    """Everything to one guest, at the next decision to the next."""
    whose = np.arange(seen.num_vms) == step % seen.num_vms
    return np.where(whose, seen.memory_max_bytes, 0.0)


def broken(seen: Telemetry, rng: np.random.Generator, step: int) -> np.ndarray:
    """No numbers, too many of them, or no answer at all."""
    odd = [np.nan, np.inf, -np.inf, 1e308][step % 4]
    if step % 5 == 0:
        raise RuntimeError("a broken policy")
    return np.full((1, seen.num_vms + step % 3), odd)


HOSTILE: tuple[Ask, ...] = (anything, nothing, everything, starve, to_and_fro, broken)


class Hostile:
    """Changes its ways every so many decisions."""

    def __init__(self, seed: int, steps_each: int = 20) -> None:
        self._rng = np.random.default_rng(seed)
        self._steps_each = steps_each
        self._steps = 0

    def reset(self, num_hosts: int, num_vms: int) -> None:
        """It remembers nothing that matters."""

    def act(self, telemetry: Telemetry) -> Command:
        """Something that should not be done."""
        self._steps += 1
        ask = HOSTILE[self._steps // self._steps_each % len(HOSTILE)]
        return Command(balloon_bytes=ask(telemetry, self._rng, self._steps))


@dataclass
class Safety:
    """What came of it.

    Attributes:
        seconds: that it lasted.
        decisions: taken, by who decided.
        told: targets that were given to guests.
        below_floor: of those, below the guest's floor.
        over_budget: looks at which the guests together held more than the budget.
        looks: how often that was looked at.
        slow_looks: looks that took so long that their numbers are of different moments; not judged.
        excesses: the first looks over budget: when, what each guest held, and what it was told.
        largest_held_frac: most that they held, of the budget.
        oom_kills: processes that the guests' kernels killed.
        guard: how often each rule of the guard fired.
        swapped_bytes: that the guests read back from swap: how hard they were pressed.
        silent: decisions at which something of the host did not answer.
        newest: last target of each guest.
        load: of the machine, before and after.
    """

    seconds: float = 0.0
    decisions: dict[str, int] = field(default_factory=dict)
    told: int = 0
    below_floor: int = 0
    over_budget: int = 0
    looks: int = 0
    slow_looks: int = 0
    excesses: list[dict[str, Any]] = field(default_factory=list)
    silent: int = 0
    largest_held_frac: float = 0.0
    oom_kills: int = 0
    guard: dict[str, int] = field(default_factory=dict)
    swapped_bytes: float = 0.0
    newest: dict[str, float] = field(default_factory=dict)
    load: list[float] = field(default_factory=lambda: [os.getloadavg()[0]])


@contextlib.contextmanager
def _guests(here: Booted) -> Iterator[dict[str, Guest]]:
    folder = here.folder / "safety"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        guests = {}
        for name in NAMES:
            swap = folder / f"{name}.swap"
            with swap.open("wb") as file:
                file.truncate(256 << 20)
            machine = Machine(swap=f"file={swap},format=raw,cache=writeback")
            guests[name] = restore(name, folder, here.image, machine, here.state)
            stack.callback(guests[name].close)
            guests[name].control.execute("balloon", {"value": int(BUDGET / len(NAMES))})
        while any(_held(guest) > BUDGET / len(NAMES) for guest in guests.values()):
            time.sleep(0.1)
        yield guests


def _held(guest: Guest) -> float:
    return float(guest.control.execute("query-balloon")["actual"])


def run_safely(seconds: float, seed: int = 0) -> dict[str, Any]:
    """Let hostile policies have their way for a while; the findings, as JSON."""
    found = Safety()
    with booted() as here, _guests(here) as guests:
        host = CombinedHost(
            QmpHypervisor(
                here.folder / "safety", floors=dict.fromkeys(NAMES, FLOOR_BYTES), timeout_s=3.0
            ),
            [GuestReports({n: g.agent for n, g in guests.items()}, here.reserved_bytes)],
            name="safety",
            budget_bytes=BUDGET,
        )
        controller = Controller(
            host,
            Hostile(seed),
            make_heuristic("meb"),
            mode=Mode.ACT,
            safeguard=make_safeguard(GuardSettings()),
            deadline_s=5.0,
            log=Silent(),
        )
        over = threading.Event()
        watching = threading.Thread(target=_watch, args=(guests, found, over))
        watching.start()
        try:
            _play(controller, guests, found, seconds, np.random.default_rng(seed))
        finally:
            over.set()
            watching.join()
            for guest in guests.values():
                report = guest.agent.report()
                found.oom_kills += int(report.oom_kills) + report.worker_kills
                found.swapped_bytes += report.swapped_in_pages * PAGE_BYTES
            host.close()
    found.load.append(os.getloadavg()[0])
    return asdict(found)


def _play(
    controller: Controller,
    guests: dict[str, Guest],
    found: Safety,
    seconds: float,
    rng: np.random.Generator,
) -> None:
    began_s = time.monotonic()
    next_demand_s = 0.0
    for step in itertools.count():
        found.seconds = time.monotonic() - began_s
        if found.seconds >= seconds:
            return
        if found.seconds >= next_demand_s:
            next_demand_s += DEMAND_S
            for guest in guests.values():
                guest.agent.work(rng.uniform(2, 110) * MIB, rng.uniform(100, 4000), 2.5)
        decision = controller.step()
        who = decision.source + (f" ({decision.reason})" if decision.reason else "")
        found.decisions[who] = found.decisions.get(who, 0) + 1
        for rule, count in decision.guard.items():
            found.guard[rule] = found.guard.get(rule, 0) + count
        found.silent += bool(decision.errors) and decision.reason != "policy_error"
        found.newest |= {n: size for n, size in decision.targets.items() if size is not None}
        told = [size for size in decision.targets.values() if size is not None]
        found.told += len(told)
        found.below_floor += sum(size < FLOOR_BYTES for size in told)
        time.sleep(max(0.0, began_s + (step + 1) * INTERVAL_S - time.monotonic()))


def _watch(guests: dict[str, Guest], found: Safety, over: threading.Event) -> None:
    """Look at what the guests hold, between decisions as well."""
    asked = {guest.control: [("query-balloon", None)] for guest in guests.values()}
    while not over.wait(WATCH_S):
        began_s = time.monotonic()
        answers = [answer for (answer,) in exchange(asked, 5.0).values()]
        if time.monotonic() - began_s > LOOK_S or any(isinstance(a, OSError) for a in answers):
            found.slow_looks += 1
            continue
        held = [float(answer["actual"]) for answer in answers]
        found.looks += 1
        found.largest_held_frac = max(found.largest_held_frac, sum(held) / BUDGET)
        if sum(held) > BUDGET:
            found.over_budget += 1
            if len(found.excesses) < MAX_EXCESSES:
                found.excesses.append(
                    {"at_s": found.seconds, "held": held, "told": dict(found.newest)}
                )
