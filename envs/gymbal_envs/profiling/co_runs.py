"""Programs side by side on one simulated host: what they do to each other.

Everybody who co-runs has four busy cores of a host of twelve, a cache of 24 MiB and 50 GB/s of
memory bandwidth, the middle of what scenarios draw. A *bubble* (Mars et al., "Bubble-Up", MICRO
2011) touches a region of a given size at random, as fast as it can; the *reporter* touches a region
of the size of the cache at random and waits for every miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gymbal_envs.demand.llc_profiles import LlcProfile
from gymbal_envs.scenarios.centre_programs import CentrePrograms, static_profile
from gymbal_envs.scenarios.centre_toy import plain_centre
from gymbal_envs.scenarios.draws import Floats
from gymbal_envs.simulator.centre import layout as at
from gymbal_envs.simulator.centre.engine import CentreEngine
from gymbal_envs.simulator.layout import NUM_LLC_SEGMENTS
from gymbal_envs.simulator.params import GIB, MIB
from gymbal_runtime.centre.orders import CentreOrders
from gymbal_runtime.placement.books import TABLE_CORE_MIPS
from gymbal_runtime.placement.compatibility import HINTS, CompatibilityTable

BUBBLE_SIZES = (0.125, 0.25, 0.5, 0.75, 1.0, 2.0, 4.0)
"""Of bubbles, parts of the cache; beyond 1 nothing of them stays in it for long."""


@dataclass(frozen=True)
class CoRunHost:
    """Where programs co-run.

    Attributes:
        cores: of the host.
        busy_cores: of each program on it.
        llc_mib: last-level cache.
        bandwidth_gb_s: of memory, 1e9 bytes/s.
    """

    cores: int = 12
    busy_cores: int = 4
    llc_mib: float = 24.0
    bandwidth_gb_s: float = 50.0


@dataclass(frozen=True, eq=False)
class Behaviour:
    """One program as the simulator takes it.

    Attributes:
        mpi: (NUM_LLC_SEGMENTS + 1,) misses per instruction.
        cpi_base: cycles per instruction without misses.
        penalty_cycles: of a miss.
    """

    mpi: Floats
    cpi_base: float
    penalty_cycles: float

    @classmethod
    def of(cls, profile: LlcProfile, host: CoRunHost) -> Behaviour:
        """A measured program."""
        mpi = profile.on_grid(host.llc_mib * MIB, NUM_LLC_SEGMENTS)
        return cls(mpi, profile.cpi0, profile.penalty_cycles)

    @classmethod
    def random_touches(cls, part: float, mpi: float, cpi: float, penalty: float) -> Behaviour:
        """Touches a region of a part of the cache at random: misses fall in a straight line."""
        grid = np.linspace(0.0, 1.0, NUM_LLC_SEGMENTS + 1)
        return cls(mpi * np.maximum(1.0 - grid / part, 0.0), cpi, penalty)


def bubble(part: float) -> Behaviour:
    """A bubble of a part of the cache; its misses overlap, so that it never slackens."""
    return Behaviour.random_touches(part, mpi=0.03, cpi=0.5, penalty=10.0)


def reporter() -> Behaviour:
    """Who reports what pressure there is."""
    return Behaviour.random_touches(1.0, mpi=0.02, cpi=0.7, penalty=150.0)


def co_run(groups: Sequence[Sequence[Behaviour]], host: CoRunHost) -> list[Floats]:
    """Speed of each program of each group, all groups at once, each on a host of its own.

    Args:
        groups: programs that share a host.
        host: which every group gets.

    Returns:
        For each group the speeds (n,), 1 being alone with unloaded memory.

    Raises:
        ScenarioError: the programs of a group need more cores than the host has.
    """
    behind = [program for group in groups for program in group]
    host_of = tuple(h for h, group in enumerate(groups) for _ in group)
    nothing = np.zeros(len(behind))
    programs = CentrePrograms(
        llc_bytes=host.llc_mib * MIB,
        cpu_slice_s=0.0,
        memory_bandwidth_bytes_s=np.full(len(groups), host.bandwidth_gb_s * 1e9),
        device_bytes_s=np.full(len(groups), 1e9),
        mpi=np.array([program.mpi for program in behind]),
        cpi_base=np.array([program.cpi_base for program in behind]),
        penalty_cycles=np.array([program.penalty_cycles for program in behind]),
        io_bytes_s=nothing, io_weight=nothing, wakeups=nothing,
        **dict.fromkeys(HINTS, np.full(len(behind), np.nan)),
    )  # fmt: skip
    scenario = plain_centre(
        host_of, demand=1.0, num_hosts=len(groups), knots=2, name="co-runs",
        cpu_mips=host.cores * TABLE_CORE_MIPS, core_mips=TABLE_CORE_MIPS, memory_bytes=64 * GIB,
        vm_mips=host.busy_cores * TABLE_CORE_MIPS, vcpus=host.busy_cores, programs=programs,
    )  # fmt: skip
    engine = CentreEngine(1, len(groups), len(behind), 2)
    engine.load([0], [scenario])
    engine.step(CentreOrders.none(1, len(groups), len(behind)), num_ticks=1)
    speeds = engine.sharing[0, at.CACHE_SPEED]
    ends = np.cumsum([len(group) for group in groups])[:-1]
    return list(np.split(speeds, ends))


def compatibility_of(
    profiles: Sequence[LlcProfile], host: CoRunHost | None = None
) -> CompatibilityTable:
    """Every pair of programs, and each beside bubbles and the reporter.

    Args:
        profiles: R programs.
        host: where they co-run.
    """
    host = host or CoRunHost()
    programs = [Behaviour.of(profile, host) for profile in profiles]
    bubbles = [bubble(part) for part in BUBBLE_SIZES]
    everyone = [*programs, *bubbles, reporter()]
    count, report = len(programs), len(everyone) - 1
    asked = [(i, j) for i in range(count) for j in range(count + len(bubbles))]
    asked += [(report, j) for j in range(report)]
    groups = [[one] for one in everyone] + [[everyone[i], everyone[j]] for i, j in asked]
    speeds = co_run(groups, host)
    alone = np.array([speed[0] for speed in speeds[: len(everyone)]])
    extra = np.zeros((len(everyone), len(everyone)))
    for (i, j), pair in zip(asked, speeds[len(everyone) :], strict=True):
        extra[i, j] = max(alone[i] / pair[0] - 1.0, 0.0)
    scores = np.append(0.0, extra[report, count:report])
    order = np.argsort(scores, kind="stable")
    curve = np.hstack([np.zeros((count, 1)), extra[:count, count:report]])[:, order]
    hints = static_profile(
        np.array([program.mpi for program in programs]),
        np.array([program.cpi_base for program in programs]),
        np.array([program.penalty_cycles for program in programs]),
        host.llc_mib * MIB,
    )
    return CompatibilityTable(
        names=tuple(profile.name for profile in profiles),
        hints=np.stack([hints[name] for name in HINTS], axis=1),
        extra=extra[:count, :count] / host.busy_cores,
        bubble_score=scores[order],
        curve=np.maximum.accumulate(curve, axis=1),
        score=extra[report, :count] / host.busy_cores,
    )
