"""Several hosts with a network between them: what an episode of a cluster needs."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.cluster_power import PowerScenario
from gymbal_envs.scenarios.scenario import Scenario, ScenarioError
from gymbal_envs.simulator.cluster.migration_layout import NUM_GROUPS, RANDOM, SWEEP
from gymbal_envs.simulator.cluster.migration_rules import MigrationRule

Floats = NDArray[np.float64]

GIGABIT = 1e9 / 8
"""Bytes per second."""


@dataclass(frozen=True)
class FarTier:
    """How another host's memory is reached.

    Attributes:
        name: of the preset.
        latency_s: one request on an idle network, from the fault to the page.
        request_bytes: what one fault brings, with read-ahead.
        useful_pages: pages of those that spare a later fault.
    """

    name: str
    latency_s: float
    request_bytes: float = 4096.0
    useful_pages: float = 1.0

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        for name in ("latency_s", "request_bytes", "useful_pages"):
            value = getattr(self, name)
            if not 0 < value < np.inf:
                raise ScenarioError(f"far tier {self.name}: {name} ({value}) must be above 0")


FAR_TIERS: dict[str, FarTier] = {
    tier.name: tier
    for tier in (
        FarTier("tcp_1g", 200e-6, request_bytes=8 * 4096.0, useful_pages=4.0),
        FarTier("tcp_10g", 60e-6, request_bytes=8 * 4096.0, useful_pages=4.0),
        FarTier("rdma", 6e-6),
        FarTier("cxl", 1.5e-6),
    )
}
"""Latencies: models.md 1.4, as the swap tiers of the same names. Bandwidth is the network's.

