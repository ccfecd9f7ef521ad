"""Draws hosts, VMs, programs and trace windows: the scenarios to train and be judged on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gymbal_envs.demand.trace import Trace
from gymbal_envs.scenarios.draws import Range, random_stream
from gymbal_envs.scenarios.host_draw import HostDraw
from gymbal_envs.scenarios.machine import MachineDraw
from gymbal_envs.scenarios.scenario import Scenario, ScenarioError
from gymbal_envs.scenarios.split import SplitName
from gymbal_envs.simulator.params import TIERS


@dataclass(frozen=True)
class FleetConfig:
    """From what scenarios are drawn. Ranges are uniform, or log-uniform where said.

    Attributes:
        num_vms: VMs on a host.
        max_vms: slots; hosts with fewer VMs leave slots empty.
        episode_s: length of an episode.
        load: host memory is chosen such that the window's peak of the summed working sets is this
            multiple of it. Above 1 the host cannot serve everybody all the time.
        tiers: names of swap tiers.
        fault_pressure_hz: touches/s that can miss, log-uniform, scaled by the program's own rate.
        footprint_frac: part of the provisioned memory that holds data, hot or not.
        unswappable_frac: part of the footprint that cannot be paged out.
        shares: weights that owners give their VMs.
        monitor: 0 guest statistics, 1 with the active sampler, 2 with the LRU histogram.
        cpu_overcommit: provisioned vCPUs over the host's cores.
        smallest_vm_mib: smaller VMs of a trace are left out.
        excursion_gap_s: mean seconds between excursions of a VM, log-uniform over VMs.
        excursion_hold_s: their mean duration.
        excursion_height: their mean height in units of the level; 0 for none.
        knot_s: seconds between demand knots.
        profiles: how programs suffer without memory, each as likely as the others; names as in
            `resolve_profiles`.
    """

    num_vms: tuple[int, int] = (4, 8)
    max_vms: int = 8
    episode_s: float = 1800.0
    load: Range = (0.9, 1.4)
    tiers: tuple[str, ...] = ("sata_ssd", "nvme", "zswap", "tcp_10g")
    fault_pressure_hz: Range = (5000.0, 200000.0)
    footprint_frac: Range = (0.15, 0.5)
    unswappable_frac: Range = (0.01, 0.04)
    shares: tuple[float, ...] = (500.0, 1000.0, 2000.0)
    monitor: int = 2
    cpu_overcommit: Range = (1.0, 4.0)
    smallest_vm_mib: float = 512.0
    excursion_gap_s: Range = (120.0, 1800.0)
    excursion_hold_s: float = 45.0
    excursion_height: float = 0.6
    knot_s: float = 10.0
    profiles: tuple[str, ...] = field(
        default=("measured", "power:0.4", "power:1.5", "cliff:0.7", "streaming")
    )

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        if not 1 <= self.num_vms[0] <= self.num_vms[1] <= self.max_vms:
            raise ScenarioError(
                f"num_vms {self.num_vms} must be a rising pair within 1..max_vms ({self.max_vms})"
            )
        unknown = [name for name in self.tiers if name not in TIERS]
        if unknown or not self.tiers:
            raise ScenarioError(f"tiers {unknown or '()'} unknown; there are {sorted(TIERS)}")
        for name in ("load", "fault_pressure_hz", "cpu_overcommit", "excursion_gap_s"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ScenarioError(f"{name} ({low}, {high}) must be a rising pair above 0")
        if self.monitor not in (0, 1, 2):
            raise ScenarioError(f"monitor must be 0, 1 or 2, not {self.monitor}")

    @property
    def num_knots(self) -> int:
        """Demand knots of an episode."""
        return round(self.episode_s / self.knot_s) + 1


class FleetScenarios:
    """Scenario number ``index`` of a seed: the same whenever and wherever it is drawn.

    Args:
        trace: demand of a fleet.
        config: what to draw from.
        split: which VMs and which part of the time may be used.
        seed: of the draw.
        machine: draws cache and devices, too, and makes the VMs' CPU demand its own.
    """

    def __init__(
        self,
        trace: Trace,
        config: FleetConfig,
        split: SplitName = "train",
        seed: int = 0,
        machine: MachineDraw | None = None,
    ) -> None:
        self.config, self.trace, self.seed = config, trace, seed
        self.split: SplitName = split
        self._host = HostDraw(trace, config, split, machine)

    def __call__(self, index: int) -> Scenario:
        """Draw scenario ``index``."""
        rng = random_stream(self.seed, self.split, index)
        # A stream of its own, so that memory is drawn the same with and without the rest.
        rest = random_stream(self.seed, self.split, ~index & _ALL_BITS)
        cfg, host = self.config, self._host
        n = int(rng.integers(cfg.num_vms[0], cfg.num_vms[1] + 1))
        rows = rng.choice(host.vms, size=n, replace=n > host.vms.size)
        start = int(rng.integers(host.first, host.last - host.window + 1))
        samples = np.tile(start + np.arange(host.window), (n, 1))
        name = f"{self.trace.name}/{self.split}/{self.seed}/{index}"
        return host(rng, rest, name, rows, samples)


_ALL_BITS = 2**64 - 1
