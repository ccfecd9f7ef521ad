"""A fleet that never existed but behaves like one that did: the project's default demand.

Active memory of a VM is its base level, waved by the day and drifting slowly, lifted by episodes
(its own bursts, a regular job, the jobs and storms of its crew), and blurred by the sampling that
the hypervisor estimates it with. ``docs/demand.md`` has the equations, the fit and its limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.synthetic_bitbrains import BITBRAINS_AUGUST
from gymbal_envs.demand.synthetic_events import (
    DAY_S,
    Episodes,
    burst_episodes,
    cron_episodes,
    draw_lognormal,
    join_work,
    paint,
    pick,
    work_episodes,
)
from gymbal_envs.demand.synthetic_params import SyntheticParams, VmClass
from gymbal_envs.demand.trace import Trace

_GIB = 2.0**30
_MONDAY_S = 345600.0  # 1970-01-05 00:00 UTC, a Monday, so that day 5 and 6 are a weekend


@dataclass(frozen=True)
class _Vm:
    """What a VM is, drawn once."""

    kind: VmClass
    memory_gib: float
    cores: int
    base: float
    sampling: float
    drift: float
    drift_s: float
    daily: float
    peak_s: float
    bursts_per_day: float
    burst_height: float
    runs_cron: bool
    cpu_base: float
    cpu_noise: float
    cpu_drift: float
    cpu_burst: float
    wobble: float
    crew: int  # -1: none
    crew_scale: float


@dataclass(frozen=True)
class SyntheticFleet:
    """Generator of demand traces.

    VM i of a seed is the same series whatever the number of VMs, and its first T samples are the
    same whatever the number of samples: every component of every VM has its own random stream.
    """

    params: SyntheticParams = BITBRAINS_AUGUST

    def generate(self, num_vms: int, num_samples: int, seed: int, step_s: float = 300.0) -> Trace:
        """Draw a trace of ``num_vms`` VMs.

        Args:
            num_vms: N, number of VMs, at least 1.
            num_samples: T, number of samples, at least 1.
            seed: Non-negative; equal seeds give equal bytes.
            step_s: Seconds between samples. The fit was made at 300 s, other steps extrapolate it.

        Raises:
            ValueError: A size or the step is not positive.
        """
        if num_vms < 1 or num_samples < 1 or step_s <= 0:
            raise ValueError("num_vms, num_samples and step_s must be positive")
        horizon_s = num_samples * step_s
        crew = self.params.crew
        shared = [
            [
                work_episodes(work, horizon_s, _stream(seed, 1, i, k))
                for k, work in enumerate(crew.work)
            ]
            for i in range(crew.count)
        ]
        active = np.empty((num_vms, num_samples), np.float32)
        cpu = np.empty((num_vms, num_samples), np.float32)
        vms = [_draw_vm(self.params, _stream(seed, 0, i, 0)) for i in range(num_vms)]
        for i, vm in enumerate(vms):
            active[i], cpu[i] = self._series(vm, i, shared, num_samples, seed, step_s)
        return Trace(
            name=f"synthetic({num_vms}x{num_samples}, seed {seed})",
            start_s=_MONDAY_S,
            step_s=step_s,
            vm_id=np.arange(num_vms, dtype=np.int64),
            cores=np.array([vm.cores for vm in vms], np.float64),
            memory_bytes=np.array([vm.memory_gib * _GIB for vm in vms]),
            cpu_frac=cpu,
            active_frac=active,
        )

    def _series(
        self,
        vm: _Vm,
        vm_id: int,
        shared: list[list[Episodes]],
        num_samples: int,
        seed: int,
        step_s: float,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Active memory and CPU of one VM, both (T,) fractions."""
        streams = [_stream(seed, 0, vm_id, k) for k in range(1, 6)]
        wave = _daily_wave(vm, self.params.weekend_drop, num_samples, step_s)
        slow, slow_cpu = (_drift(num_samples, step_s / vm.drift_s, s) for s in streams[:2])
        memory = vm.base * np.exp(wave + vm.drift * slow)
        cpu = vm.cpu_base * np.exp(wave + vm.cpu_drift * slow_cpu)
        lift, load = np.zeros(num_samples), np.zeros(num_samples)
        for episodes in self._episodes(vm, vm_id, shared, num_samples * step_s, seed):
            paint(episodes, lift, load, step_s)
        lift *= np.exp(vm.wobble * _drift(num_samples, step_s / self.params.wobble_s, streams[2]))
        memory = np.maximum(memory, lift)
        memory /= np.sqrt(1.0 + (memory / self.params.ceiling) ** 2)
        error = _sampling_error(num_samples, self.params.sampling_overlap, streams[3])
        memory += vm.sampling * np.sqrt(memory * (1.0 - memory)) * error
        cpu = np.maximum(cpu, load) * np.exp(vm.cpu_noise * streams[4].standard_normal(num_samples))
        return np.clip(memory, 0.0, 1.0), np.clip(cpu, 0.0, 1.0)

    def _episodes(
        self, vm: _Vm, vm_id: int, shared: list[list[Episodes]], horizon_s: float, seed: int
    ) -> Iterator[Episodes]:
        """All episodes of one VM, kind by kind."""
        own = (vm.burst_height, vm.cpu_burst, horizon_s)
        yield burst_episodes(self.params, vm.bursts_per_day, *own, _stream(seed, 0, vm_id, 8))
        if vm.runs_cron:
            yield cron_episodes(self.params.cron, *own, _stream(seed, 0, vm_id, 9))
        if vm.crew >= 0:
            for k, work in enumerate(self.params.crew.work):
                rng = _stream(seed, 0, vm_id, 10 + k)
                yield join_work(work, shared[vm.crew][k], vm.crew_scale, horizon_s, rng)


