"""A CloudSim data centre whose rule of consolidation is corrected by a policy.

The policy sees what `gymbal/Consolidation-v0` shows it, as far as CloudSim has it: hosts are on or
off, whatever happens between is free and instant; memory never counts after the first placement, so
hosts report room for all VMs. What it answers reaches the very rule that runs without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.centre import cloudsim_tables as at
from gymbal_envs.simulator.centre.cloudsim import CloudSimCentre
from gymbal_envs.simulator.centre.cloudsim_example import CloudSimParams, HostModel, VmModel
from gymbal_runtime.centre.corrections import VETO, Corrections
from gymbal_runtime.centre.orders import SLEEP, WAKE, CentreOrders
from gymbal_runtime.centre.telemetry import ASLEEP, HISTORY, NOWHERE, ON, CentreTelemetry
from gymbal_runtime.telemetry import Bools, Floats

MB = 1e6
"""Bytes of CloudSim's MB, as its migrations copy them."""


class Corrector(Protocol):
    """Corrects ``heuristic``, such as `gymbal_runtime.centre.codec_agent.CentreCodecAgent`."""

    heuristic: Any

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """Forget what was remembered."""

    def act(self, telemetry: CentreTelemetry) -> CentreOrders:
        """Ask ``heuristic``, then, maybe, ask it again with corrections."""
        ...


class CorrectedCentre(CloudSimCentre):
    """One day of a data centre whose policy's rule is corrected at every event.

    Args:
        hosts: as `CloudSimCentre` takes them, like all but the last.
        vms: V models in order of creation.
        cpu_pct: (V, T) %.
        policy: the rule.
        corrector: corrects it; its heuristic is replaced by this centre's own rule, which is filled
            as far as that one (``fill_frac``).
        params: constants.
        seed: of random selection.

    Raises:
        ValueError: as of `CloudSimCentre`; or the policy never migrates anything.
    """

    name = "cloudsim"

    def __init__(
        self,
        hosts: Sequence[HostModel],
        vms: Sequence[VmModel],
        cpu_pct: NDArray[Any],
        policy: str,
        corrector: Corrector,
        params: CloudSimParams | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(hosts, vms, cpu_pct, policy, params, seed)
        if not self.policy.migrates:
            raise ValueError(f"policy {policy} never migrates; there is nothing to correct")
        self._corrector = corrector
        self._fill_frac = float(getattr(corrector.heuristic, "fill_frac", 1.0))
        corrector.heuristic = self
        corrector.reset(1, len(vms))
        self._since_s = np.zeros(len(hosts))  # (H,) since they are on, or off
        self._hosted_s = np.zeros(len(vms))  # (V,) since they are where they are
        self._was_on = np.ones(len(hosts), dtype=np.bool_)
        self._was_at = self.centre.host_of.copy()

    # The rule, as a corrector calls it.

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """There is nothing to forget."""

    def act(self, telemetry: CentreTelemetry) -> CentreOrders:
        """Plan as the rule says."""
        return self.act_corrected(telemetry, Corrections.none(*telemetry.exists.shape))

    def act_corrected(self, telemetry: CentreTelemetry, corrections: Corrections) -> CentreOrders:
        """Plan with other thresholds and another order of hosts; see `Correctable`."""
        keep = corrections.keep[0]
        self.hosts.fill[:] = self._fill_frac * corrections.fill[0]
        self.hosts.relief[:] = corrections.relief[0]
        self._plan.keep[:] = keep
        self._plan.gives[:] = keep <= VETO
        self._plan.takes[:] = keep >= -VETO
        self._make_plan()
        return self._orders()

    def _orders(self) -> CentreOrders:
        """The plan as orders; a VM that it sends on goes there directly."""
        plan, centre = self._plan, self.centre
        orders = CentreOrders.none(1, centre.num_vms.size, centre.host_of.size)
        count = plan.num_moves[0]
        orders.target[0, plan.vm[:count]] = plan.host[:count]
        place = np.where(orders.target[0] == NOWHERE, centre.host_of, orders.target[0])
        used = np.zeros(centre.num_vms.size, dtype=np.bool_)
        used[place[centre.alive > 0]] = True
        on = self._on
        orders.power[0, on & ~used] = SLEEP
        orders.power[0, ~on & used] = WAKE
        return orders

    # What a policy sees.

    @property
    def _on(self) -> Bools:
        on: Bools = self._utilisation > 0.0
        return on

    def _decide(self) -> None:
        self._keep_time()
        self._corrector.act(self.telemetry())

    def _keep_time(self) -> None:
        interval_s, on, here = self.params.scheduling_interval_s, self._on, self.centre.host_of
        self._since_s = np.where(on == self._was_on, self._since_s + interval_s, 0.0)
        self._hosted_s = np.where(here == self._was_at, self._hosted_s + interval_s, 0.0)
        self._was_on, self._was_at = on, here.copy()

    def telemetry(self) -> CentreTelemetry:
        """The record of the present event, of one centre."""
        hosts, guests, centre = self.hosts, self.guests, self.centre
        alive, on = centre.alive > 0, self._on
        memory = guests.ram_mb * MB
        held = np.bincount(centre.host_of[alive], memory[alive], on.size)
        wanted, given = guests.requested_mips, centre.given_mips
        known = np.arange(HISTORY) < guests.samples[:, None]

        def host(value: float) -> Floats:
            return np.full(on.size, value)

        rows: dict[str, Any] = {
            "exists": np.ones(on.size, dtype=np.bool_),
            "state": np.where(on, ON, ASLEEP).astype(np.int64),
            "state_s": self._since_s,
            "cpu_mips": hosts.capacity_mips,
            "core_mips": hosts.core_mips,
            "memory_bytes": host(memory.sum()),
            "nic_bytes_s": host(2.0 * self.params.migration_mb_s * MB),
            "power_w": hosts.watts,
            "sleep_w": host(0.0),
            "wake_s": host(0.0),
            "wake_w": host(0.0),
            "used_mips": centre.used_mips,
            "held_bytes": held,
            "draining": np.zeros(on.size, dtype=np.bool_),
            "present": alive,
            "host_of": np.where(alive, centre.host_of, NOWHERE),
            "moving_to": np.full(alive.size, NOWHERE),
            "vm_mips": guests.mips,
            "vcpus": guests.vcpus,
            "shares": np.ones(alive.size),
            "vm_memory_bytes": memory,
            "dirty_bytes_s": np.zeros(alive.size),
            "wanted_frac": guests.utilisation,
            "got_frac": np.where(wanted > 0, given / np.where(wanted > 0, wanted, 1.0), 1.0),
            "history": np.where(known, guests.history[:, :HISTORY], np.nan),
            "hosted_s": self._hosted_s,
        }
        one: dict[str, Any] = {name: np.array(row)[None] for name, row in rows.items()}
        return CentreTelemetry(
            time_s=np.array([centre.sums[at.LAST_S]]),
            interval_s=np.array([self.params.scheduling_interval_s]),
            **one,
        )
