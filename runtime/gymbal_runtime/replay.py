"""What a policy would have done with recorded telemetry, beside what was done.

The record shows guests under what was done to them: how they would have answered to the policy
nobody knows. So a replay judges decisions, one by one, and not their consequences.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.assembly import Deciders
from gymbal_runtime.controller import Controller, Mode
from gymbal_runtime.decision import Decision, SilentLog
from gymbal_runtime.decision_reader import LoggedDecision
from gymbal_runtime.guard_protection import Protection, in_trouble
from gymbal_runtime.pushed_host import PushedHost
from gymbal_runtime.record import telemetry_of
from gymbal_runtime.safeguard import Safeguard
from gymbal_runtime.settings import PolicySettings
from gymbal_runtime.slots import Slots
from gymbal_runtime.workingset import estimated_working_set

Floats = NDArray[np.float64]

SERIES = ("time_s", "held", "would", "done", "working_set", "trouble")
"""Columns of a VM's history: seconds since the first record, bytes, and 1 while in trouble."""


@dataclass
class VmHistory:
    """One VM over the decisions in which it was there."""

    columns: dict[str, array[float]] = field(
        default_factory=lambda: {name: array("d") for name in SERIES}
    )

    def append(self, **values: float) -> None:
        """Add one decision."""
        for name, value in values.items():
            self.columns[name].append(value)

    def __getitem__(self, name: str) -> Floats:
        """(decisions,) one column."""
        return np.array(self.columns[name])


@dataclass
class Replay:
    """A finished replay.

    Attributes:
        host: name in the log.
        vms: history of each VM, in the order in which they appeared.
        sources: who would have decided, and how often.
        reasons: why it was not the policy.
        guard: rule to the number of VMs on which it would have fired.
        errors: stage to number of errors.
        first: time of the first decision.
        last: time of the last one.
    """

    host: str = ""
    vms: dict[str, VmHistory] = field(default_factory=dict)
    sources: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    guard: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    first: str = ""
    last: str = ""

    @property
    def num_decisions(self) -> int:
        """Records that were replayed."""
        return self.sources.total()


def replay(
    logged: Iterable[LoggedDecision],
    deciders: Deciders,
    policy: PolicySettings,
    safeguard: Safeguard,
) -> Replay:
    """Let a policy decide on recorded telemetry.

    What was *done* to a VM is the target that the host accepted; where there was none, what it
    held. What *would* have been done is the target after the guard, and likewise.

    Args:
        logged: decisions with records, oldest first.
        deciders: make the agents.
        policy: deadlines.
        safeguard: stands between the policy and the host.

    Raises:
        ValueError: a record makes no sense as one (two VMs of one name).
    """
    host, slots, result = PushedHost(), Slots(), Replay()
    controller = Controller(
        host,
        deciders.agent(),
        deciders.fallback(),
        mode=Mode.ADVISE,
        safeguard=safeguard,
        deadline_s=float("inf"),  # how fast this machine is says nothing about the host's
        fresh_s=policy.fresh_s,
        log=SilentLog(),
    )
    began_s, elapsed_s, before_s = None, 0.0, 0.0
    for line in logged:
        host.newest, host.vm_names = telemetry_of(line.record, slots)
        now_s = float(host.newest.time_s[0])
        # A host that restarted counts from zero again; its time goes on from where it was.
        elapsed_s += max(now_s - before_s, 0.0) if began_s is not None else 0.0
        began_s, before_s = now_s, now_s
        decision = controller.step()
        _count(result, line, decision)
        _append(result, line, decision, host, elapsed_s, safeguard.protection or Protection())
    return result


def _count(result: Replay, line: LoggedDecision, decision: Decision) -> None:
    result.host = result.host or line.host
    result.first, result.last = result.first or line.time, line.time
    result.sources[decision.source] += 1
    if decision.reason:
        result.reasons[decision.reason] += 1
    result.guard.update(decision.guard)
    result.errors.update(error.partition(":")[0] for error in decision.errors)


def _append(
    result: Replay,
    line: LoggedDecision,
    decision: Decision,
    host: PushedHost,
    time_s: float,
    protection: Protection,
) -> None:
    telemetry = host.newest
    trouble = in_trouble(telemetry, protection)[0]
    working_set = estimated_working_set(telemetry)[0]
    for slot in np.flatnonzero(telemetry.present[0]):
        name = host.vm_names[slot]
        held = float(telemetry.actual_bytes[0, slot])
        would = decision.targets.get(name)
        done = line.targets.get(name) if line.applied else None
        result.vms.setdefault(name, VmHistory()).append(
            time_s=time_s,
            held=held,
            would=held if would is None else float(would),
            done=held if done is None else float(done),
            working_set=float(working_set[slot]),
            trouble=float(trouble[slot]),
        )
