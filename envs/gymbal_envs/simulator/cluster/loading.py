"""From a scenario of a cluster to the engine's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gymbal_envs.scenarios.cluster_power import PowerScenario
from gymbal_envs.scenarios.cluster_scenario import ClusterScenario
from gymbal_envs.scenarios.scenario import Scenario, ScenarioError
from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster import migration_layout as move_at
from gymbal_envs.simulator.host_power import SLEEP_W, STATE, SUSPEND_S, WAKE_S, WAKE_W
from gymbal_runtime.centre.telemetry import ON

if TYPE_CHECKING:
    from gymbal_envs.simulator.cluster.engine import ClusterEngine

NOMINAL_BYTES = 1.0
"""Memory of a host that does not exist, so that agents for hosts divide by something."""


def load_cluster(engine: ClusterEngine, c: int, scenario: ClusterScenario) -> None:
    """Start cluster ``c`` on a scenario: hosts first, then what is between them.

    Raises:
        ScenarioError: if the scenario has more hosts, slots or knots than the engine, or hosts that
            cannot form a cluster.
    """
    check_fits(engine, scenario)
    rows = engine.rows(c)
    _clear(engine, c)
    placed = dict(zip(rows, scenario.places, strict=False))
    places = [n for n, place in placed.items() if place is not None]
    engine.hosts.load(places, [place for place in placed.values() if place is not None])
    for h, n in enumerate(rows):
        host = scenario.hosts[h] if h < scenario.num_hosts else None
        _write_member(engine, scenario, h, n, host)
        if host is not None:
            _write_guests(engine, scenario, h, n)
        elif placed.get(n) is not None:
            _write_guests(engine, scenario, h, n)
            _write_lobby(engine, scenario, h, n)
    if scenario.power is not None:
        _write_power(engine, scenario.power, rows)
    _write_cluster(engine, c, scenario)


def check_fits(engine: ClusterEngine, scenario: ClusterScenario) -> None:
    """Refuse what the engine cannot simulate.

    Raises:
        ScenarioError: says which and why.
    """
    if scenario.num_hosts > engine.num_hosts or scenario.slots > engine.num_vms:
        raise ScenarioError(
            f"{scenario.name}: {scenario.num_hosts} hosts of {scenario.slots} slots do not fit an "
            f"engine of {engine.num_hosts} hosts of {engine.num_vms} slots"
        )
    hosts = [place for place in scenario.places if place is not None]
    if len({host.resources is None for host in hosts}) > 1:
        raise ScenarioError(f"{scenario.name}: give every host resources, or none of them")
    for host in hosts:
        if host.tier.pool_frac > 0.0:
            raise ScenarioError(
                f"{scenario.name}: hosts that compress pages in memory ({host.tier.name}) are not "
                f"simulated in clusters; choose another tier"
            )


def _clear(engine: ClusterEngine, c: int) -> None:
    """Nothing of an earlier episode is left in a cluster's rows."""
    rows, hosts = engine.span(c), engine.hosts
    for table in (
        hosts.world_vm, hosts.world_host, hosts.curve, hosts.programs, hosts.active, hosts.demand,
        hosts.vm, hosts.host, hosts.outcome, hosts.streams, engine.member, engine.guest,
        engine.slot, engine.power, engine.power_fixed, engine.power_outcome, engine.watts,
    ):  # fmt: skip
        table[rows] = 0
    for table in (hosts.told, hosts.pending, hosts.visible):
        table[rows] = np.nan
    for table in (engine.cluster, engine.pages, engine.link):
        table[c] = 0.0
    for row in _NOBODY:
        engine.guest[rows, row] = at.NOBODY
    engine.guest[rows, at.STOPS_AT] = np.inf


_NOBODY = (at.IDENTITY, at.BEHIND_HOST, at.TWIN_HOST, at.TWIN_SLOT, at.MOVE_TARGET, at.DONOR)