def _stream(seed: int, kind: int, index: int, component: int) -> np.random.Generator:
    """Random stream of one component of one VM (kind 0) or crew (kind 1)."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(kind, index, component)))


def _draw_vm(params: SyntheticParams, rng: np.random.Generator) -> _Vm:
    """Draw what a VM is; the order of the draws is part of the stream's definition."""
    u = rng.random(8)
    # A month of 499 VMs says little about laws beyond 2.5 sigma: no VM is stranger than that.
    z = np.clip(rng.standard_normal(16), -2.5, 2.5)
    office_s = params.office_peak_s + params.office_spread_s * float(z[13])
    kinds = params.classes
    kind = kinds[pick([k.weight for k in kinds], u[0])]

    def law(name: str, i: int) -> float:
        return float(draw_lognormal(getattr(kind, name), z[i]))

    return _Vm(
        kind=kind,
        memory_gib=kind.memory_gib[pick([w for _, w in kind.memory_gib], u[1])][0],
        cores=kind.cores[pick([w for _, w in kind.cores], u[2])][0],
        base=law("base", 0),
        sampling=law("sampling", 1),
        drift=law("drift", 2),
        drift_s=law("drift_s", 3),
        daily=law("daily", 4),
        peak_s=office_s if u[7] < params.office_share else float(u[3]) * DAY_S,
        bursts_per_day=law("bursts_per_day", 5),
        burst_height=law("burst_height", 6),
        runs_cron=bool(u[6] < kind.cron_share),
        cpu_base=law("cpu_base", 7),
        cpu_noise=law("cpu_noise", 8),
        cpu_drift=float(draw_lognormal(params.cpu_drift, z[9])),
        cpu_burst=law("cpu_burst", 10),
        wobble=float(draw_lognormal(params.wobble, z[12])),
        crew=int(u[5] * params.crew.count) if kind.in_crew else -1,
        crew_scale=float(np.exp(params.crew.member_spread * z[11])),
    )


def _daily_wave(
    vm: _Vm, weekend_drop: float, num_samples: int, step_s: float
) -> NDArray[np.float64]:
    """Half a cosine on log scale in the VM's busy half of the day, smaller at the weekend, (T,).

    Only half: real VMs are busy by day, not unusually idle by night.
    """
    t = np.arange(num_samples) * step_s
    weekend = (t // DAY_S) % 7 >= 5
    size = vm.daily * np.where(weekend, 1.0 - weekend_drop, 1.0)
    return np.asarray(size * np.maximum(0.0, np.cos(2 * np.pi * (t - vm.peak_s) / DAY_S)))


def _drift(num_samples: int, rate: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Stationary AR(1) with unit variance and lag-1 correlation exp(-rate), (T,).

    The recursion x[t] = e[t] + phi x[t-1] is unrolled by doubling: after pass k every x[t] holds
    the innovations of its last 2**k samples. Log2(T) vector passes instead of T scalar steps, and
    sample t is computed the same way whatever T is.
    """
    phi = np.exp(-rate)
    x = rng.standard_normal(num_samples)
    x[1:] *= np.sqrt(1.0 - phi * phi)
    lag = 1
    while lag < num_samples and phi**lag > 1e-9:
        x[lag:] = x[lag:] + phi**lag * x[:-lag]
        lag *= 2
    return x


def _sampling_error(
    num_samples: int, overlap: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Error of an estimate from sampled pages, unit variance, (T,).

    Neighbouring estimates share part of their window: x[t] ~ e[t] + overlap e[t-1], MA(1).
    """
    e = rng.standard_normal(num_samples + 1)
    return np.asarray((e[1:] + overlap * e[:-1]) / np.sqrt(1.0 + overlap * overlap))