Over TCP Linux' swap read-ahead brings eight pages, half of them useful (assumption, as for the
block devices); RDMA and CXL bring single pages.
"""


@dataclass(frozen=True)
class CloneParams:
    """What it takes to make two VMs of one (models.md 7.5, after SnowFlock and Potemkin).

    Attributes:
        fork_s: the VM pauses while it forks.
        page_in_frac: part of the working set that a clone fetches soon, 0.1 to 0.4.
        fixed_bytes: kernel and base that both have, 100 to 200 MB.
        tax: part of the work that coordination takes, 2 to 5 %.
    """

    fork_s: float = 0.8
    page_in_frac: float = 0.25
    fixed_bytes: float = 150e6
    tax: float = 0.03

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        for name in ("fork_s", "fixed_bytes"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ScenarioError(f"clone.{name} ({getattr(self, name)}) must not be negative")
        for name in ("page_in_frac", "tax"):
            if not 0 <= getattr(self, name) < 1:
                raise ScenarioError(f"clone.{name} ({getattr(self, name)}) must lie in [0, 1)")


@dataclass(frozen=True, eq=False)
class ClusterScenario:
    """H hosts of V slots each over K demand knots, the network between them and what breaks.

    Attributes:
        name: of the scenario.
        hosts: H of them; None where a smaller cluster has none.
        nic_bytes_s: (H,) each way.
        site: (H,) number of the site that a host stands at.
        wan_bytes_s: between any two sites, each way.
        wan_latency_s: one way.
        far: how another host's memory is reached.
        migration: the rule by which VMs move.
        dirty_set_frac: (H, V, 3) sizes of a VM's dirty groups as parts of its working set.
        dirty_tau_s: (H, V, 3) their time constants; inf is never dirtied.
        dirty_kind: (H, V, 3) `RANDOM` or `SWEEP` (one pass after another).
        clonable: (H, V) two of this VM could share its work.
        link_cut: (H, 2) from when until when a host is off the network; inf: never.
        memory_service_fails_s: (H,) when a host loses what it has lent; inf: never.
        vm_stops_s: (H, V) when a VM ends; inf: never.
        clone: what a clone costs.
        power: what hosts draw and how they sleep; None: they are always on, and nobody asks.
        lobbies: H, VMs that come during the episode, as a host that they would run on; None where
            there are none, as there must be where a host is. () is none at all.
        vm_arrives_s: (H, V) when the VM of a lobby asks for a host.

    Raises:
        ScenarioError: if a field has the wrong shape or an impossible value.
    """

    name: str
    hosts: tuple[Scenario | None, ...]
    nic_bytes_s: Floats
    site: NDArray[np.int64]
    wan_bytes_s: float
    wan_latency_s: float
    far: FarTier
    migration: MigrationRule
    dirty_set_frac: Floats
    dirty_tau_s: Floats
    dirty_kind: NDArray[np.int64]
    clonable: NDArray[np.bool_]
    link_cut: Floats
    memory_service_fails_s: Floats
    vm_stops_s: Floats
    clone: CloneParams = field(default_factory=CloneParams)
    power: PowerScenario | None = None
    lobbies: tuple[Scenario | None, ...] = ()
    vm_arrives_s: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def __post_init__(self) -> None:
        """Check hosts, shapes and values, in this order."""
        self._check_hosts()
        self._check_lobbies()
        self._check_shapes()
        self._check_values()

    @property
    def num_hosts(self) -> int:
        """Places for hosts, H."""
        return len(self.hosts)

    @property
    def slots(self) -> int:
        """VM slots of a host, V."""
        return self.first_host.num_vms

    @property
    def num_knots(self) -> int:
        """Demand knots, K."""
        return self.first_host.num_knots

    @property
    def knot_s(self) -> float:
        """Seconds between demand knots."""
        return self.first_host.knot_s

    @property
    def first_host(self) -> Scenario:
        """Any host that exists; slots and knots are the same for all."""
        return next(host for host in self.hosts if host is not None)

    @property
    def exists(self) -> NDArray[np.bool_]:
        """(H,) whether there is a host."""
        return np.array([host is not None for host in self.hosts])

    @property
    def present(self) -> NDArray[np.bool_]:
        """(H, V) whether a slot of a host holds a VM at the start."""
        empty = np.zeros(self.slots, dtype=np.bool_)
        return np.stack([empty if host is None else host.present for host in self.hosts])

    @property
    def places(self) -> tuple[Scenario | None, ...]:
        """H: the host, or else the VMs that come and wait there, or else nothing."""
        lobbies = self.lobbies or (None,) * self.num_hosts
        return tuple(
            lobby if host is None else host for host, lobby in zip(self.hosts, lobbies, strict=True)
        )

    def _check_lobbies(self) -> None:
        if not self.lobbies:
            return
        if len(self.lobbies) != self.num_hosts:
            raise ScenarioError(
                f"{self.name}: lobbies has {len(self.lobbies)} places, hosts {self.num_hosts}: "
                "give one for each, None where nobody comes"
            )
        for h, (host, lobby) in enumerate(zip(self.hosts, self.lobbies, strict=True)):
            if host is not None and lobby is not None:
                raise ScenarioError(f"{self.name}: place {h} has a host; lobbies go where none is")

    def _check_hosts(self) -> None:
        there = [place for place in (*self.hosts, *self.lobbies) if place is not None]
        if not self.exists.any():
            raise ScenarioError(f"{self.name}: hosts has no host; give at least one Scenario")
        for name in ("num_vms", "num_knots", "knot_s"):
            values = sorted({getattr(host, name) for host in there})
            if len(values) > 1:
                raise ScenarioError(
                    f"{self.name}: hosts have {name} {values}; draw them all with the same"
                )

    def _check_shapes(self) -> None:
        h, v = self.num_hosts, self.slots
        if self.power is not None and self.power.num_hosts != h:
            raise ScenarioError(f"{self.name}: power is of {self.power.num_hosts} hosts, not {h}")
        groups = (h, v, NUM_GROUPS)
        shapes: dict[str, tuple[int, ...]] = {
            "dirty_set_frac": groups,
            "dirty_tau_s": groups,
            "dirty_kind": groups,
            "clonable": (h, v),
            "vm_stops_s": (h, v),
            "vm_arrives_s": (h, v),
            "link_cut": (h, 2),
        }
        for each in fields(self):
            value: Any = getattr(self, each.name)
            if each.name == "vm_arrives_s" and not self.lobbies:
                continue
            if isinstance(value, np.ndarray):
                expected = shapes.get(each.name, (h,))
                if value.shape != expected:
                    raise ScenarioError(
                        f"{self.name}: {each.name} has shape {value.shape}; {h} hosts of {v} "
                        f"slots need {expected}"
                    )

    def _check_values(self) -> None:
        sites = np.unique(self.site[self.exists])
        wan = sites.size == 1 or self.wan_bytes_s > 0
        kinds = np.isin(self.dirty_kind, (RANDOM, SWEEP))
        covered = self.dirty_set_frac.sum(axis=-1)
        cut = self.link_cut
        rules: tuple[tuple[str, Any, str], ...] = (
            ("nic_bytes_s", self.nic_bytes_s[self.exists] > 0, "must be above 0"),
            ("site", self.site >= 0, "must be a number from 0"),
            ("wan_bytes_s", wan, "must be above 0 where there are several sites"),
            ("wan_latency_s", self.wan_latency_s >= 0, "must not be negative"),
            ("dirty_set_frac", self.dirty_set_frac >= 0, "must not be negative"),
            ("dirty_set_frac", covered <= 1 + 1e-9, "of a VM must sum to at most 1: scale it"),
            ("dirty_tau_s", self.dirty_tau_s > 0, "must be above 0; say inf for never"),
            ("dirty_kind", kinds, f"must be {RANDOM} (random) or {SWEEP} (sweep)"),
            ("clonable", ~self.clonable | self.present, "must be False where no VM is"),
            ("link_cut", cut[:, 0] >= 0, "must begin at 0 s or later; say inf for never"),
            ("link_cut", cut[:, 0] <= cut[:, 1], "must end after it begins: swap the two"),
            ("memory_service_fails_s", self.memory_service_fails_s >= 0, "must be 0 s or later"),
            ("vm_arrives_s", self.vm_arrives_s >= 0, "must be 0 s or later; say inf for never"),
            ("vm_stops_s", self.vm_stops_s >= 0, "must be 0 s or later; say inf for never"),
        )
        for name, holds, rule in rules:
            good = np.asarray(holds)
            if not good.all():
                value = np.asarray(getattr(self, name))
                raise ScenarioError(f"{self.name}: {name} {_first_bad(value, good)} {rule}")


def _first_bad(value: NDArray[Any], good: NDArray[np.bool_]) -> str:
    """``(value at [place])`` of the first entry that breaks a rule."""
    if good.ndim == 0:
        return f"({value})"
    place = tuple(int(i) for i in np.argwhere(~good)[0])
    if value.shape[: len(place)] != good.shape:  # of existing hosts alone
        return f"({value})"
    return f"({value[place]} at {list(place)})"


def cluster_of(
    name: str,
    hosts: tuple[Scenario | None, ...],
    migration: MigrationRule,
    far: FarTier = FAR_TIERS["tcp_10g"],
    nic_bytes_s: float = 10 * GIGABIT,
    **other: Any,
) -> ClusterScenario:
    """A cluster at one site where nothing breaks, nobody writes and nobody can be cloned.

    Args:
        name: of the scenario.
        hosts: None for absent ones; at least one is there.
        migration: the rule by which VMs move.
        far: how another host's memory is reached.
        nic_bytes_s: of every host.
        other: any field of `ClusterScenario`, in place of the above.

    Raises:
        ScenarioError: as `ClusterScenario`.
    """
    h = len(hosts)
    v = next((host.num_vms for host in hosts if host is not None), 0)
    groups = (h, v, NUM_GROUPS)
    columns: dict[str, Any] = {
        "nic_bytes_s": np.full(h, nic_bytes_s),
        "site": np.zeros(h, dtype=np.int64),
        "wan_bytes_s": 10 * GIGABIT,
        "wan_latency_s": 0.0,
        "dirty_set_frac": np.zeros(groups),
        "dirty_tau_s": np.full(groups, np.inf),
        "dirty_kind": np.full(groups, RANDOM),
        "clonable": np.zeros((h, v), dtype=np.bool_),
        "link_cut": np.full((h, 2), np.inf),
        "memory_service_fails_s": np.full(h, np.inf),
        "vm_stops_s": np.full((h, v), np.inf),
    }
    return ClusterScenario(name=name, hosts=hosts, migration=migration, far=far, **columns | other)