def _write_member(
    engine: ClusterEngine, scenario: ClusterScenario, h: int, n: int, host: Scenario | None
) -> None:
    """What the cluster knows of one host; a place without one has nothing to give."""
    member = engine.member[n]
    member[at.POOL_TOLD] = member[at.FAR_WAIT] = np.nan
    if host is None:
        member[at.CUT_FROM] = member[at.CUT_UNTIL] = member[at.FAILS_AT] = np.inf
        engine.hosts.world_host[n, host_at.CAPACITY] = NOMINAL_BYTES
        return
    member[at.EXISTS] = member[at.SERVES] = member[at.RUNS] = 1.0
    member[at.PHYSICAL] = host.capacity_bytes
    member[at.NIC] = scenario.nic_bytes_s[h]
    member[at.SITE] = scenario.site[h]
    member[at.CUT_FROM], member[at.CUT_UNTIL] = scenario.link_cut[h]
    member[at.FAILS_AT] = scenario.memory_service_fails_s[h]
    member[at.DEVICE_WRITE] = host.tier.write_bytes_s
    member[at.CORES] = host.cpu_cores


def _write_lobby(engine: ClusterEngine, scenario: ClusterScenario, h: int, n: int) -> None:
    """VMs that come during the episode; until then nobody runs them, and they weigh nothing."""
    member, guest, hosts = engine.member[n], engine.guest[n], engine.hosts
    member[at.LOBBY] = 1.0
    guest[at.ARRIVES_AT, : scenario.slots] = scenario.vm_arrives_s[h]
    guest[at.DUE_SHARES] = hosts.world_vm[n, host_at.SHARES]
    hosts.world_vm[n, host_at.SHARES] = hosts.world_vm[n, host_at.PRESENT] = 0.0
    hosts.world_host[n, host_at.CAPACITY] = NOMINAL_BYTES
    hosts.outcome[n] = 0.0


def _write_power(engine: ClusterEngine, power: PowerScenario, rows: range) -> None:
    """What hosts draw, and how they sleep."""
    mine = slice(rows.start, rows.start + power.num_hosts)
    engine.watts[mine] = power.power_w
    fixed = engine.power_fixed[mine]
    for row, values in (
        (SLEEP_W, power.sleep_w), (SUSPEND_S, power.suspend_s), (WAKE_S, power.wake_s),
        (WAKE_W, power.wake_w),
    ):  # fmt: skip
        fixed[:, row] = values
    engine.power[mine, STATE] = ON


def _write_guests(engine: ClusterEngine, scenario: ClusterScenario, h: int, n: int) -> None:
    """The VMs of one host, as the cluster sees them."""
    slots = scenario.slots
    place = scenario.places[h]
    assert place is not None
    present, guest = place.present, engine.guest[n, :, :slots]
    guest[at.IDENTITY] = np.where(present, h * engine.num_vms + np.arange(slots), at.NOBODY)
    guest[at.CLONABLE] = scenario.clonable[h]
    guest[at.STOPS_AT] = np.where(present, scenario.vm_stops_s[h], np.inf)
    form = np.zeros((slots, move_at.NUM_GROUPS, move_at.NUM_DIRTY))
    form[..., move_at.SIZE] = scenario.dirty_set_frac[h]
    form[..., move_at.TAU] = scenario.dirty_tau_s[h]
    form[..., move_at.KIND] = scenario.dirty_kind[h]
    engine.slot[n, :slots, at.DIRTY_FORM : at.FAR_AT] = form.reshape(slots, -1)


def _write_cluster(engine: ClusterEngine, c: int, scenario: ClusterScenario) -> None:
    """The network, the tier of far memory, the rule of moves, what clones cost."""
    row, params = engine.cluster[c], engine.params
    row[at.FAR_LATENCY] = scenario.far.latency_s
    row[at.FAR_REQUEST] = scenario.far.request_bytes
    row[at.FAR_USEFUL] = scenario.far.useful_pages
    row[at.WAN_BYTES_S] = scenario.wan_bytes_s
    row[at.WAN_LATENCY] = scenario.wan_latency_s
    row[at.CLONE_FORK] = scenario.clone.fork_s
    row[at.CLONE_PAGE_IN] = scenario.clone.page_in_frac
    row[at.CLONE_FIXED] = scenario.clone.fixed_bytes
    row[at.CLONE_TAX] = scenario.clone.tax
    row[at.K_SLAB : at.K_SLAB + at.NUM_RULES] = engine.cluster_params.constants()
    row[at.POWERED] = scenario.power is not None
    row[at.QUEUES] = any(lobby is not None for lobby in scenario.lobbies)
    row[at.K_TICK] = params.clock.tick_s
    row[at.K_RESTART] = params.memory.restart_s
    row[at.K_SWITCH] = params.devices.switch_s
    row[at.K_PAGE] = params.memory.page_bytes
    row[: move_at.NUM_PLAN] = scenario.migration.plan()
