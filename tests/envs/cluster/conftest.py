"""Clusters for the tests: plain ones to reason about, and wilder ones than any that are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gymbal_envs.scenarios.cluster_power import PowerScenario
from gymbal_envs.scenarios.cluster_scenario import (
    FAR_TIERS,
    ClusterScenario,
    cluster_of,
)
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster import migration_layout as move_at
from gymbal_envs.simulator.cluster.engine import ClusterEngine
from gymbal_envs.simulator.cluster.migration_rules import RULES, MigrationRule
from gymbal_envs.simulator.params import GIB, TIERS
from gymbal_runtime.centre.rules.power import NUM_LEVELS
from gymbal_runtime.cluster.orders import CLONE, MIGRATE, Orders, legal
from gymbal_runtime.command import Command

SLOTS = 4
DISKS = ("hdd", "sata_ssd", "nvme")
ROUNDING = 1.0  # bytes, of hosts with up to 1e11


@pytest.fixture(scope="session")
def plain_host(plain_scenario) -> Callable[..., Scenario]:
    """A host of 4 slots and 8 GiB whose first VMs hold 2 GiB each; see ``plain_scenario``."""

    def make(num_vms: int = 1, slots: int = SLOTS, **changes: Any) -> Scenario:
        columns = {"capacity_bytes": 8.0 * GIB, "cpu_cores": 16.0}
        present = np.arange(slots) < num_vms
        return plain_scenario(slots, present=present, **(columns | changes))

    return make


@pytest.fixture(scope="session")
def starved(plain_host) -> Callable[..., Scenario]:
    """A host whose only VM wants 3 GiB, has 1.5 GiB, and is not given more."""

    def make(**changes: Any) -> Scenario:
        sizes = {"working_set_bytes": 3.0 * GIB, "footprint_bytes": 3.5 * GIB}
        return plain_host(1, initial_bytes=1.5 * GIB, **(sizes | changes))

    return make


@pytest.fixture(scope="session")
def plain_cluster() -> Callable[..., ClusterScenario]:
    """These hosts, QEMU's pre-copy, TCP over 10 Gb/s; a rule by name, fields as they are."""

    def make(
        *hosts: Scenario | None, rule: str | MigrationRule = "qemu", **changes: Any
    ) -> ClusterScenario:
        migration = RULES[rule] if isinstance(rule, str) else rule
        return cluster_of("plain", hosts, migration, **changes)

    return make


@pytest.fixture(scope="session")
def random_cluster(random_scenario) -> Callable[..., ClusterScenario]:
    """Hosts whose VMs' demand jumps, on networks of all kinds; everything may break soon."""

    def make(seed: int, num_hosts: int = 3, slots: int = 5, **changes: Any) -> ClusterScenario:
        rng = np.random.default_rng(seed)
        exists = rng.random(num_hosts) < 0.9
        exists[:2] = True
        hosts = tuple(
            _random_host(random_scenario, rng, slots) if there else None for there in exists
        )
        shape = (num_hosts, slots)
        present = np.stack(
            [np.zeros(slots, dtype=bool) if host is None else host.present for host in hosts]
        )
        groups = (*shape, move_at.NUM_GROUPS)
        begins = _maybe(rng, num_hosts, 0.3)
        columns: dict[str, Any] = {
            "far": FAR_TIERS[sorted(FAR_TIERS)[rng.integers(len(FAR_TIERS))]],
            "nic_bytes_s": np.exp(rng.uniform(np.log(2e7), np.log(5e9), num_hosts)),
            "site": rng.integers(0, 2, num_hosts),
            "wan_bytes_s": float(np.exp(rng.uniform(np.log(1e7), np.log(1e9)))),
            "wan_latency_s": float(rng.uniform(0, 0.03)),
            "dirty_set_frac": rng.dirichlet(np.ones(4), shape)[..., :3],
            "dirty_tau_s": np.exp(rng.uniform(np.log(0.01), np.log(1e3), groups)),
            "dirty_kind": rng.integers(0, 2, groups),
            "clonable": present & (rng.random(shape) < 0.7),
            "link_cut": np.stack([begins, begins + rng.uniform(1, 20, num_hosts)], axis=1),
            "memory_service_fails_s": _maybe(rng, num_hosts, 0.2),
            "vm_stops_s": _maybe(rng, shape, 0.1),
        }
        rule = RULES[sorted(RULES)[rng.integers(len(RULES))]]
        rule = replace(rule, cancel_after_s=rng.choice([2.0, np.inf]))
        return cluster_of(f"random/{seed}", hosts, rule, **(columns | changes))

    return make


