"""A data centre with the semantics of CloudSim 3.0.3, for parity with what others published.

Re-implemented from behaviour (Cloudslab/cloudsim, packages ``power`` and ``examples.power``), with
its simplifications and quirks, each noted where it is done:

- a host without load draws nothing, and switching it costs neither time nor energy;
- nothing is booked before the first scheduling event at 300.1 s, and the last is at 86,100.1 s;
- memory counts only for the initial placement: afterwards the workload asks for none;
- a VM whose demand is 0 at an event is gone for good;
- placement compares planned load with power measured before the plan.

CloudSim sums free CPU in the order of a Java hash map and we in that of arrival, so a comparison
that hangs on the last bit of a sum may differ. Its limits of bandwidth and disk per host (10 and
400 VMs) are never reached before those of memory and CPU, and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.centre import cloudsim_tables as at
from gymbal_envs.simulator.centre.cloudsim_clock import (
    advance_to,
    begin_scheduling,
    count_shutdowns,
    migrate,
    open_books,
)
from gymbal_envs.simulator.centre.cloudsim_example import (
    NUM_HOSTS,
    CloudSimParams,
    HostModel,
    VmModel,
    example_hosts,
    example_vms,
)
from gymbal_envs.simulator.centre.cloudsim_loading import (
    checked_trace,
    new_books,
    new_centre,
    new_guests,
    new_hosts,
    new_plan,
)
from gymbal_envs.simulator.centre.cloudsim_start import place_all
from gymbal_envs.simulator.centre.result import ConsolidationResult
from gymbal_runtime.centre.rules.consolidation import plan_migrations
from gymbal_runtime.centre.rules.detection import THR, Rule
from gymbal_runtime.centre.rules.policy import Policy
from gymbal_runtime.centre.rules.selection import MMT


class CloudSimCentre:
    """One day of a data centre under one policy.

    Deterministic given its arguments.

    Args:
        hosts: H models in CloudSim's order.
        vms: V models in order of creation.
        cpu_pct: (V, T) CPU utilisation of each VM in % of its provisioned CPU, one sample per
            scheduling interval.
        policy: what is consolidated and how, or its name (`Policy.parse`).
        params: constants.
        seed: of random selection (RS); CloudSim's own is unseeded.

    Raises:
        ValueError: naming the argument, the value and what to do.
    """

    def __init__(
        self,
        hosts: Sequence[HostModel],
        vms: Sequence[VmModel],
        cpu_pct: NDArray[Any],
        policy: Policy | str,
        params: CloudSimParams | None = None,
        seed: int = 0,
    ) -> None:
        self.policy = Policy.parse(policy) if isinstance(policy, str) else policy
        self.params = params or CloudSimParams()
        trace = checked_trace(hosts, vms, cpu_pct, self.params)
        num_hosts, num_vms = len(hosts), len(vms)
        self.num_events = trace.shape[0] - 2
        self.hosts = new_hosts(hosts)
        self.guests = new_guests(vms)
        self.centre = new_centre(num_hosts, num_vms, trace)
        self._plan = new_plan(num_hosts, num_vms)
        self._books = new_books(self.centre.vms, [host.ram_mb for host in hosts])
        self._utilisation = np.zeros(num_hosts)  # (H,) at the last event
        self._streams = np.array([seed], dtype=np.uint64)
        # No migration outlasts an interval (checked), so all have ended at the next event.
        self._rule = self.policy.rule(1.0) if self.policy.migrates else Rule(THR, 1.0, MMT, 1.0)
        self._next_s = self.params.start_s + self.params.scheduling_interval_s
        self._place_all(vms)

    def _place_all(self, vms: Sequence[VmModel]) -> None:
        plan = self._plan
        homeless = place_all(
            self._rule, self.policy.migrates, self.centre, self.hosts, self.guests, self._books,
            plan.candidates, plan.work,
        )  # fmt: skip
        if homeless >= 0:
            vm = vms[homeless]
            raise ValueError(
                f"vms[{homeless}] ({vm.mips:g} MIPS, {vm.ram_mb:g} MB) fits on no host; "
                "give more or larger hosts"
            )

    @property
    def ended(self) -> bool:
        """Whether the trace is over."""
        return int(self.centre.sums[at.EVENTS]) >= self.num_events

    def step(self) -> None:
        """Play one scheduling event and the migrations that it starts.

        Raises:
            ValueError: the trace is over.
        """
        if self.ended:
            raise ValueError(f"the trace ended after {self.num_events} events; make a new centre")
        now_s, interval_s = self._next_s, self.params.scheduling_interval_s
        state = (self.centre, self.hosts, self.guests)
        advance_to(now_s, interval_s, self.policy.detector == "NPA", *state, self._utilisation)
        begin_scheduling(self.centre, self.guests, self._utilisation)
        self._next_s = now_s + interval_s
        if not self.policy.migrates:
            return
        self._decide()
        end_s = min(self._next_s, (self.num_events + 1) * interval_s)
        migrate(
            now_s, end_s, interval_s, self.params.migration_mb_s, *state, self._plan,
            self._utilisation,
        )  # fmt: skip

    def _decide(self) -> None:
        """Plan the migrations that start now."""
        self._make_plan()

    def _make_plan(self) -> None:
        open_books(self.centre, self.hosts, self._books, self._utilisation)
        plan_migrations(
            self._rule, self._utilisation, self.hosts, self.guests, self._books, self._plan,
            self._streams,
        )  # fmt: skip

    def run(self) -> ConsolidationResult:
        """Play what is left of the trace; return `results`."""
        while not self.ended:
            self.step()
        return self.results()

    def results(self) -> ConsolidationResult:
        """What happened until now."""
        # The last event stays open, so its hosts are counted on a copy.
        centre = self.centre._replace(
            sums=self.centre.sums.copy(), was_active=self.centre.was_active.copy()
        )
        sums = centre.sums
        if sums[at.EVENTS] > 0:
            count_shutdowns(centre)
        return ConsolidationResult(
            energy_kwh=float(sums[at.ENERGY_J] / 3.6e6),
            migrations=int(sums[at.MIGRATIONS]),
            slatah=_share(sums[at.VIOLATED_S], sums[at.ACTIVE_S]),
            pdm=_share(sums[at.LOST_MOVING], sums[at.REQUESTED]),
            shutdowns=int(sums[at.SHUTDOWNS]),
            mean_active_hosts=_share(sums[at.ACTIVE_HOSTS], sums[at.EVENTS]),
            lost_mips_frac=_share(sums[at.REQUESTED] - sums[at.GIVEN], sums[at.REQUESTED]),
        )


def planetlab_centre(
    cpu_pct: NDArray[Any], policy: Policy | str, num_hosts: int = NUM_HOSTS, seed: int = 0
) -> CloudSimCentre:
    """The data centre of CloudSim's PlanetLab examples on a day's traces, (V, T) %."""
    vms = example_vms(len(cpu_pct))
    return CloudSimCentre(example_hosts(num_hosts), vms, cpu_pct, policy, seed=seed)


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0
