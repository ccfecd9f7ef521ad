"""Figures that say what a demand trace is like: levels, memory of the past, host overloads.

Every function is deterministic: random hosts are drawn from a seed. The same figures of a real
month and of a synthetic fleet are set side by side in ``docs/demand.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.trace import Trace

LEVEL_QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
CPU_QUANTILES = (0.5, 0.9, 0.95)
SPREAD_QUANTILES = (0.1, 0.5, 0.9)  # over VMs
LAGS = (1, 12, 288)  # samples; five minutes, an hour and a day of a 300 s trace
LASTED_MIN = (5, 15, 30, 60, 120)  # of an overload, minutes


class Runs(NamedTuple):
    """Maximal runs of overload, E of them, and what surrounds them."""

    length: NDArray[np.int64]  # (E,) samples
    before: NDArray[np.float64]  # (E,) load one sample before the onset; nan at the trace's start
    onset: NDArray[np.float64]  # (E,) load in the first sample
    complete: NDArray[np.bool_]  # (E,) neither cut by the first nor by the last sample


@dataclass(frozen=True)
class OverloadFigures:
    """Overloads of hosts of one size and one degree of overcommitment."""

    vms_per_host: int
    overcommit: float  # provisioned memory over host memory, k
    time_frac: float  # share of host time with demand above host memory
    hosts_hit_frac: float  # share of hosts overloaded at least once
    num_episodes: int  # complete ones
    duration_min: tuple[float, float, float]  # p50, p90, p99, minutes
    short_frac: float  # share of episodes of at most 15 min
    long_time_frac: float  # share of overloaded time in episodes of more than 1 h
    more_15min: tuple[float, ...]  # P(15 more minutes | lasted LASTED_MIN), nan without cases
    before_onset: tuple[float, float, float]  # p10, p50, p90 of the load one sample earlier
    jump_median: float  # rise of the load into the first sample, fraction of host memory
    excess_median: float  # load - 1 in the first sample, fraction of host memory


@dataclass(frozen=True)
class FleetFigures:
    """Levels and memory of the past of a fleet; all fractions are of the VM's own provision."""

    memory_mean: float
    memory_quantiles: tuple[float, ...]  # at LEVEL_QUANTILES, over all samples of all VMs
    variation_median: float  # coefficient of variation per VM, median over VMs
    peak_to_mean: tuple[float, ...]  # p50, p90 over VMs
    memory_autocorrelation: dict[int, tuple[float, ...]]  # lag -> at SPREAD_QUANTILES over VMs
    cpu_mean: float
    cpu_quantiles: tuple[float, ...]  # at CPU_QUANTILES
    cpu_autocorrelation: dict[int, tuple[float, ...]]  # lag -> at SPREAD_QUANTILES over VMs
    pair_correlation: float  # of active memory, mean over pairs of VMs
    weighted_mean: float  # demand of the whole fleet over its provisioned memory
    weighted_variation: float  # standard deviation over mean of the demand of the whole fleet


def level_quantiles(
    values: NDArray[np.float32], q: tuple[float, ...] = LEVEL_QUANTILES
) -> NDArray[np.float64]:
    """Quantiles of all samples of all VMs, values (N, T) -> (len(q),)."""
    return np.quantile(values.ravel().astype(np.float64), q)


