"""Hand-written data centres whose best plan can be worked out on paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.centre_programs import CentrePrograms, static_profile
from gymbal_envs.scenarios.centre_scenario import CentreScenario
from gymbal_envs.simulator.cluster.migration_layout import NUM_DIRTY, NUM_GROUPS, TAU
from gymbal_envs.simulator.cluster.migration_rules import RULES
from gymbal_envs.simulator.layout import NUM_LLC_SEGMENTS
from gymbal_envs.simulator.params import GIB, MIB
from gymbal_runtime.centre.telemetry import CURVE_POINTS, NOWHERE

IDLE_W, PEAK_W, SLEEP_W = 100.0, 200.0, 10.0
"""Of plain hosts; in between power rises in proportion to utilisation."""


def plain_centre(
    host_of: tuple[int, ...] = (0, 1),
    demand: float | NDArray[Any] = 0.2,
    num_hosts: int = 2,
    knots: int = 13,
    **changes: Any,
) -> CentreScenario:
    """Hosts of one core with 1000 MIPS, 4 GiB and 1 Gb/s; VMs of 1000 MIPS and 1 GiB.

    The VMs write nothing, so a move takes 8.6 s alone on its ports: less than a tick.

    Args:
        host_of: of each VM.
        demand: part of its MIPS that each VM wants; a number, (V,) or (K, V).
        num_hosts: H.
        knots: of demand, one every 300 s.
        changes: any field of `CentreScenario`; scalars count for each host or VM.
    """
    n = len(host_of)
    dirty = np.zeros((n, NUM_GROUPS, NUM_DIRTY))
    dirty[:, :, TAU] = np.inf
    columns: dict[str, Any] = {
        "name": "plain",
        "host_of": np.array(host_of, dtype=np.int64),
        "demand": np.broadcast_to(np.asarray(demand, dtype=np.float32), (knots, n)).copy(),
        "dirty": dirty,
        "power_w": np.tile(np.linspace(IDLE_W, PEAK_W, CURVE_POINTS), (num_hosts, 1)),
        "migration": RULES["qemu"],
        "knot_s": 300.0,
    }
    per_host = {
        "exists": True, "asleep": False, "cpu_mips": 1000.0, "core_mips": 1000.0,
        "memory_bytes": 4 * GIB, "nic_bytes_s": 125e6, "sleep_w": SLEEP_W, "suspend_s": 10.0,
        "wake_s": 200.0, "wake_w": 250.0,
    }  # fmt: skip
    per_vm = {
        "present": True, "vm_mips": 1000.0, "vcpus": 1.0, "vm_memory_bytes": GIB, "shares": 1.0,
        "arrive_s": 0.0, "leave_s": np.inf,
    }  # fmt: skip
    for defaults, size in ((per_host, num_hosts), (per_vm, n)):
        for name, value in defaults.items():
            given = np.asarray(changes.pop(name, value))
            kind = np.bool_ if isinstance(value, bool) else np.float64
            columns[name] = np.broadcast_to(given.astype(kind), size).copy()
    return CentreScenario(**(columns | changes))


@dataclass(frozen=True)
class TwoHalves:
    """Two equal hosts, each with a VM that wants a fifth of it for ever.

    Power is 100 W and 100 W more at full use, so VMs cost the same wherever they run; what can be
    spared is idling: 100 W against 10 W asleep. One host has memory and MIPS for both, for ever, so
    the optimum is to **move one VM at the first decision, to tell its host to sleep in the same
    breath, and to do nothing more**. Which VM does not matter: they are alike. The host is empty
    after one tick of 10 s and asleep after ten more seconds:

    * left alone, both draw 120 W: 240 W;
    * at best they draw 240 W (and what the copy takes) for 20 s, 140 + 10 W from then on. In one
      hour that is 0.1505 instead of 0.24 kWh, 63 % of it. Each decision later costs 27 kJ.

    Moving both ways, or moving a VM back, costs work and wins nothing.
    """

    knots: int = 13

    def __call__(self) -> CentreScenario:
        """The scenario; there is no chance in it."""
        return plain_centre(name="two-halves", knots=self.knots)


@dataclass(frozen=True)
class BriefLull:
    """The same two hosts and VMs, but from ``lull_s`` on each VM wants a whole host.

    Demand rises from a fifth to all during the last knot before ``lull_s``; one host is too small
    for both when each wants more than a half. So whoever has put a host to sleep has to wake it,
    and to move a VM back at the decision 300 s before ``lull_s``. Waking takes 200 s, so it has to
    be ordered at the decision before that. Against leaving both alone, which draws 240 W,

    * 90 W are spared while one sleeps: from 20 s until ``lull_s - 600 s``;
    * waking costs 250 W instead of the 100 W of idling, for 200 s: 30 kJ;
    * all other differences cancel, but for what two moves cost: work, and a little power.

    It pays if ``90 W (lull_s - 620 s) > 30 kJ``: from 953 s on. With decisions every 300 s, the
    optimum is to **leave everything as it is for a lull of 900 s** (consolidation would lose 4.8
    kJ), and to consolidate, wake and move back in time for one of 1200 s (it spares 22.2 kJ) or
    more.
    """

    lull_s: float = 900.0
    busy_s: float = 1800.0

    def __call__(self) -> CentreScenario:
        """The scenario; there is no chance in it."""
        knots = round((self.lull_s + self.busy_s) / 300.0) + 1
        busy = np.arange(knots) * 300.0 >= self.lull_s
        demand = np.where(busy, 1.0, 0.2)[:, None]
        return plain_centre(name="brief-lull", knots=knots, demand=demand)


@dataclass(frozen=True)
class GoodNeighbours:
    """Two hosts, and two VMs that come: one that the cache makes fast, one that sweeps it clean.

    Host 0 runs a *stream*: 20 misses per kilo-instruction whatever it holds. Host 1 runs a VM that
    never misses. After 30 s come a *loop*, which is fast if it holds all of the cache, and another
    stream. Memory bandwidth is ample, so that

    * two streams lose nothing to each other: they miss anyway;
    * a loop beside the quiet VM holds the whole cache and loses nothing;
    * a loop beside a stream loses most of the cache, and misses.

    So the optimum is **the loop to host 1, the stream to host 0**, and then nobody is slowed down
    at all. First fit and best fit put both on one host, and the loop suffers whatever they do.
    """

    knots: int = 3
    arrive_s: float = 30.0

    def __call__(self) -> CentreScenario:
        """The scenario; there is no chance in it."""
        stream = np.full(NUM_LLC_SEGMENTS + 1, 0.02)
        loop = 0.02 * np.linspace(1.0, 0.0, NUM_LLC_SEGMENTS + 1)
        mpi = np.stack([stream, np.zeros_like(stream), loop, stream])
        cpi, penalty = np.full(4, 0.7), np.full(4, 100.0)
        llc = 16 * MIB
        hints = static_profile(mpi, cpi, penalty, llc)
        hints["hint_cache_bytes"][[0, 3]] = llc  # measured streams fill whatever there is
        programs = CentrePrograms(
            llc_bytes=llc, cpu_slice_s=0.0, mpi=mpi, cpi_base=cpi, penalty_cycles=penalty,
            memory_bandwidth_bytes_s=np.full(2, 1e15), device_bytes_s=np.full(2, 1e9),
            io_bytes_s=np.zeros(4), io_weight=np.zeros(4), wakeups=np.zeros(4),
            **hints,
        )  # fmt: skip
        late = np.array([0.0, 0.0, self.arrive_s, self.arrive_s])
        return plain_centre(
            (0, 1, NOWHERE, NOWHERE), demand=1.0, knots=self.knots, name="good-neighbours",
            cpu_mips=4000.0, arrive_s=late, programs=programs,
        )  # fmt: skip


TOYS: dict[str, Callable[[], CentreScenario]] = {
    "two-halves": TwoHalves(),
    "brief-lull": BriefLull(),
    "good-neighbours": GoodNeighbours(),
}