def _random_host(random_scenario: Any, rng: np.random.Generator, slots: int) -> Scenario:
    tier = TIERS[DISKS[rng.integers(len(DISKS))]]
    host = random_scenario(int(rng.integers(2**32)), slots, tier=tier)
    capacity = host.capacity_bytes * rng.uniform(1.0, 3.0)
    return random_scenario(int(host.name.split("/")[1]), slots, tier=tier, capacity_bytes=capacity)


@pytest.fixture(scope="session")
def with_power() -> Callable[..., ClusterScenario]:
    """A cluster whose hosts draw 100 to 200 W, 10 W asleep, and need 10 s each way, at 250 W."""

    def make(scenario: ClusterScenario, **changes: Any) -> ClusterScenario:
        h = scenario.num_hosts
        columns = {"sleep_w": 10.0, "suspend_s": 10.0, "wake_s": 10.0, "wake_w": 250.0}
        power = {name: np.full(h, changes.pop(name, value)) for name, value in columns.items()}
        watts = np.tile(np.linspace(100.0, 200.0, NUM_LEVELS), (h, 1))
        return replace(scenario, power=PowerScenario(power_w=watts, **power), **changes)

    return make


@pytest.fixture(scope="session")
def with_lobby() -> Callable[..., ClusterScenario]:
    """A cluster with one more place, where the VMs of a host come at the given times."""

    def make(scenario: ClusterScenario, vms: Scenario, arrives_s: Any) -> ClusterScenario:
        def more(values: np.ndarray, value: float) -> np.ndarray:
            row = np.full((1, *values.shape[1:]), value, dtype=values.dtype)
            return np.concatenate([values, row])

        h, v = scenario.num_hosts + 1, scenario.slots
        arrives = np.full((h, v), np.inf)
        arrives[-1] = np.where(vms.present, arrives_s, np.inf)
        return replace(
            scenario,
            hosts=(*scenario.hosts, None),
            lobbies=(None,) * scenario.num_hosts + (vms,),
            vm_arrives_s=arrives,
            nic_bytes_s=more(scenario.nic_bytes_s, 1e9),
            site=more(scenario.site, 0),
            dirty_set_frac=more(scenario.dirty_set_frac, 0.0),
            dirty_tau_s=more(scenario.dirty_tau_s, np.inf),
            dirty_kind=more(scenario.dirty_kind, 0),
            clonable=more(scenario.clonable, False),
            link_cut=more(scenario.link_cut, np.inf),
            memory_service_fails_s=more(scenario.memory_service_fails_s, np.inf),
            vm_stops_s=more(scenario.vm_stops_s, np.inf),
        )

    return make


def _maybe(rng: np.random.Generator, shape: Any, part: float) -> np.ndarray:
    return np.where(rng.random(shape) < part, rng.uniform(0, 60, shape), np.inf)


@pytest.fixture(scope="session")
def cluster_engine() -> Callable[..., ClusterEngine]:
    """An engine that plays the given clusters."""

    def make(scenarios: Sequence[ClusterScenario], **options: Any) -> ClusterEngine:
        engine = ClusterEngine(
            len(scenarios),
            options.pop("num_hosts", max(s.num_hosts for s in scenarios)),
            options.pop("num_vms", max(s.slots for s in scenarios)),
            max(s.num_knots for s in scenarios),
            **options,
        )
        engine.load(range(len(scenarios)), scenarios)
        return engine

    return make


