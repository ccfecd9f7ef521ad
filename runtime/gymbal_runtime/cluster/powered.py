"""What a cluster reports whose hosts can sleep and whose VMs come and go, beside the rest."""

from __future__ import annotations

from dataclasses import dataclass

from gymbal_runtime.centre.telemetry import ON
from gymbal_runtime.cluster.telemetry import ClusterTelemetry, Ints
from gymbal_runtime.telemetry import Bools, Floats


@dataclass(frozen=True, slots=True)
class PoweredTelemetry(ClusterTelemetry):
    """One record of C clusters of H places for hosts with V VM slots each.

    A VM that waits for a host has its row in a place where no host is, with its size, its shares
    and what it is provisioned with; it is not present.
    """

    state: Ints  # (C, H) `gymbal_runtime.centre.telemetry`: ON ... WAKING
    state_s: Floats  # (C, H) since it is in this state
    draining: Bools  # (C, H) it is told to sleep and waits until it is empty
    cores: Floats  # (C, H)
    watts: Floats  # (C, H) now
    power_w: Floats  # (C, H, CURVE_POINTS) by utilisation
    sleep_w: Floats  # (C, H)
    wake_s: Floats  # (C, H) from the order until it is ON
    wake_w: Floats  # (C, H) meanwhile
    waiting: Bools  # (C, H, V) it asks for a host
    waited_s: Floats  # (C, H, V) since it does

    @property
    def running(self) -> Bools:
        """Hosts that run VMs now, (C, H)."""
        on: Bools = self.exists & (self.state == ON)
        return on

    @property
    def open_hosts(self) -> Bools:
        """Of those, hosts that are to stay on, (C, H)."""
        return self.running & ~self.draining
