"""Who decides: the policy if it may be asked and answers well, else the heuristic, else nobody."""

from __future__ import annotations

from collections.abc import Callable

from gymbal_runtime.agent import Agent
from gymbal_runtime.command import Command
from gymbal_runtime.decision import Decision, described
from gymbal_runtime.plausibility import plausible_hosts
from gymbal_runtime.policy import DecisionError
from gymbal_runtime.telemetry import Telemetry


class Arbiter:
    """Asks the agents of one host, and writes into the decision whose answer was taken and why.

    The fallback decides first at every step: its memory stays warm, and its answer is at hand when
    the policy's is late or wrong.

    Args:
        agent: a policy; None leaves every decision to the fallback.
        fallback: the heuristic that decides where the policy does not.
        deadline_s: a policy that takes longer than this is not listened to.
        fresh_s: a record older than this many seconds is left to the fallback.
        max_age_s: a record older than this gets no decision at all.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        agent: Agent | None,
        fallback: Agent,
        *,
        deadline_s: float,
        fresh_s: float,
        max_age_s: float,
        clock: Callable[[], float],
    ) -> None:
        self.agent = agent
        self.fallback = fallback
        self.deadline_s = deadline_s
        self.fresh_s = fresh_s
        self.max_age_s = max_age_s
        self._clock = clock
        self._slots: dict[int, tuple[str, ...]] = {}  # id of an agent -> whom its memory is about
        self._time_s: float | None = None

    def decide(
        self,
        telemetry: Telemetry,
        impossible: list[str],
        names: tuple[str, ...],
        decision: Decision,
    ) -> Command:
        """The command of whoever may decide.

        Args:
            telemetry: one host's record, without impossible measurements.
            impossible: fields that had some.
            names: of the VM in each slot.
            decision: gets source, reason and errors.
        """
        nothing = Command.no_change(1, telemetry.num_vms)
        age_s = float(telemetry.age_s[0])
        if not plausible_hosts(telemetry)[0]:
            decision.reason = "implausible_telemetry"
            return nothing
        if age_s > self.max_age_s:
            decision.reason = "stale_telemetry"
            return nothing
        self._mind_the_clock(float(telemetry.time_s[0]), decision)
        try:
            safe = self._consult(self.fallback, telemetry, names)
        except Exception as error:
            safe = None
            decision.errors.append(described("fallback", error))
        if self.agent is None:
            decision.reason = "no_policy"
        elif impossible:
            decision.reason = "implausible_telemetry"
            decision.errors.append(f"sensors: impossible values in {', '.join(impossible)}")
        elif age_s > self.fresh_s:
            decision.reason = "stale_telemetry"
        else:
            command = self._ask(self.agent, telemetry, names, decision)
            if command is not None:
                decision.source = "policy"
                return command
        decision.source = "none" if safe is None else "fallback"
        return nothing if safe is None else safe

    def _mind_the_clock(self, time_s: float, decision: Decision) -> None:
        """Forget everything where time runs backwards: no rate or history would mean anything."""
        if self._time_s is not None and time_s < self._time_s:
            back_s = self._time_s - time_s
            decision.errors.append(f"sensors: the host's clock went back by {back_s:.3g} s")
            self._slots.clear()
        self._time_s = time_s

    def _consult(self, agent: Agent, telemetry: Telemetry, names: tuple[str, ...]) -> Command:
        """An agent's command, after making it forget if another VM sits in some slot.

        Raises:
            Exception: whatever the agent raises; ValueError where its answer is not one finite
                value (or ``NO_CHANGE``) per slot and field.
        """
        if self._slots.get(id(agent)) != names:
            agent.reset(1, telemetry.num_vms)
            self._slots[id(agent)] = names
        command = agent.act(telemetry)
        command.check(telemetry.present)
        return command

    def _ask(
        self, agent: Agent, telemetry: Telemetry, names: tuple[str, ...], decision: Decision
    ) -> Command | None:
        """The policy's command; None, with the reason recorded, where it is not to be followed."""
        started = self._clock()
        try:
            command = self._consult(agent, telemetry, names)
        except Exception as error:
            decision.reason = error.reason if isinstance(error, DecisionError) else "policy_error"
            decision.errors.append(described("policy", error))
            return None
        taken_s = self._clock() - started
        if taken_s > self.deadline_s:
            decision.reason = "policy_late"
            decision.errors.append(f"policy: took {taken_s:.3g} s of {self.deadline_s:.3g} s")
            return None
        return command
