"""Clusters as Overdriver (VEE 2011) had them: VMs with fixed allotments, hosts with some excess.

Demand is that of gymbal/Overload-v0 with knots every 10 s and windows that are drawn evenly, so
that durations of overloads are what they are. An allotment is a guest's kernel and a quantile of
the working set that the trace has of the VM over days. A VM is overloaded while its working set
exceeds that. There are no cold pages: what a VM has it works on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.cluster_config import ClusterConfig
from gymbal_envs.scenarios.cluster_fleet import ClusterFleetScenarios
from gymbal_envs.scenarios.cluster_scenario import ClusterScenario
from gymbal_envs.scenarios.draws import in_slots
from gymbal_envs.scenarios.source import load_trace
from gymbal_envs.scenarios.split import SplitName, split_trace
from gymbal_envs.simulator.params import MIB, PhysicsParams
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.config import ClusterSettings, LocalBalancing, TaskConfig, default_task
from gymbal_runtime.agent import Agent
from gymbal_runtime.cluster.agent import ClusterAgent
from gymbal_runtime.cluster.orders import BORROW, RECALL, WAIT, Orders, legal
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.command import Command
from gymbal_runtime.heuristics import make_heuristic
from gymbal_runtime.heuristics.split import project_to_budget
from gymbal_runtime.tasks import OVERLOAD
from gymbal_runtime.telemetry import Bools, Floats, Telemetry

QUANTILE = 0.98
"""Of the days' working sets, that a VM is allotted. The one number of the generator that was
chosen for the bar: on the training part 0.95, 0.98 and 0.99 make 82, 89 and 92 % of overloads last
less than two minutes."""
SPARE = 1.1
"""A well-provisioned VM has its kernel and this multiple of the hour's largest working set."""
CALM_S = 120.0
"""s that a VM that was moved has to fit into its allotment again before it is given no more."""
KNOT_S = 10.0
LEAST_SCALE = 0.05
PRESSURE_HZ = (2_000.0, 10_000.0)
"""Touches/s that can miss: those of bar B7 (models.md 2.5)."""


