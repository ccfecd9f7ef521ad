"""Draws clusters: hosts packed from a trace, so that single hosts overload while all have room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.trace import Trace
from gymbal_envs.scenarios.cluster_config import ClusterConfig
from gymbal_envs.scenarios.cluster_packing import (
    alike,
    deal,
    pack,
    per_host,
    window_start,
)
from gymbal_envs.scenarios.cluster_scenario import (
    FAR_TIERS,
    GIGABIT,
    ClusterScenario,
    cluster_of,
)
from gymbal_envs.scenarios.cluster_writes import draw_writes
from gymbal_envs.scenarios.draws import Floats, log_uniform, random_stream
from gymbal_envs.scenarios.host_draw import HostDraw, kernel_bytes
from gymbal_envs.scenarios.machine import MachineDraw
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.scenarios.split import SplitName
from gymbal_envs.simulator.cluster.migration_layout import RANDOM
from gymbal_envs.simulator.cluster.migration_rules import RULES
from gymbal_envs.simulator.params import TIERS

Ints = NDArray[np.int64]
T = TypeVar("T")

SLOW_NIC_GBIT_S = 1.0


@dataclass(frozen=True, eq=False)
class Packed:
    """VMs of a trace on the hosts of a cluster, over T samples.

    Attributes:
        rows: (n,) VMs of the trace.
        shift: (n,) samples by which each is played later than it was recorded.
        host: (n,) where it stands.
        memory: (H,) bytes for working sets: what is provisioned over the overcommitment.
        demand: (H, T) bytes of the working sets.
    """

    rows: Ints
    shift: Ints
    host: Ints
    memory: Floats
    demand: Floats

    @property
    def load(self) -> Floats:
        """(H, T) working sets over memory."""
        return self.demand / self.memory[:, None]


class ClusterFleetScenarios:
    """Cluster number ``index`` of a seed: the same whenever and wherever it is drawn.

    Args:
        trace: demand of a fleet.
        config: what to draw from.
        split: which VMs and which part of the time may be used.
        seed: of the draw.
        machine: draws cache and devices of the hosts, too.
    """

    def __init__(
        self,
        trace: Trace,
        config: ClusterConfig,
        split: SplitName = "train",
        seed: int = 0,
        machine: MachineDraw | None = None,
    ) -> None:
        self.config, self.trace, self.seed = config, trace, seed
        self.split: SplitName = split
        self._draw_host = HostDraw(trace, config.fleet, split, machine)

    def __call__(self, index: int) -> ClusterScenario:
        """Draw cluster ``index``."""
        cfg = self.config
        rng = random_stream(self.seed, self.split, index)
        packed = self._pack(rng)
        samples = self._samples(rng, packed)
        tier = TIERS[one_of(rng, cfg.tiers)]
        name = f"{self.trace.name}/{self.split}/{self.seed}/{index}"
        hosts = []
        for h in range(packed.memory.size):
            mine = packed.host == h
            memory_rng, rest_rng = (
                random_stream(self.seed, self.split, index, 2 * h + part) for part in (1, 2)
            )
            kernels = kernel_bytes(self.trace.memory_bytes[packed.rows[mine]]).sum()
            which = (f"{name}/{h}", packed.rows[mine], samples[mine])
            capacity = float(packed.memory[h] + kernels)
            hosts.append(self._draw_host(memory_rng, rest_rng, *which, capacity, tier))
        places = rng.permutation(cfg.max_hosts)[: len(hosts)]
        placed: list[Scenario | None] = [None] * cfg.max_hosts
        for place, drawn in zip(places, with_headroom(hosts, cfg.headroom), strict=True):
            placed[place] = started_full(drawn)
        return self._cluster(rng, name, tuple(placed))

    def packed(self, index: int) -> Packed:
        """The hosts of cluster ``index`` over all the time that the split may use."""
        return self._pack(random_stream(self.seed, self.split, index))

    def _pack(self, rng: np.random.Generator) -> Packed:
        cfg, draw = self.config, self._draw_host
        num_hosts = int(rng.integers(cfg.num_hosts[0], cfg.num_hosts[1] + 1))
        counts = rng.integers(cfg.vms_per_host[0], cfg.vms_per_host[1] + 1, num_hosts)
        rows, shift = self._vms(rng, int(counts.sum()))
        provisioned = self.trace.memory_bytes[rows]
        host = pack(provisioned, counts)
        memory = per_host(provisioned, host, num_hosts) / rng.uniform(*cfg.overcommit)
        series = self.trace.active_frac[rows, draw.first : draw.last].astype(np.float64)
        series *= provisioned[:, None]
        for vm in np.flatnonzero(shift):
            series[vm] = np.roll(series[vm], -shift[vm])
        return Packed(rows, shift, host, memory, per_host(series, host, num_hosts))

    def _vms(self, rng: np.random.Generator, num_vms: int) -> tuple[Ints, Ints]:
        """(n,) rows of the trace, and (n,) samples by which each is played later.

        A small trace has to give the same VM several times: then it is played at other times, so
        that no two VMs do the same at once.
        """
        vms = self._draw_host.vms
        near = alike(rng, self.trace.memory_bytes[vms], self.config.size_band, num_vms)
        rows, copy = deal(rng, vms[near], num_vms)
        shift = rng.integers(0, self._draw_host.last - self._draw_host.first, num_vms)
        return rows, np.where(copy > 0, shift, 0)

    def _samples(self, rng: np.random.Generator, packed: Packed) -> Ints:
        """(n, window) samples of the trace at which each VM is played."""
        draw = self._draw_host
        start = window_start(rng, packed.load, draw.window, self.config.overload_frac)
        later = start + packed.shift[:, None] + np.arange(draw.window)
        return np.asarray(draw.first + later % (draw.last - draw.first), dtype=np.int64)

    def _cluster(
        self, rng: np.random.Generator, name: str, hosts: tuple[Scenario | None, ...]
    ) -> ClusterScenario:
        """Draw what is between the hosts, what VMs write, and what breaks."""
        cfg, h, v = self.config, len(hosts), self.config.slots
        nic = one_of(rng, cfg.nic_gbit_s)
        far = one_of(rng, _reachable(cfg.far_tiers, nic))
        rule = one_of(rng, cfg.rules)
        present = np.stack([np.zeros(v, bool) if s is None else s.present for s in hosts])
        size, tau, kind = draw_writes(rng, cfg.writes, _mean_working_sets(hosts, v)[present])
        begins = _sometimes(rng, cfg.link_cut_prob, h, cfg.episode_s)
        ends = begins + log_uniform(rng, cfg.link_cut_s, h)
        return cluster_of(
            name,
            hosts,
            RULES[rule],
            FAR_TIERS[far],
            nic * GIGABIT,
            dirty_set_frac=_of_present(size, present, 0.0),
            dirty_tau_s=_of_present(tau, present, np.inf),
            dirty_kind=_of_present(kind, present, RANDOM),
            clonable=present & (rng.random((h, v)) < cfg.clonable_frac),
            link_cut=np.stack([begins, ends], axis=1),
            memory_service_fails_s=_sometimes(rng, cfg.memory_service_fail_prob, h, cfg.episode_s),
            vm_stops_s=_sometimes(rng, cfg.vm_stop_prob, (h, v), cfg.episode_s),
            clone=cfg.clone,
        )


def with_headroom(hosts: Sequence[Scenario], headroom: float) -> list[Scenario]:
    """Hosts with more memory, if need be, so that all working sets fit into a part of it."""
    peak = np.sum([host.working_set_bytes.sum(axis=1) for host in hosts], axis=0).max()
    kernels = [host.kernel_bytes[host.present].sum() for host in hosts]
    room = sum(host.capacity_bytes for host in hosts) - sum(kernels)
    factor = float(peak) / (headroom * room)
    if factor <= 1.0:
        return list(hosts)
    return [
        replace(host, capacity_bytes=kernel + (host.capacity_bytes - kernel) * factor)
        for host, kernel in zip(hosts, kernels, strict=True)
    ]


def started_full(host: Scenario) -> Scenario:
    """The host with memory divided such that each VM holds what it uses, or its part of that.

    What nobody uses is left to the host, to lend or to take in a VM.
    """
    here = host.present
    low = host.memory_min_bytes[here]
    first = host.footprint_bytes[0, here].astype(np.float64)
    used = np.clip(host.kernel_bytes[here] + 1.05 * first, low, host.memory_max_bytes[here])
    wanted = (used - low).sum()
    part = min((host.capacity_bytes - low.sum()) / wanted, 1.0) if wanted > 0 else 1.0
    initial = np.zeros(here.size)
    initial[here] = low + part * (used - low)
    return replace(host, initial_bytes=initial)


def one_of(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """One of the choices, each as likely."""
    return choices[int(rng.integers(len(choices)))]


def _reachable(far_tiers: tuple[str, ...], nic_gbit_s: float) -> tuple[str, ...]:
    """The far tiers that go with a port, or all where none does."""
    slow = nic_gbit_s <= SLOW_NIC_GBIT_S
    fit = tuple(name for name in far_tiers if (name == "tcp_1g") == slow)
    return fit or far_tiers


def _sometimes(
    rng: np.random.Generator, prob: float, shape: int | tuple[int, int], until_s: float
) -> Floats:
    """Instants before ``until_s``, each with probability ``prob``, else inf."""
    happens = rng.random(shape) < prob
    return np.where(happens, rng.uniform(0.0, until_s, shape), np.inf)


def _mean_working_sets(hosts: Sequence[Scenario | None], slots: int) -> Floats:
    """(H, V) bytes, means of the episode."""
    rows = [
        np.zeros(slots) if host is None else host.working_set_bytes.mean(axis=0, dtype=np.float64)
        for host in hosts
    ]
    return np.stack(rows)


def _of_present(values: NDArray[Any], present: NDArray[np.bool_], empty: float) -> NDArray[Any]:
    """(n, ...) of the VMs that are there to (H, V, ...), ``empty`` elsewhere."""
    spread = np.full((*present.shape, *values.shape[1:]), empty, dtype=values.dtype)
    spread[present] = values
    return spread


__all__ = ["ClusterConfig", "ClusterFleetScenarios"]