@pytest.fixture(scope="session")
def tell() -> Callable[..., None]:
    """Give orders ``(host, slot, verb, target)`` to every cluster and advance."""

    def step(
        engine: ClusterEngine,
        *told: tuple[int, int, int] | tuple[int, int, int, int],
        ticks: int = 1,
        local: Command | None = None,
        pool: float = np.nan,
        power: dict[int, int] | None = None,
        goes_on: bool = False,
    ) -> None:
        orders = Orders.none(engine.num_clusters, engine.num_hosts, engine.num_vms)
        orders.pool_bytes[:] = pool
        if power is not None:
            verbs = np.zeros((engine.num_clusters, engine.num_hosts), dtype=np.int8)
            for h, verb in power.items():
                verbs[:, h] = verb
            orders = replace(orders, power=verbs)
        for h, v, verb, *target in told:
            orders.verb[:, h, v] = verb
            orders.target[:, h, v] = target[0] if target else -1
        rows = engine.num_clusters * engine.num_hosts
        engine.step(orders, local or Command.no_change(rows, engine.num_vms), ticks, goes_on)

    return step


@pytest.fixture(scope="session")
def random_orders() -> Callable[..., Orders]:
    """Few orders or many, half of them legal on their own, half anything."""

    def draw(engine: ClusterEngine, rng: np.random.Generator, busy: float = 0.2) -> Orders:
        telemetry = engine.telemetry()
        shape = telemetry.shape
        orders = Orders.none(*shape)
        orders.verb[:] = np.where(rng.random(shape) < busy, rng.integers(0, 8, shape), 0)
        directed = (orders.verb == MIGRATE) | (orders.verb == CLONE)
        orders.target[:] = np.where(directed, rng.integers(0, shape[1], shape), -1)
        allowed = legal(telemetry).of(orders)
        orders.verb[~allowed & (rng.random(shape) < 0.5)] = 0
        pools = rng.uniform(0, 0.3, shape[:2]) * telemetry.capacity_bytes
        orders.pool_bytes[:] = np.where(rng.random(shape[:2]) < 0.2, pools, np.nan)
        return orders

    return draw


@pytest.fixture(scope="session")
def check_books() -> Callable[[ClusterEngine], None]:
    """Assert what must hold after every tick, whatever was told and whatever broke."""

    def check(engine: ClusterEngine) -> None:
        _check_power(engine)
        _check_memory(engine)
        _check_far(engine)
        _check_moves(engine)
        _check_identities(engine)
        _check_pages(engine)

    return check


def _check_memory(engine: ClusterEngine) -> None:
    member, hosts = engine.member, engine.hosts
    present = hosts.world_vm[:, host_at.PRESENT] > 0
    assert np.isfinite(hosts.vm[np.broadcast_to(present[:, None], hosts.vm.shape)]).all()
    held = (hosts.vm[:, host_at.ACTUAL] * present).sum(axis=1)
    parts = member[:, (at.LENT, at.RESERVED, at.LEFT_HERE, at.POOL)]
    assert (parts >= 0).all()
    assert (held + parts.sum(axis=1) <= member[:, at.PHYSICAL] + ROUNDING).all()
    used = engine.link[:, at.LINK_USED]
    assert (used <= engine.link[:, at.LINK_CAPACITY] * (1 + 1e-9) + ROUNDING).all()
    assert (engine.pages >= 0).all()


def _check_power(engine: ClusterEngine) -> None:
    off = engine.member[:, at.RUNS] == 0.0
    assert (engine.hosts.world_vm[off][:, host_at.PRESENT] == 0).all()
    assert (engine.guest[off][:, at.ARRIVING] == 0).all()
    for row in (at.LENT, at.RESERVED, at.LEFT_HERE, at.ROOM, at.LENDABLE):
        assert (engine.member[off, row] <= ROUNDING).all()