def coefficient_of_variation(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Standard deviation over mean of each VM, (N, T) -> (N,); nan for a VM that is always zero."""
    return _ratio(values.std(axis=1, dtype=np.float64), values.mean(axis=1, dtype=np.float64))


def peak_to_mean(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Largest sample over mean of each VM, (N, T) -> (N,); nan for a VM that is always zero."""
    return _ratio(values.max(axis=1).astype(np.float64), values.mean(axis=1, dtype=np.float64))


def autocorrelation(values: NDArray[np.float32], lag: int) -> NDArray[np.float64]:
    """Pearson correlation of each VM with itself ``lag`` samples later, (N, T) -> (N,).

    Nan for a constant VM.

    Raises:
        ValueError: The lag is not in 1 .. T - 2.
    """
    n, t = values.shape
    if not 1 <= lag <= t - 2:
        raise ValueError(f"lag must lie in 1 .. {t - 2}, not {lag}")
    found = np.full(n, np.nan)
    for i, row in enumerate(values.astype(np.float64)):
        before, after = row[:-lag], row[lag:]
        before, after = before - before.mean(), after - after.mean()
        scale = np.sqrt(np.dot(before, before) * np.dot(after, after))
        if scale > 0:
            found[i] = np.dot(before, after) / scale
    return found


def host_demand(
    trace: Trace, vms_per_host: int, num_hosts: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum the active memory of random VMs, drawn without replacement within a host.

    Args:
        trace: Where the VMs come from; N must be at least ``vms_per_host``.
        vms_per_host: VMs on each host.
        num_hosts: H, hosts drawn; two hosts may share VMs.
        seed: Of the draw.

    Returns:
        Demand (H, T) and provisioned memory (H,), both in bytes.

    Raises:
        ValueError: The trace has fewer VMs than a host.
    """
    if trace.num_vms < vms_per_host:
        raise ValueError(f"{trace.name} has {trace.num_vms} VMs, a host needs {vms_per_host}")
    rng = np.random.default_rng(seed)
    demand = np.empty((num_hosts, trace.num_samples))
    provisioned = np.empty(num_hosts)
    for host in range(num_hosts):
        vms = rng.choice(trace.num_vms, vms_per_host, replace=False)
        provisioned[host] = trace.memory_bytes[vms].sum()
        demand[host] = trace.memory_bytes[vms] @ trace.active_frac[vms]
    return demand, provisioned


def overload_runs(load: NDArray[np.float64], limit: float = 1.0) -> Runs:
    """Find the maximal runs with ``load > limit``, load (H, T) -> E runs, row by row in time."""
    over = load > limit
    edges = np.diff(np.pad(over, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, first = np.nonzero(edges == 1)
    _, last = np.nonzero(edges == -1)  # one past the run; rows come in the same order
    before = np.where(first > 0, load[row, np.maximum(first - 1, 0)], np.nan)
    complete = (first > 0) & (last < load.shape[1])
    return Runs((last - first).astype(np.int64), before, load[row, first], complete)


def chance_of_more(
    length: NDArray[np.int64], lasted: tuple[int, ...], more: int
) -> tuple[float, ...]:
    """P(run lasts ``more`` samples longer | it lasted ``lasted`` samples), nan without cases.

    A run of n samples has lasted n; "5 minutes" of a 5-minute trace is one sample.
    """
    reached = [int(np.count_nonzero(length >= n)) for n in lasted]
    beyond = [int(np.count_nonzero(length >= n + more)) for n in lasted]
    return tuple(b / r if r else math.nan for b, r in zip(beyond, reached, strict=True))


def host_overloads(
    trace: Trace, overcommit: float, vms_per_host: int = 20, num_hosts: int = 500, seed: int = 0
) -> OverloadFigures:
    """Overloads of random hosts whose memory is the VMs' provisioned memory over ``overcommit``.

    See ``host_demand`` for the other arguments and the errors. Figures of episodes use complete
    ones only; the share of time uses all samples. A figure without cases is nan.
    """
    demand, provisioned = host_demand(trace, vms_per_host, num_hosts, seed)
    load = demand / (provisioned / overcommit)[:, None]
    runs = overload_runs(load)
    length = runs.length[runs.complete]
    before, onset = runs.before[runs.complete], runs.onset[runs.complete]
    step_min = trace.step_s / 60.0
    minutes = length.astype(np.float64) * step_min
    total = float(minutes.sum())
    lasted = tuple(max(1, round(m / step_min)) for m in LASTED_MIN)
    return OverloadFigures(
        vms_per_host=vms_per_host,
        overcommit=overcommit,
        time_frac=float(np.mean(load > 1.0)),
        hosts_hit_frac=float(np.mean((load > 1.0).any(axis=1))),
        num_episodes=int(length.size),
        duration_min=_triple(minutes, (0.5, 0.9, 0.99)),
        short_frac=float(np.mean(minutes <= 15.0)) if total else math.nan,
        long_time_frac=float(minutes[minutes > 60.0].sum()) / total if total else math.nan,
        more_15min=chance_of_more(length, lasted, max(1, round(15.0 / step_min))),
        before_onset=_triple(before, SPREAD_QUANTILES),
        jump_median=float(np.median(onset - before)) if total else math.nan,
        excess_median=float(np.median(onset - 1.0)) if total else math.nan,
    )


def fleet_figures(trace: Trace) -> FleetFigures:
    """All figures of levels and correlations of one trace.

    Raises:
        ValueError: The trace is too short for the longest of ``LAGS``.
    """
    memory, cpu = trace.active_frac, trace.cpu_frac
    fleet = trace.memory_bytes @ memory / trace.memory_bytes.sum()
    return FleetFigures(
        memory_mean=float(memory.mean(dtype=np.float64)),
        memory_quantiles=tuple(level_quantiles(memory).tolist()),
        variation_median=float(np.nanmedian(coefficient_of_variation(memory))),
        peak_to_mean=tuple(np.nanquantile(peak_to_mean(memory), (0.5, 0.9)).tolist()),
        memory_autocorrelation={lag: _over_vms(memory, lag) for lag in LAGS},
        cpu_mean=float(cpu.mean(dtype=np.float64)),
        cpu_quantiles=tuple(level_quantiles(cpu, CPU_QUANTILES).tolist()),
        cpu_autocorrelation={lag: _over_vms(cpu, lag) for lag in LAGS},
        pair_correlation=mean_pair_correlation(memory),
        weighted_mean=float(fleet.mean()),
        weighted_variation=float(fleet.std() / fleet.mean()),
    )


def mean_pair_correlation(values: NDArray[np.float32]) -> float:
    """Mean Pearson correlation over all pairs of VMs that vary, (N, T) -> scalar.

    The sum over all ordered pairs is the squared norm of the sum of the normalised series, which
    saves the N x N matrix. Nan with fewer than two such VMs.
    """
    centred = values - values.mean(axis=1, keepdims=True, dtype=np.float64)
    norm = np.sqrt(np.einsum("nt,nt->n", centred, centred))
    n = int(np.count_nonzero(norm > 0))
    if n < 2:
        return math.nan
    total = np.divide(1.0, norm, out=np.zeros_like(norm), where=norm > 0) @ centred
    return float((total @ total - n) / (n * (n - 1)))


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Elementwise quotient, nan where the divisor is not positive."""
    found = np.full(below.shape, np.nan)
    np.divide(above, below, out=found, where=below > 0)
    return found


def _over_vms(values: NDArray[np.float32], lag: int) -> tuple[float, ...]:
    """Autocorrelation at SPREAD_QUANTILES over the VMs."""
    return tuple(np.nanquantile(autocorrelation(values, lag), SPREAD_QUANTILES).tolist())


def _triple(
    values: NDArray[np.float64], q: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Three quantiles, nan of an empty array."""
    if values.size == 0:
        return (math.nan, math.nan, math.nan)
    a, b, c = np.quantile(values, q)
    return (float(a), float(b), float(c))
