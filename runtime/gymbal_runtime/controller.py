"""The loop: read, decide, guard, apply, log. Nothing that goes wrong in it stops it."""

from __future__ import annotations

import datetime
import enum
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gymbal_runtime.agent import Agent
from gymbal_runtime.command import Command
from gymbal_runtime.decision import (
    Decision,
    DecisionLog,
    settings_by_name,
    slot_names,
    targets_by_name,
    telemetry_summary,
)
from gymbal_runtime.guard import GuardLimits, guard
from gymbal_runtime.host import Host
from gymbal_runtime.metrics import Metrics
from gymbal_runtime.plausibility import plausible_hosts, without_impossible
from gymbal_runtime.policy import DecisionError
from gymbal_runtime.signals import stopped_by_signals
from gymbal_runtime.telemetry import Telemetry


class Mode(enum.StrEnum):
    """How far the controller goes."""

    OBSERVE = "observe"  # log telemetry, decide nothing
    ADVISE = "advise"  # decide and log, leave the host alone
    ACT = "act"  # decide, log, and tell the host


class Controller:
    """Runs one host.

    The fallback decides first at every step: its memory stays warm, and its answer is at hand when
    the policy's is late or wrong.

    Args:
        host: reports and obeys.
        agent: a policy (`gymbal_runtime.codec_agent.CodecAgent` with its training range); None
            leaves every decision to the fallback.
        fallback: the heuristic that decides where the policy does not.
        mode: see `Mode`.
        limits: of the guard. A record older than ``limits.max_age_s`` gets no decision at all.
        deadline_s: a policy that takes longer than this is not listened to.
        fresh_s: a record older than this many seconds is left to the fallback.
        log: where decisions go; default standard output.
        metrics_file: rewritten after every step, where given.
        clock: seconds, monotonic, for latencies.
    """

    def __init__(
        self,
        host: Host,
        agent: Agent | None,
        fallback: Agent,
        *,
        mode: Mode | str = Mode.OBSERVE,
        limits: GuardLimits | None = None,
        deadline_s: float = 0.1,
        fresh_s: float = 15.0,
        log: DecisionLog | None = None,
        metrics_file: Path | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.host = host
        self.agent = agent
        self.fallback = fallback
        self.mode = Mode(mode)
        self.limits = limits or GuardLimits()
        self.deadline_s = deadline_s
        self.fresh_s = fresh_s
        self._host_name = str(host.name)
        self.metrics = Metrics({"host": self._host_name, "mode": self.mode.value})
        self._log = log or DecisionLog()
        self._metrics_file = metrics_file
        self._clock = clock
        self._steps = 0
        self._slots: dict[int, tuple[str, ...]] = {}  # id of an agent -> whom its memory is about
        self._stop = threading.Event()

    def run(self, num_steps: int | None = None, interval_s: float = 5.0) -> int:
        """Step until told to stop; SIGTERM and SIGINT stop it between two decisions.

        Args:
            num_steps: None runs until stopped.
            interval_s: from the start of a step to the start of the next; 0 does not wait.

        Returns:
            Number of steps taken.
        """
        taken = 0
        with stopped_by_signals(self._stop):
            while not self._stop.is_set() and (num_steps is None or taken < num_steps):
                begun = time.monotonic()
                self.step()
                taken += 1
                if interval_s > 0 and taken != num_steps:
                    self._stop.wait(max(0.0, begun + interval_s - time.monotonic()))
        return taken

    def stop(self) -> None:
        """Let `run` return after the present step."""
        self._stop.set()

    def metrics_text(self) -> str:
        """Counters in Prometheus' text format."""
        return self.metrics.text()

    def step(self) -> Decision:
        """Take one decision. No exception of host, agents, log or files escapes."""
        decision = Decision(
            time=datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            step=self._steps,
            mode=self.mode.value,
            host=self._host_name,
        )
        self._steps += 1
        try:
            self._fill(decision)
        except Exception as error:  # the last net: a bug here must not stop a host's controller
            decision.reason = "internal_error"
            decision.errors.append(_described("internal", error))
        self._attempt("metrics", lambda: self.metrics.observe(decision), decision)
        self._attempt("log", lambda: self._log.write(decision), decision)
        if self._metrics_file is not None:
            path = self._metrics_file
            self._attempt("metrics", lambda: self.metrics.write(path), decision)
        return decision

    def _attempt(self, stage: str, report: Callable[[], None], decision: Decision) -> None:
        """Report a decision; a failure is counted, because it is too late for the log line."""
        try:
            report()
        except Exception as error:
            decision.errors.append(_described(stage, error))
            self.metrics.count_error(stage)

    def _fill(self, decision: Decision) -> None:
        try:
            telemetry = self._read()
            decision.telemetry = telemetry_summary(telemetry)
        except Exception as error:
            decision.reason = "no_telemetry"
            decision.errors.append(_described("read", error))
            return
        if self.mode is Mode.OBSERVE:
            decision.reason = "observe"
            return
        started = self._clock()
        repaired, impossible = without_impossible(telemetry)
        command = self._decide(repaired, impossible, decision)
        command, report = guard(command, repaired, self.limits)
        decision.latency_s = self._clock() - started
        decision.guard = report.hits()
        names = slot_names(self.host.vm_names, telemetry.num_vms)
        decision.targets = targets_by_name(command, telemetry, names)
        decision.settings = settings_by_name(command, telemetry, names)
        if self.mode is Mode.ACT:
            self._apply(command, decision)

    def _read(self) -> Telemetry:
        telemetry = self.host.telemetry()
        if telemetry.num_hosts != 1:
            raise ValueError(f"a controller runs one host, the record has {telemetry.num_hosts}")
        return telemetry

    def _consult(self, agent: Agent, telemetry: Telemetry) -> Command:
        """An agent's command, after making it forget if another VM sits in some slot.

        Raises:
            Exception: whatever the agent raises; ValueError where its answer is not one finite
                value (or ``NO_CHANGE``) per slot and field.
        """
        slots = slot_names(self.host.vm_names, telemetry.num_vms)
        if self._slots.get(id(agent)) != slots:
            agent.reset(1, telemetry.num_vms)
            self._slots[id(agent)] = slots
        command = agent.act(telemetry)
        command.check(telemetry.present)
        return command

    def _decide(self, telemetry: Telemetry, impossible: list[str], decision: Decision) -> Command:
        """The policy's command if it may be asked and answers well, else the fallback's."""
        nothing = Command.no_change(1, telemetry.num_vms)
        age_s = float(telemetry.age_s[0])
        if not plausible_hosts(telemetry)[0]:
            decision.reason = "implausible_telemetry"
            return nothing
        if age_s > self.limits.max_age_s:
            decision.reason = "stale_telemetry"
            return nothing
        try:
            safe = self._consult(self.fallback, telemetry)
        except Exception as error:
            safe = None
            decision.errors.append(_described("fallback", error))
        if self.agent is None:
            decision.reason = "no_policy"
        elif impossible:
            decision.reason = "implausible_telemetry"
            decision.errors.append(f"sensors: impossible values in {', '.join(impossible)}")
        elif age_s > self.fresh_s:
            decision.reason = "stale_telemetry"
        else:
            command = self._ask(self.agent, telemetry, decision)
            if command is not None:
                decision.source = "policy"
                return command
        decision.source = "none" if safe is None else "fallback"
        return nothing if safe is None else safe

    def _ask(self, agent: Agent, telemetry: Telemetry, decision: Decision) -> Command | None:
        """The policy's command; None, with the reason recorded, where it is not to be followed."""
        started = self._clock()
        try:
            command = self._consult(agent, telemetry)
        except Exception as error:
            decision.reason = error.reason if isinstance(error, DecisionError) else "policy_error"
            decision.errors.append(_described("policy", error))
            return None
        taken_s = self._clock() - started
        if taken_s > self.deadline_s:
            decision.reason = "policy_late"
            decision.errors.append(f"policy: took {taken_s:.3g} s of {self.deadline_s:.3g} s")
            return None
        return command

    def _apply(self, command: Command, decision: Decision) -> None:
        if all(np.isnan(values).all() for values in command.given.values()):
            return
        try:
            self.host.apply(command)
            decision.applied = True
        except Exception as error:
            decision.errors.append(_described("apply", error))


def _described(stage: str, error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    return f"{stage}: {type(error).__name__}: {text}"