def _check_far(engine: ClusterEngine) -> None:
    c, h = engine.num_clusters, engine.num_hosts
    far = engine.slot[:, :, at.FAR_AT :]
    assert (far >= 0).all()
    present = engine.hosts.world_vm[:, host_at.PRESENT] > 0
    assert (far[~present] == 0).all()
    lent = far.reshape(c, h, -1, h).sum(axis=(1, 2)).ravel()
    np.testing.assert_allclose(engine.member[:, at.LENT], lent, rtol=1e-12, atol=ROUNDING)
    np.testing.assert_allclose(engine.guest[:, at.FAR], far.sum(axis=2), rtol=1e-9, atol=ROUNDING)
    own = far.reshape(c, h, -1, h)[:, np.arange(h), :, np.arange(h)]
    assert (own == 0).all()
    away = engine.guest[:, at.FAR] + engine.guest[:, at.BEHIND]
    assert (away <= swapped(engine) + ROUNDING)[present].all()


def _check_moves(engine: ClusterEngine) -> None:
    guest, member, h = engine.guest, engine.member, engine.num_hosts
    reserved, left = np.zeros(len(member)), np.zeros(len(member))
    arriving = np.zeros_like(guest[:, at.ARRIVING])
    moving = engine.slot[:, :, move_at.PHASE] != move_at.IDLE
    for n, v in np.argwhere(moving):
        other = n // h * h + int(guest[n, at.MOVE_TARGET, v])
        if guest[n, at.SWITCHED_OVER, v]:
            left[other] += guest[n, at.MOVE_RESERVE, v]
        else:
            reserved[other] += guest[n, at.MOVE_RESERVE, v]
            arriving[other, int(guest[n, at.MOVE_SLOT, v])] += 1
            assert engine.hosts.vm[n, host_at.ACTUAL, v] <= guest[n, at.MOVE_RESERVE, v] + ROUNDING
    np.testing.assert_allclose(member[:, at.RESERVED], reserved, rtol=1e-9, atol=ROUNDING)
    np.testing.assert_allclose(member[:, at.LEFT_HERE], left, rtol=1e-9, atol=ROUNDING)
    np.testing.assert_array_equal(guest[:, at.ARRIVING], arriving)


def _check_identities(engine: ClusterEngine) -> None:
    c, h = engine.num_clusters, engine.num_hosts
    present = (engine.hosts.world_vm[:, host_at.PRESENT] > 0).reshape(c, -1)
    names = engine.guest[:, at.IDENTITY].reshape(c, -1)
    lobby = (engine.member[:, at.LOBBY] > 0).reshape(c, h, 1)
    inside = np.broadcast_to(lobby, (c, h, engine.num_vms)).reshape(c, -1)
    assert ((names >= 0) == present)[~inside].all()
    assert not present[inside].any()
    assert not present.reshape(c * h, -1)[engine.member[:, at.EXISTS] == 0].any()
    for row in names:
        there = row[row >= 0]
        assert len(set(there)) == len(there)
        clones = there[there >= h * engine.num_vms]
        assert np.isin(clones - h * engine.num_vms, there).all()
    for n, v in np.argwhere(engine.guest[:, at.TWIN_HOST] >= 0):
        m = n // h * h + int(engine.guest[n, at.TWIN_HOST, v])
        u = int(engine.guest[n, at.TWIN_SLOT, v])
        back = (engine.guest[m, at.TWIN_HOST, u], engine.guest[m, at.TWIN_SLOT, u])
        assert back == (n % h, v)


def _check_pages(engine: ClusterEngine) -> None:
    vm = engine.hosts.vm
    hot, cold, unborn = vm[:, host_at.HOT], vm[:, host_at.COLD], vm[:, host_at.UNBORN]
    assert min(hot.min(), cold.min(), unborn.min()) >= -ROUNDING
    assert (hot <= vm[:, host_at.WORKING_SET] + ROUNDING).all()
    assert (hot + cold + unborn <= vm[:, host_at.FOOTPRINT] + ROUNDING).all()
    kernel = engine.hosts.world_vm[:, host_at.KERNEL]
    assert (kernel + hot + cold <= vm[:, host_at.ACTUAL] + ROUNDING).all()


def swapped(engine: ClusterEngine) -> np.ndarray:
    """(N, V) bytes of each VM that are not resident and were touched before."""
    vm = engine.hosts.vm
    resident = vm[:, host_at.HOT] + vm[:, host_at.COLD] + vm[:, host_at.UNBORN]
    return np.maximum(vm[:, host_at.FOOTPRINT] - resident, 0.0)
