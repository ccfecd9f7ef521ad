"""Physical constants of moves between sites, with units and sources."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.cluster import migration_layout as mig
from gymbal_envs.simulator.cluster import sites_layout as at
from gymbal_envs.simulator.cluster.migration_rules import RULES
from gymbal_envs.simulator.params import PhysicsParams

CHECK_S = 0.5
"""Shortest pre-copy round: fetching the log of written pages takes time even where it is empty, and
the other site acknowledges each round (assumption)."""


@dataclass(frozen=True)
class SitesParams:
    """All constants of the sites' engine.

    Attributes:
        overhead: bytes on the wire per byte: 1538 of an Ethernet frame for 1460 of data.
        hand_over_trips: round trips of the hand-over, at least one (models.md 10; 3 is assumed:
            suspend acknowledged, device state acknowledged, route announced).
        route_switch_s: until the network delivers to the new site (models.md 10 names it; a
            gratuitous ARP in a VPN that spans both sites; assumption).
        copy_tax: part of a VM's speed that tracking and sending take at ``copy_tax_bytes_s``:
            10 % as CloudSim charges (models.md 6.2), in proportion to the rate.
        copy_tax_bytes_s: bytes/s on the wire, 1 Gb/s, where these 10 % were charged.
        hash_core_s_per_byte: CPU time of redundancy elimination per byte read: about 250 MB/s and
            core, SHA-1 over blocks of 1 KiB with look-up (assumption). It takes away from the VM
            in proportion to how busy the VM is.
        hash_bytes_s: the most that is read for one copy (assumption).
        commit_bytes: of one replicated write; sets how long it queues (assumption).
        resync_share: part of a disk's bandwidth that catches up while writes are replicated
            synchronously and something is left (assumption).
        late_cost: part of a VM's worth that is lost at the wrong site after the deadline: 1, all of
            it, since that site is closed then.
        sample_s: period over which memory writes are sampled (QEMU's calc-dirty-rate has 1 s by
            default).
        noise: relative standard deviation of that sample (assumption).
    """

    overhead: float = 1538 / 1460
    hand_over_trips: float = 3.0
    route_switch_s: float = 0.3
    copy_tax: float = 0.1
    copy_tax_bytes_s: float = 125e6
    hash_core_s_per_byte: float = 4e-9
    hash_bytes_s: float = 200e6
    commit_bytes: float = 16384.0
    resync_share: float = 0.5
    late_cost: float = 1.0
    sample_s: float = 1.0
    noise: float = 0.05

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < np.inf:
                raise ValueError(f"{field.name} ({value}) must be finite and not negative")
        for name in ("overhead", "copy_tax_bytes_s", "hash_bytes_s", "sample_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} ({getattr(self, name)}) must be above 0")
        if not 0 < self.resync_share < 1:
            raise ValueError(f"resync_share ({self.resync_share}) must lie between 0 and 1")

    def constants(self, physics: PhysicsParams) -> NDArray[np.float64]:
        """The table that kernels read, (NUM_CONSTANTS,); the clocks are those of ``physics``."""
        c = np.zeros(at.NUM_CONSTANTS)
        c[at.C_TICK] = physics.clock.tick_s
        c[at.C_KNOT] = physics.knot_s
        c[at.C_OVERHEAD] = self.overhead
        c[at.C_HAND_OVER_TRIPS] = self.hand_over_trips
        c[at.C_ROUTE_SWITCH] = self.route_switch_s
        c[at.C_COPY_TAX] = self.copy_tax
        c[at.C_COPY_TAX_RATE] = self.copy_tax_bytes_s
        c[at.C_HASH] = self.hash_core_s_per_byte
        c[at.C_HASH_RATE] = self.hash_bytes_s
        c[at.C_COMMIT_BYTES] = self.commit_bytes
        c[at.C_RESYNC] = self.resync_share
        c[at.C_SAMPLE] = self.sample_s
        c[at.C_NOISE] = self.noise
        return c

    def plans(self) -> NDArray[np.float64]:
        """How memory moves by each stop rule, (NUM_RULES, NUM_PLAN) for the migration kernel.

        The order is that of `gymbal_runtime.sites.orders`. The WAN limits the rate, and downtime
        beyond the last copy is the hand-over's, not the hypervisor's.
        """
        until_told = replace(RULES["until_told"], resume_s=0.0, check_s=CHECK_S)
        thirty = replace(RULES["xen_legacy"], resume_s=0.0, check_s=CHECK_S)
        plans = np.stack([until_told.plan(), thirty.plan()])
        plans[:, mig.OVERHEAD] = self.overhead
        return plans
