"""The loop: read, decide, guard, apply, log. Nothing that goes wrong in it stops it."""

from __future__ import annotations

import datetime
import enum
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from gymbal_runtime.agent import Agent
from gymbal_runtime.arbiter import Arbiter
from gymbal_runtime.command import Command
from gymbal_runtime.custody import Custody
from gymbal_runtime.decision import (
    Decision,
    DecisionLog,
    described,
    settings_by_name,
    slot_names,
    targets_by_name,
    telemetry_summary,
)
from gymbal_runtime.guard import GuardLimits
from gymbal_runtime.host import Host, capabilities_of, errors_of
from gymbal_runtime.metrics import Metrics
from gymbal_runtime.plausibility import without_impossible
from gymbal_runtime.record import record_of
from gymbal_runtime.safeguard import Safe, Safeguard
from gymbal_runtime.signals import stopped_by_signals
from gymbal_runtime.telemetry import Telemetry


class Mode(enum.StrEnum):
    """How far the controller goes."""

    OBSERVE = "observe"  # log telemetry, decide nothing
    ADVISE = "advise"  # decide and log, leave the host alone
    ACT = "act"  # decide, log, and tell the host


class Controller:
    """Runs one host.

    Args:
        host: reports and obeys.
        agent: a policy (`gymbal_runtime.codec_agent.CodecAgent` with its training range); None
            leaves every decision to the fallback.
        fallback: the heuristic that decides where the policy does not.
        mode: see `Mode`.
        limits: of the guard. A record older than ``max_age_s`` gets no decision at all.
        safeguard: stands between decisions and the host; default: the guard with ``limits`` alone.
        deadline_s: a policy that takes longer than this is not listened to.
        fresh_s: a record older than this many seconds is left to the fallback.
        custody: remembers how VMs were found, for `restore`; None forgets it.
        log: where decisions go; default standard output.
        log_records: whether every log line has the whole record, so that it can be replayed.
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
        safeguard: Safeguard | None = None,
        deadline_s: float = 0.1,
        fresh_s: float = 15.0,
        custody: Custody | None = None,
        log: DecisionLog | None = None,
        log_records: bool = False,
        metrics_file: Path | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.host = host
        self.mode = Mode(mode)
        self.safeguard = safeguard or Safeguard(limits)
        self.arbiter = Arbiter(
            agent,
            fallback,
            deadline_s=deadline_s,
            fresh_s=fresh_s,
            max_age_s=self.safeguard.limits.max_age_s,
            clock=clock,
        )
        self._host_name = str(host.name)
        self.metrics = Metrics({"host": self._host_name, "mode": self.mode.value})
        self.custody = custody
        self._log = log or DecisionLog()
        self._log_records = log_records
        self._metrics_file = metrics_file
        self._clock = clock
        self._steps = 0
        self._stop = threading.Event()

    def run(
        self,
        num_steps: int | None = None,
        interval_s: float = 5.0,
        heartbeat: Callable[[], None] | None = None,
    ) -> int:
        """Step until told to stop; SIGTERM and SIGINT stop it between two decisions.

        Args:
            num_steps: None runs until stopped.
            interval_s: from the start of a step to the start of the next; 0 does not wait.
            heartbeat: called after every step, to show a service manager that it lives.

        Returns:
            Number of steps taken.
        """
        taken = 0
        with stopped_by_signals(self._stop):
            while not self._stop.is_set() and (num_steps is None or taken < num_steps):
                begun = time.monotonic()
                self.step()
                taken += 1
                if heartbeat is not None:
                    heartbeat()
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
        return self._reported(self._fill)

    def restore(self) -> Decision:
        """Put back what the controller has changed, as far as the guard lets it."""
        return self._reported(self._put_back)

    def _reported(self, fill: Callable[[Decision], None]) -> Decision:
        decision = Decision(
            time=datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            step=self._steps,
            mode=self.mode.value,
            host=self._host_name,
        )
        self._steps += 1
        try:
            fill(decision)
        except Exception as error:  # the last net: a bug here must not stop a host's controller
            decision.reason = "internal_error"
            decision.errors.append(described("internal", error))
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
            decision.errors.append(described(stage, error))
            self.metrics.count_error(stage)

    def _fill(self, decision: Decision) -> None:
        seen = self._read(decision)
        if seen is None:
            return
        telemetry, names = seen
        if self.mode is Mode.OBSERVE:
            decision.reason = "observe"
            return
        started = self._clock()
        repaired, impossible = without_impossible(telemetry)
        command = self.arbiter.decide(repaired, impossible, names, decision)
        safe = self.safeguard(command, repaired, names, capabilities_of(self.host))
        decision.latency_s = self._clock() - started
        self._describe(safe, telemetry, names, decision)
        if self.mode is Mode.ACT:
            self._apply(safe.command, telemetry, names, decision)

    def _put_back(self, decision: Decision) -> None:
        decision.reason = "restored"
        seen = self._read(decision)
        if seen is None or self.custody is None:
            return
        telemetry, names = seen
        self.custody.forget_absent(names)
        # All at once: there is no later decision for which anything could wait.
        limits = GuardLimits(max_change_frac=float("inf"), dead_band_frac=0.0)
        command = self.custody.command(telemetry, names)
        safe = Safeguard(limits)(command, telemetry, names, capabilities_of(self.host))
        self._describe(safe, telemetry, names, decision)
        self._apply(safe.command, telemetry, names, decision)
        if decision.applied or command.silent:
            self.custody.clear()

    def _read(self, decision: Decision) -> tuple[Telemetry, tuple[str, ...]] | None:
        """The newest record and the name of the VM in each slot; None, with the reason, if none."""
        try:
            telemetry = self.host.telemetry()
            if telemetry.num_hosts != 1:
                raise ValueError(f"a controller runs one host, not {telemetry.num_hosts}")
            names = slot_names(self.host.vm_names, telemetry.num_vms)
            decision.telemetry = telemetry_summary(telemetry)
            decision.errors += [f"part: {error}" for error in errors_of(self.host)]
        except Exception as error:
            decision.reason = "no_telemetry"
            decision.errors.append(described("read", error))
            return None
        try:
            decision.record = record_of(telemetry, names) if self._log_records else msgspec.UNSET
        except Exception as error:  # the log is the poorer for it, the decision is not
            decision.errors.append(described("log", error))
        return telemetry, names

    def _describe(
        self, safe: Safe, telemetry: Telemetry, names: tuple[str, ...], decision: Decision
    ) -> None:
        decision.guard = safe.hits
        decision.not_obeyed = safe.not_obeyed
        decision.targets = targets_by_name(safe.command, telemetry, names)
        decision.settings = settings_by_name(safe.command, telemetry, names)

    def _apply(
        self, command: Command, telemetry: Telemetry, names: tuple[str, ...], decision: Decision
    ) -> None:
        if command.silent:
            return
        self.safeguard.told(command, telemetry, names)
        try:
            if self.custody is not None and decision.reason != "restored":
                self.custody.note(command, telemetry, names)
        except OSError as error:  # without a state file a crash cannot be undone; deciding goes on
            decision.errors.append(described("state", error))
        try:
            self.host.apply(command)
            decision.applied = True
        except Exception as error:
            decision.errors.append(described("apply", error))
