"""Draws what is between the hosts of a cluster: network, moves, power, what breaks and who goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.cluster_config import ClusterConfig
from gymbal_envs.scenarios.cluster_day import Lobby, draw_stays
from gymbal_envs.scenarios.cluster_power import draw_power
from gymbal_envs.scenarios.cluster_scenario import (
    FAR_TIERS,
    GIGABIT,
    ClusterScenario,
    cluster_of,
)
from gymbal_envs.scenarios.cluster_writes import draw_writes
from gymbal_envs.scenarios.draws import Floats, log_uniform
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.simulator.cluster.migration_layout import RANDOM
from gymbal_envs.simulator.cluster.migration_rules import RULES

T = TypeVar("T")

SLOW_NIC_GBIT_S = 1.0


def draw_between(
    cfg: ClusterConfig,
    rng: np.random.Generator,
    day_rng: np.random.Generator,
    name: str,
    hosts: tuple[Scenario | None, ...],
    lobby: Lobby | None,
) -> ClusterScenario:
    """Draw what is between the hosts, what VMs write, what breaks, who goes, what it draws.

    A lobby has the last place.
    """
    h, v = len(hosts), cfg.slots
    nic = one_of(rng, cfg.nic_gbit_s)
    far = one_of(rng, _reachable(cfg.far_tiers, nic))
    rule = one_of(rng, cfg.rules)
    there = hosts if lobby is None else (*hosts[:-1], lobby.vms)
    present = np.stack([np.zeros(v, bool) if s is None else s.present for s in there])
    size, tau, kind = draw_writes(rng, cfg.writes, _mean_working_sets(there, v)[present])
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
        clonable=present & (rng.random((h, v)) < cfg.clonable_frac) & ~_is_lobby(h, lobby),
        link_cut=np.stack([begins, ends], axis=1),
        memory_service_fails_s=_sometimes(rng, cfg.memory_service_fail_prob, h, cfg.episode_s),
        vm_stops_s=_stops(cfg, rng, day_rng, (h, v), lobby),
        clone=cfg.clone,
        power=None if cfg.power is None else draw_power(day_rng, cfg.power, h),
        **({} if lobby is None else _waits(lobby, h)),
    )


def _stops(
    cfg: ClusterConfig,
    rng: np.random.Generator,
    day_rng: np.random.Generator,
    shape: tuple[int, int],
    lobby: Lobby | None,
) -> Floats:
    """When each VM ends, (H, V) s; inf: never."""
    stops = _sometimes(rng, cfg.vm_stop_prob, shape, cfg.episode_s)
    if lobby is None or cfg.arrivals is None:
        return stops
    stops = np.minimum(stops, draw_stays(day_rng, cfg.arrivals, shape))
    stops[-1] = lobby.stops_s
    return stops


def _is_lobby(num_places: int, lobby: Lobby | None) -> NDArray[np.bool_]:
    """(H, 1) True for the last place where it is a lobby."""
    last = np.arange(num_places)[:, None] == num_places - 1
    there: NDArray[np.bool_] = last & (lobby is not None)
    return there


def _waits(lobby: Lobby, num_places: int) -> dict[str, Any]:
    """Fields of a cluster about who comes."""
    arrives = np.full((num_places, lobby.vms.num_vms), np.inf)
    arrives[-1] = lobby.arrives_s
    return {"lobbies": (None,) * (num_places - 1) + (lobby.vms,), "vm_arrives_s": arrives}


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
