"""What a synthetic fleet is drawn from: frozen laws and their units.

The values fitted to a real month are in ``synthetic_bitbrains``; ``docs/demand.md`` has the
equations that use them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LogNormal:
    """A positive quantity that differs between VMs or events: ``median * exp(sigma * z)``."""

    median: float  # unit of the quantity
    sigma: float  # standard deviation of the natural logarithm


@dataclass(frozen=True)
class Durations:
    """Mixture of exponentials: a decreasing hazard, as overloads have.

    With probability ``weights[i]`` the duration is exponential with mean ``means_s[i]``; the longer
    an episode has lasted, the likelier it is to be one of the long ones.
    """

    weights: tuple[float, ...]  # sum to 1
    means_s: tuple[float, ...]  # seconds

    def __post_init__(self) -> None:
        """Refuse a mixture whose parts do not match or do not sum to one."""
        if len(self.weights) != len(self.means_s) or abs(sum(self.weights) - 1.0) > 1e-9:
            raise ValueError("Durations: one weight per mean, and the weights must sum to 1")


@dataclass(frozen=True)
class VmClass:
    """VMs of one size. Fractions are of the VM's own provisioned memory or vCPUs."""

    name: str
    weight: float  # share of the fleet's VMs
    memory_gib: tuple[tuple[float, float], ...]  # (GiB, weight)
    cores: tuple[tuple[int, float], ...]  # (vCPUs, weight)
    base: LogNormal  # active memory when nothing happens, fraction
    sampling: LogNormal  # kappa of the sampling noise, sd = kappa sqrt(m (1 - m)), dimensionless
    drift: LogNormal  # sd of log active memory, slow part, dimensionless
    drift_s: LogNormal  # correlation time of the slow part, seconds
    daily: LogNormal  # amplitude of the daily wave on log scale, dimensionless
    bursts_per_day: LogNormal  # how often an idle VM starts a train of bursts, 1/day
    burst_height: LogNormal  # active memory during a burst, fraction
    cron_share: float  # probability that the VM also has a job at fixed times of day
    cpu_base: LogNormal  # CPU when nothing happens, fraction
    cpu_noise: LogNormal  # sd of log CPU, fast part, dimensionless
    cpu_burst: LogNormal  # CPU during a burst, fraction
    in_crew: bool = False  # whether these VMs work for a crew


@dataclass(frozen=True)
class CrewWork:
    """One kind of work that the VMs of a crew do together."""

    name: str
    gap_s: float  # mean pause between two pieces of this work, seconds
    duration: Durations  # how long a piece runs
    memory: LogNormal  # active memory meanwhile, fraction
    cpu: float  # CPU meanwhile, fraction
    join_prob: float  # probability that a VM of the crew takes part
    delay_s: float  # mean delay of a VM's start behind the crew's, seconds
    spread: float  # sd of log active memory between the VMs of one piece, dimensionless


@dataclass(frozen=True)
class Crew:
    """A cluster whose VMs start the same work together: what makes hosts overload at once."""

    count: int  # crews in the fleet
    work: tuple[CrewWork, ...]
    member_spread: float  # sd of log active memory between VMs, for all work, dimensionless


@dataclass(frozen=True)
class Cron:
    """Jobs that a VM runs at the same times every day: backups, scans, reports."""

    runs_per_day: tuple[tuple[int, float], ...]  # (1/day, weight)
    often_exponent: float  # a job that runs n times a day is n**-this as high, dimensionless
    duration_s: LogNormal  # of a VM's job, seconds
    jitter_s: float  # sd of a run's start, seconds
    spread: float  # sd of log duration and log level between the runs of one VM, dimensionless


@dataclass(frozen=True)
class SyntheticParams:
    """Everything the generator draws from."""

    classes: tuple[VmClass, ...]
    crew: Crew
    cron: Cron
    burst: Durations  # how long a burst lasts
    burst_train_prob: float  # probability that a burst is followed by another one soon
    burst_train_gap_s: float  # mean pause inside a train, seconds
    burst_spread: float  # sd of log burst height between the bursts of one VM, dimensionless
    sampling_overlap: float  # share of a sample's error that the next one repeats, dimensionless
    wobble: LogNormal  # sd of log level inside episodes, dimensionless
    wobble_s: float  # correlation time of that wobble, seconds
    weekend_drop: float  # how far the daily wave shrinks at the weekend, fraction
    office_share: float  # share of VMs that are busy in office hours; others at any hour
    office_peak_s: float  # time of day at which these peak, seconds after midnight UTC
    office_spread_s: float  # sd of that time between VMs, seconds
    ceiling: float  # level that active memory approaches but does not pass, fraction
    cpu_drift: LogNormal  # sd of log CPU, slow part, dimensionless
    source: str
