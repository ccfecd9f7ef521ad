"""Two guests with opposite peaks: what they do, and how it went, wherever it is played.

A script alternates phases; in each, one guest is busy (a large working set, many touches) and the
other calm. The same script drives real guests (`real_host_guests`) and the simulator
(`real_host_simulated`), under the same controller.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from gymbal_runtime.assembly import make_safeguard
from gymbal_runtime.bundle import Bundle, read_bundle
from gymbal_runtime.command import Command
from gymbal_runtime.controller import Controller, Mode
from gymbal_runtime.decision import Decision, DecisionLog
from gymbal_runtime.heuristics import make_heuristic
from gymbal_runtime.host import Host
from gymbal_runtime.settings import GuardSettings
from gymbal_runtime.telemetry import Telemetry

MIB = 2.0**20
GUESTS = ("first", "second")
MEMORY_BYTES = 196616 * 1024.0
FLOOR_BYTES = 76 * MIB
POLICIES = ("static", "meb", "learned")
BUNDLE = Path(__file__).parents[1] / "policies" / "balloon.gymbal"


@dataclass(frozen=True)
class Script:
    """What the guests of a host are told to do.

    Attributes:
        name: for reports.
        budget_bytes: of the host.
        phase_s: length of each phase.
        busy: which guest is busy in each phase.
        high_bytes: working set of the busy guest.
        low_bytes: of the other.
        high_rate: touches per second of the busy guest.
        low_rate: of the other.
        skew: of the touches: page = pages · u^skew for a uniform u, so that the most popular x of
            the pages get x^(1 / skew) of the touches.
        interval_s: between decisions.
    """

    name: str
    budget_bytes: float
    phase_s: float
    busy: tuple[int, ...]
    high_bytes: float
    low_bytes: float
    high_rate: float
    low_rate: float
    skew: float = 2.5
    interval_s: float = 5.0

    @property
    def num_steps(self) -> int:
        """Decisions in the whole script."""
        return round(self.phase_s * len(self.busy) / self.interval_s)

    def demand(self, now_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Working set in bytes and touches per second of each guest, (2,) each."""
        phase = min(int(now_s / self.phase_s + 1e-9), len(self.busy) - 1)
        is_busy = np.arange(len(GUESTS)) == self.busy[phase]
        sizes = np.where(is_busy, self.high_bytes, self.low_bytes)
        return sizes, np.where(is_busy, self.high_rate, self.low_rate)


JUDGED = Script(
    "judged", 256 * MIB, 60.0, (0, 1, 0, 1), 110 * MIB, 10 * MIB, high_rate=4000.0, low_rate=1000.0
)
"""The script that the bar is about."""
FITTED = Script(
    "fitted", 242 * MIB, 50.0, (1, 0, 0, 1), 96 * MIB, 8 * MIB, high_rate=2500.0, low_rate=600.0
)
"""Another, on which the simulator's constants are fitted."""


@dataclass
class Play:
    """How a script went under one policy.

    Attributes:
        policy: who decided.
        time_s: of each record, since the start.
        actual_bytes: (T, 2) memory held.
        swap_in_rate: (T, 2) bytes/s.
        touched: (T, 2) touches so far.
        wanted: (T, 2) touches that should have been made so far.
        sources: how often who decided.
        targets: (T, 2) bytes that were told; NaN where nothing was.
    """

    policy: str
    time_s: list[float] = field(default_factory=list)
    actual_bytes: list[np.ndarray] = field(default_factory=list)
    swap_in_rate: list[np.ndarray] = field(default_factory=list)
    touched: list[np.ndarray] = field(default_factory=list)
    wanted: list[np.ndarray] = field(default_factory=list)
    sources: dict[str, int] = field(default_factory=dict)
    targets: list[np.ndarray] = field(default_factory=list)

    @property
    def work(self) -> float:
        """Touches made by both guests."""
        return float(np.sum(self.touched[-1] - self.touched[0]))

    def progress(self, script: Script) -> np.ndarray:
        """(phases, 2) part of the wanted touches that each guest made in each phase."""
        edges = np.arange(len(script.busy) + 1) * script.phase_s

        def at_edges(counts: list[np.ndarray]) -> np.ndarray:
            return np.stack(
                [np.interp(edges, self.time_s, [row[k] for row in counts]) for k in (0, 1)], axis=1
            )

        return np.diff(at_edges(self.touched), axis=0) / np.diff(at_edges(self.wanted), axis=0)


class Watched:
    """A host whose newest record is kept for the report."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.name = host.name
        self.newest: Telemetry | None = None

    @property
    def vm_names(self) -> tuple[str, ...]:
        """Those of the host."""
        return self._host.vm_names

    def telemetry(self) -> Telemetry:
        """The newest record, which is kept."""
        self.newest = self._host.telemetry()
        return self.newest

    def apply(self, command: Command) -> None:
        """Tell the host."""
        self._host.apply(command)

    def close(self) -> None:
        """Let go of the host."""
        self._host.close()


class Silent(DecisionLog):
    """Decisions go nowhere."""

    def write(self, decision: Decision) -> None:
        """Forget it."""


@cache
def shipped() -> Bundle:
    """The policy that the repository ships."""
    return read_bundle(BUNDLE)


def controller_of(policy: str, host: Host) -> Controller:
    """The controller in act mode, with the parts that ``gymbal-control run`` takes."""
    if policy == "learned":
        bundle = shipped()
        agent, fallback = bundle.agent(checked=True), bundle.fallback()
    else:
        agent, fallback = None, make_heuristic(policy)
    return Controller(
        host,
        agent,
        fallback,
        mode=Mode.ACT,
        safeguard=make_safeguard(GuardSettings()),
        deadline_s=1.0,  # the machine may be busy, which is no fault of the policy's
        log=Silent(),
    )


def note(play: Play, now_s: float, seen: Telemetry, decision: Decision) -> None:
    """Add a step to a play; touches are noted by whoever can count them."""
    play.time_s.append(now_s)
    play.actual_bytes.append(seen.actual_bytes[0].copy())
    play.swap_in_rate.append(seen.swap_in_rate[0].copy())
    told = [decision.targets.get(name) for name in GUESTS]
    play.targets.append(np.array([np.nan if size is None else size for size in told]))
    who = decision.source if decision.source == "policy" else decision.reason
    play.sources[who] = play.sources.get(who, 0) + 1
