"""From what moves between sites are drawn."""

from __future__ import annotations

from dataclasses import dataclass

from gymbal_envs.scenarios.draws import Range
from gymbal_envs.scenarios.scenario import ScenarioError


@dataclass(frozen=True)
class SitesConfig:
    """From what moves between sites are drawn. Ranges are uniform, or log-uniform where said.

    Sizes, CPU demand and its changes come from the trace; the rest is assumed, in ranges that
    CloudNet's VMs and line (1.7 GB of memory, 10 GB of disk, 27 ms, models.md 10) lie in.

    Attributes:
        num_vms: VMs to be moved.
        max_vms: slots.
        episode_s: length of an episode.
        knot_s: seconds between knots of activity and background.
        load: all memory and disk over what the line can carry in the episode while others leave
            room; the line's capacity follows from it.
        used_frac: part of the provisioned memory that holds data.
        largest_vm_gib: larger memories count as this.
        disk_of_memory: disk in units of that memory, log-uniform.
        hot_frac: memory that is written all the time, log-uniform.
        hot_tau_s: its time constant at full activity, log-uniform.
        warm_frac: memory that is written now and then.
        warm_tau_s: its time constant, log-uniform.
        sweep_chance: VMs that sweep over a part of their memory again and again.
        sweep_frac: that part.
        sweep_s: time of a sweep at full activity.
        write_of_share: disk writes at full activity over an equal share of the line, log-uniform;
            above 1 the VM writes faster than its copy can follow.
        write_set_frac: part of the disk that is written again and again, log-uniform.
        commit_rate: 1/s waits for writes at full activity, log-uniform.
        memory_redundancy: part of the memory whose content the other site has.
        disk_redundancy: part of the disk.
        hint_error: standard deviation of what samples say about these.
        away_cost: of a VM's worth, per second at the wrong site, log-uniform.
        deadline_frac: of the episode; then being at the wrong site costs more.
        shares: weights that owners give their VMs.
        rtt_s: of the line, log-uniform.
        loss: of the line, log-uniform.
        connections: of one copy.
        background: mean part of the line that others use.
        busiest: the most that others use.
        excursion_gap_s: mean seconds between short peaks of a VM and of others' traffic.
        excursion_hold_s: their mean duration.
        excursion_height: their mean height in units of the level.
        lull_gap_s: mean seconds of work between a VM's lulls, log-uniform over VMs.
        lull_hold_s: mean duration of a lull, log-uniform over VMs. A sample of five minutes does
            not tell steady work from work with breaks (between jobs, between users).
        lull_activity: what is left of the activity in a lull.
        smallest_vm_mib: smaller VMs of a trace are left out.
    """

    num_vms: tuple[int, int] = (3, 8)
    max_vms: int = 8
    episode_s: float = 7200.0
    knot_s: float = 10.0
    load: Range = (0.5, 0.95)
    used_frac: Range = (0.4, 0.9)
    largest_vm_gib: float = 32.0
    disk_of_memory: Range = (1.0, 8.0)
    hot_frac: Range = (0.005, 0.06)
    hot_tau_s: Range = (0.1, 2.0)
    warm_frac: Range = (0.05, 0.35)
    warm_tau_s: Range = (40.0, 400.0)
    sweep_chance: float = 0.25
    sweep_frac: Range = (0.02, 0.15)
    sweep_s: Range = (10.0, 90.0)
    write_of_share: Range = (0.01, 1.5)
    write_set_frac: Range = (0.01, 0.15)
    commit_rate: Range = (0.5, 20.0)
    memory_redundancy: Range = (0.05, 0.5)
    disk_redundancy: Range = (0.05, 0.6)
    hint_error: float = 0.05
    away_cost: Range = (0.005, 0.05)
    deadline_frac: Range = (0.7, 0.98)
    shares: tuple[float, ...] = (500.0, 1000.0, 2000.0)
    rtt_s: Range = (0.01, 0.1)
    loss: Range = (1e-6, 1e-4)
    connections: float = 16.0
    background: Range = (0.1, 0.5)
    busiest: float = 0.9
    excursion_gap_s: Range = (200.0, 1800.0)
    excursion_hold_s: float = 60.0
    excursion_height: float = 0.8
    lull_gap_s: Range = (200.0, 1500.0)
    lull_hold_s: Range = (60.0, 300.0)
    lull_activity: float = 0.1
    smallest_vm_mib: float = 512.0

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        if not 1 <= self.num_vms[0] <= self.num_vms[1] <= self.max_vms:
            raise ScenarioError(
                f"num_vms {self.num_vms} must be a rising pair within 1..max_vms ({self.max_vms})"
            )
        for name in (
            "load", "used_frac", "disk_of_memory", "hot_frac", "hot_tau_s", "warm_frac",
            "warm_tau_s", "sweep_frac", "sweep_s", "write_of_share", "write_set_frac",
            "commit_rate", "away_cost", "deadline_frac", "rtt_s", "loss", "excursion_gap_s",
            "lull_gap_s", "lull_hold_s",
        ):  # fmt: skip
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ScenarioError(f"{name} ({low}, {high}) must be a rising pair above 0")
        for name in ("memory_redundancy", "disk_redundancy", "background"):
            low, high = getattr(self, name)
            if not 0 <= low <= high < 1:
                raise ScenarioError(f"{name} ({low}, {high}) must be a rising pair in [0, 1)")
        for name in ("used_frac", "write_set_frac", "deadline_frac"):
            if getattr(self, name)[1] > 1:
                raise ScenarioError(f"{name} must not exceed 1")
        if self.hot_frac[1] + self.warm_frac[1] + self.sweep_frac[1] > 1:
            raise ScenarioError("hot_frac, warm_frac and sweep_frac must not exceed 1 together")
        if not 0 < self.busiest < 1:
            raise ScenarioError(f"busiest ({self.busiest}) must lie between 0 and 1")

    @property
    def num_knots(self) -> int:
        """Knots of every scenario."""
        return round(self.episode_s / self.knot_s) + 1
