"""Draws clusters: hosts packed from a trace, so that single hosts overload while all have room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.trace import Trace
from gymbal_envs.scenarios.cluster_between import draw_between, one_of
from gymbal_envs.scenarios.cluster_config import ClusterConfig
from gymbal_envs.scenarios.cluster_day import Lobby, daily_course, draw_lobby, in_course
from gymbal_envs.scenarios.cluster_packing import (
    alike,
    deal,
    pack,
    per_host,
    window_start,
)
from gymbal_envs.scenarios.cluster_scenario import ClusterScenario
from gymbal_envs.scenarios.draws import Floats, random_stream
from gymbal_envs.scenarios.host_draw import HostDraw, kernel_bytes
from gymbal_envs.scenarios.machine import MachineDraw
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.scenarios.split import SplitName
from gymbal_envs.simulator.params import TIERS, Tier

Ints = NDArray[np.int64]

_DAY_PART = 1 << 20
"""Number of the random stream of what changes during the day; hosts have those below."""


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
        # Of its own, so that clusters without a day are drawn the same as those with one.
        day_rng = random_stream(self.seed, self.split, index, _DAY_PART)
        course = daily_course(day_rng, cfg.swing, cfg.num_knots, cfg.knot_s)
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
            drawn = self._draw_host(memory_rng, rest_rng, *which, capacity, tier)
            hosts.append(in_course(drawn, course) if cfg.swing[1] > 0.0 else drawn)
        lobby = self._lobby(day_rng, f"{name}/lobby", packed.rows, course, tier)
        beside = 0.0 if lobby is None else lobby.wanted_bytes
        places = rng.permutation(cfg.max_hosts)[: len(hosts)]
        placed: list[Scenario | None] = [None] * cfg.num_places
        for place, drawn in zip(places, with_headroom(hosts, cfg.headroom, beside), strict=True):
            placed[place] = started_full(drawn)
        return draw_between(cfg, rng, day_rng, name, tuple(placed), lobby)

    def _lobby(
        self, rng: np.random.Generator, name: str, rows: Ints, course: Floats, tier: Tier
    ) -> Lobby | None:
        """Who comes during the episode."""
        cfg, draw = self.config, self._draw_host
        if cfg.arrivals is None:
            return None

        def draw_vms(chosen: Ints, samples: Ints) -> Scenario:
            return in_course(draw(rng, rng, name, chosen, samples, 1.0, tier), course)

        samples = (draw.first, draw.last, draw.window)
        return draw_lobby(rng, cfg.arrivals, rows, samples, cfg.slots, draw_vms)

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


def with_headroom(
    hosts: Sequence[Scenario], headroom: float, beside: Floats | float = 0.0
) -> list[Scenario]:
    """Hosts with more memory, if need be, so that all working sets fit into a part of it.

    ``beside`` (K,) bytes are the working sets of VMs that have no host yet.
    """
    own = np.sum([host.working_set_bytes.sum(axis=1) for host in hosts], axis=0)
    peak = (own + beside).max()
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


__all__ = ["ClusterConfig", "ClusterFleetScenarios"]