def setting(pressure_hz: tuple[float, float] = PRESSURE_HZ, **changes: Any) -> ClusterConfig:
    """From what the clusters are drawn: hosts of 2011, each with a disk, and a fast network."""
    base = ClusterConfig()
    host = replace(base.host, footprint_frac=(0.0, 0.0), fault_pressure_hz=pressure_hz)
    chosen: dict[str, Any] = {
        "num_hosts": (4, 8), "vms_per_host": (8, 12), "slots": 20, "headroom": 1.0,
        "overload_frac": 0.0, "knot_s": KNOT_S, "tiers": ("hdd",), "nic_gbit_s": (10.0,),
        "far_tiers": ("tcp_10g",), "rules": ("qemu", "xen_modern"), "host": host,
    }  # fmt: skip
    return replace(base, **chosen | changes)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A cluster as it was drawn, and what its VMs are allotted.

    Attributes:
        cluster: its hosts have the memory and the floors of the draw, which nobody plays.
        allotted: (H, V) bytes, 0 where there is no VM.
        ample: (H, V) bytes with which a VM never swaps.
        over: (K, H, V) its working set does not fit into what it is allotted.
    """

    cluster: ClusterScenario
    allotted: Floats
    ample: Floats
    over: Bools


class Clusters:
    """Cluster by number.

    Args:
        config: from what they are drawn.
        split: which VMs and which part of the time.
        quantile: of the days' working sets, that a VM is allotted.
    """

    def __init__(
        self, config: ClusterConfig, split: SplitName = "test", quantile: float = QUANTILE
    ) -> None:
        self.config, self.quantile = config, quantile
        self._trace = load_trace("synthetic")
        self._source = ClusterFleetScenarios(self._trace, config, split)
        window = round(config.episode_s / self._trace.step_s) + 1
        self._part = split_trace(self._trace, split, window)

    def __call__(self, index: int) -> Drawn:
        """Draw cluster ``index``."""
        cluster, packed = self._source(index), self._source.packed(index)
        days = slice(self._part.first, self._part.last)
        allotted, ample, over = [], [], []
        for host in cluster.hosts:
            size, most = np.zeros(self.config.slots), np.zeros(self.config.slots)
            demand = np.zeros((self.config.num_knots, self.config.slots))
            if host is not None:
                rows = packed.rows[packed.host == int(host.name.rsplit("/", 1)[1])]
                level = np.quantile(self._trace.active_frac[rows, days], self.quantile, axis=1)
                level = np.maximum(level * self._trace.memory_bytes[rows], 4 * MIB)
                size = in_slots(level, np.flatnonzero(host.present), self.config.slots)
                demand = host.working_set_bytes.astype(np.float64)
                most = np.maximum(SPARE * demand.max(axis=0), size) + host.kernel_bytes
            over.append(demand > size)
            allotted.append(size + (0.0 if host is None else host.kernel_bytes))
            ample.append(most)
        return Drawn(cluster, np.stack(allotted), np.stack(ample), np.stack(over, axis=1))


def with_allotments(drawn: Drawn, excess: float, memory: float = 0.0) -> ClusterScenario:
    """The cluster with fixed allotments: a VM's floor is what it is allotted.

    Args:
        drawn: the cluster.
        excess: 1, memory of a host beyond its VMs' allotments, in units of these.
        memory: 1, memory of a host in units of the quantile's allotments; they are scaled such that
            ``excess`` of it is left. 0: they are as drawn and the hosts have what is needed.
    """
    kernel = _column(drawn, "kernel_bytes")
    beside = drawn.allotted - kernel  # a kernel is no smaller on a smaller allotment
    total, fixed = drawn.allotted.sum(axis=1), kernel.sum(axis=1)
    scale = np.ones_like(total)
    if memory:
        left = memory / (1.0 + excess) * total - fixed
        scale = np.maximum(left / np.maximum(total - fixed, 1.0), LEAST_SCALE)
    low = kernel + scale[:, None] * beside
    capacity = np.maximum((1.0 + excess) * low.sum(axis=1), memory * total)
    return _with_memory(drawn, capacity, low, np.maximum(drawn.ample, low), low)


def with_floors(drawn: Drawn, memory: float) -> ClusterScenario:
    """The cluster with the floors of Overload-v0, for local balancing.

    Args:
        drawn: the cluster.
        memory: 1, memory of a host in units of its VMs' allotments.
    """
    low = np.minimum(_column(drawn, "memory_min_bytes"), drawn.allotted)
    capacity = memory * drawn.allotted.sum(axis=1)
    return _with_memory(drawn, capacity, low, drawn.ample, drawn.allotted)


def well_provisioned(drawn: Drawn) -> ClusterScenario:
    """The same demand, and every VM has all that it will ever want."""
    capacity = 1.01 * drawn.ample.sum(axis=1)
    return _with_memory(drawn, capacity, drawn.ample, drawn.ample, drawn.ample)


def _with_memory(
    drawn: Drawn, capacity: Floats, low: Floats, high: Floats, held: Floats
) -> ClusterScenario:
    """The cluster with other memory: (H,) of hosts, (H, V) floors, ceilings and what is held."""
    hosts = tuple(
        None
        if host is None
        else replace(
            host,
            capacity_bytes=float(capacity[h]),
            memory_min_bytes=low[h],
            memory_max_bytes=high[h],
            initial_bytes=held[h] * min(1.0, float(capacity[h] / held[h].sum())),
        )
        for h, host in enumerate(drawn.cluster.hosts)
    )
    return replace(drawn.cluster, hosts=hosts)


def _column(drawn: Drawn, name: str) -> Floats:
    """(H, V) of the hosts, 0 where there is none."""
    empty = np.zeros(drawn.allotted.shape[1])
    return np.stack([empty if h is None else getattr(h, name) for h in drawn.cluster.hosts])


class Allotments:
    """Every VM has its floor; one that was moved to a host gets what the others leave, at first.

    Until it has fitted into its allotment for `CALM_S` again: then it has that and no more.
    """

    name = "allotments"

    def __init__(self, calm_s: float = CALM_S) -> None:
        self.calm_s = calm_s
        self.reset(0, 0)

    def reset(self, num_hosts: int, num_vms: int, hosts: NDArray[np.bool_] | None = None) -> None:
        """Forget the marked hosts."""
        if hosts is None:
            self._seen = np.full((num_hosts, num_vms), 2, dtype=np.int8)  # 2: not looked yet
            self._until = np.full((num_hosts, num_vms), -np.inf)
        else:
            self._seen[hosts] = 2
            self._until[hosts] = -np.inf

    def act(self, telemetry: Telemetry) -> Command:
        """Floors, and room for those that came."""
        present, low = telemetry.present, telemetry.memory_min_bytes
        now = telemetry.time_s[:, None]
        came = present & (self._seen == 0)
        self._seen = present.astype(np.int8)
        used = telemetry.actual_bytes - np.nan_to_num(telemetry.usable_bytes)
        with np.errstate(invalid="ignore"):
            more = came | (present & (now < self._until) & (used > low))
        self._until = np.where(more, now + self.calm_s, self._until)
        self._until[~present] = -np.inf
        wide = present & (now < self._until)
        wanted = np.where(wide, telemetry.memory_max_bytes, low)
        high = np.maximum(wanted, low)
        split = project_to_budget(wanted, low, high, telemetry.budget_bytes, present)
        return Command(np.where(present, split, np.nan))


@dataclass(frozen=True)
class FixedAllotments(LocalBalancing):
    """Allotments in the place of local balancing.

    Attributes:
        calm_s: see `Allotments`.
    """

    kept_frac: float = 0.0
    calm_s: float = CALM_S

    def agent(self) -> Agent:
        """The agent, fresh."""
        return Allotments(self.calm_s)


@dataclass(eq=False)
class Ordered:
    """A rule that counts on fixed memory, over allotments instead of the engine's even division.

    Attributes:
        rule: the rule.
        pool_frac: 1, part of every host that is set aside to be lent, in place of what the rule
            says; NaN: what the rule says.
        standing: far memory is the VMs' swap device from the start, as Overdriver's cooperative
            swap was, and not only once a VM suffers.
    """

    rule: ClusterAgent
    pool_frac: float = np.nan
    standing: bool = False
    name: str = field(default="ordered")

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """Forget the marked clusters."""
        self.rule.reset(num_worlds, num_vms, worlds)

    def act(self, telemetry: ClusterTelemetry) -> Orders:
        """What the rule says; hosts are divided by the agent beneath."""
        told = self.rule.act(telemetry)
        pool = told.pool_bytes
        if not np.isnan(self.pool_frac):
            pool = self.pool_frac * telemetry.capacity_bytes
        verb = told.verb
        if self.standing:
            idle = (verb == WAIT) | (verb == RECALL)
            verb = np.where(idle, np.where(legal(telemetry).borrow, BORROW, WAIT), verb)
            verb = verb.astype(told.verb.dtype)
        balance = np.ones_like(told.balance)
        return replace(told, verb=verb, balance=balance, pool_bytes=pool)


def ordered(
    name: str, pool_frac: float = np.nan, standing: bool = False, **options: Any
) -> Ordered:
    """A rule by name, over allotments."""
    rule: Any = make_heuristic(name, balance=False, **options)
    return Ordered(rule, pool_frac, standing)


def task_of(local: LocalBalancing) -> TaskConfig:
    """Overload-v0 with this agent beneath, and the clusters' knots."""
    physics = PhysicsParams(knot_s=KNOT_S)
    return replace(default_task(OVERLOAD), physics=physics, cluster=ClusterSettings(local=local))


def shape_of_setting(config: ClusterConfig) -> WorldShape:
    """Of the worlds that the clusters are played in."""
    steps = round(config.episode_s / PhysicsParams().clock.control_interval_s)
    return WorldShape(config.slots, config.num_knots, steps, config.max_hosts)
