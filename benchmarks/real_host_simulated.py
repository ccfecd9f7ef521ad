"""Playing a script in the simulator, with constants fitted to the machine of the real guests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache

import numpy as np
from real_host_script import (
    FLOOR_BYTES,
    GUESTS,
    MEMORY_BYTES,
    MIB,
    POLICIES,
    Play,
    Script,
    Watched,
    controller_of,
    note,
)
from scipy.optimize import minimize

from gymbal_envs.demand.profiles import NUM_CURVE_SEGMENTS
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.simulated_host import SimulatedHost
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.params import Clock, PhysicsParams, SensorParams, Tier
from gymbal_runtime.telemetry import Telemetry


@cache
def miss_curve(skew: float, num_pages: int = 1024) -> np.ndarray:
    """Misses of an LRU memory when pages are touched independently of what went before.

    The page at rank z of 1 is touched with density ``z^(1/skew - 1) / skew``. Che's approximation:
    with memory for x of the pages, those last touched within T are there, where T makes them x.

    Args:
        skew: as the agents are told; 1 touches all pages alike.
        num_pages: to sum over.

    Returns:
        (NUM_CURVE_SEGMENTS + 1,) share of the touches that miss with k / NUM_CURVE_SEGMENTS of the
        pages in memory.
    """
    ranks = np.arange(num_pages + 1) / num_pages
    share = np.diff(ranks ** (1.0 / skew))  # of the touches, by page
    times = np.geomspace(1e-3, 1e9, 400)[:, None]
    there = 1.0 - np.exp(-share * times)
    held, missed = there.mean(axis=1), (share * (1.0 - there)).sum(axis=1)
    curve = np.interp(np.linspace(0, 1, NUM_CURVE_SEGMENTS + 1), held, missed)
    curve[0], curve[-1] = 1.0, 0.0
    return curve


@dataclass(frozen=True)
class Constants:
    """What the simulator cannot know of a machine.

    Attributes:
        fault_s: until a missed page is there, with nothing else to do.
        kernel_bytes: what a guest holds beside its program's pages.
        write_bytes_s: of the swap disk: how fast a balloon gets pages that must be swapped out.
        idle_frac: part of its touches that a program misses although all its pages are there.
    """

    fault_s: float = 2.4e-3
    kernel_bytes: float = 62 * MIB
    write_bytes_s: float = 8e6
    idle_frac: float = 0.012


def scenario(script: Script, constants: Constants) -> Scenario:
    """The script's host; its demand is set step by step (`ScriptedHost`)."""
    both = np.ones(len(GUESTS))
    sizes, rates = script.demand(0.0)
    knots = np.stack([sizes, sizes]).astype(np.float32)
    tier = Tier(
        "fitted", constants.fault_s, 1e9, constants.write_bytes_s, servers=64, cluster_pages=1,
        useful_pages=1.0,
    )  # fmt: skip
    return Scenario(
        name=script.name,
        capacity_bytes=script.budget_bytes,
        cpu_cores=4.0,
        tier=tier,
        present=np.ones(len(GUESTS), dtype=np.bool_),
        shares=both.copy(),
        memory_max_bytes=both * MEMORY_BYTES,
        memory_min_bytes=both * FLOOR_BYTES,
        kernel_bytes=both * constants.kernel_bytes,
        unswappable_frac=both * 0.0,
        vcpus=both.copy(),
        monitor=both * 2,
        touch_rate=rates,
        dirty_frac=both.copy(),
        overlap=both.copy(),
        curve=np.stack([miss_curve(script.skew)] * len(GUESTS)),
        working_set_bytes=knots,
        footprint_bytes=knots.copy(),
        cores=np.full((2, len(GUESTS)), 0.3, dtype=np.float32),
        initial_bytes=both * script.budget_bytes / len(GUESTS),
        seed=1,
    )


class ScriptedHost(SimulatedHost):
    """A simulated host whose guests follow a script, and count their touches."""

    def __init__(self, script: Script, constants: Constants) -> None:
        self._script = script
        self._constants = constants
        self._steps = 0
        self.touched = np.zeros(len(GUESTS))
        self.wanted = np.zeros(len(GUESTS))
        sensors = SensorParams(
            sample_s=1.0, delay_s=0.0, active_period_s=10.0, monitor_cost=0.0, sampler_cost=0.0
        )
        clock = Clock(1.0, script.interval_s)
        super().__init__(scenario(script, constants), PhysicsParams(clock=clock, sensors=sensors))
        self.vm_names = GUESTS

    def telemetry(self) -> Telemetry:
        """The record after one more control interval (at first: at the start)."""
        if self._begun:
            sizes, rates = self._script.demand(self._steps * self._script.interval_s)
            self.engine.demand[:, :, at.WANT_WORKING_SET] = sizes
            self.engine.demand[:, :, at.WANT_FOOTPRINT] = sizes
            self.engine.world_vm[:, at.TOUCH_RATE] = rates
            seen = super().telemetry()
            interval_s = self._script.interval_s
            made_s = interval_s - self.engine.outcome[0, at.LOST_MEMORY]
            self.touched += rates * made_s * (1.0 - self._constants.idle_frac)
            self.wanted += rates * interval_s
            self._steps += 1
            return seen
        return super().telemetry()


def play_simulated(
    script: Script, constants: Constants, policies: Sequence[str] = POLICIES
) -> dict[str, Play]:
    """Play a script once under each policy."""
    plays = {}
    for policy in policies:
        scripted = ScriptedHost(script, constants)
        host = Watched(scripted)
        controller = controller_of(policy, host)
        play = plays[policy] = Play(policy)
        for step in range(script.num_steps + 1):
            decision = controller.step()
            assert host.newest is not None, decision.errors
            note(play, step * script.interval_s, host.newest, decision)
            play.touched.append(scripted.touched.copy())
            play.wanted.append(scripted.wanted.copy())
    return plays


def fit(script: Script, real: Sequence[Mapping[str, Play]]) -> Constants:
    """Constants with which the simulated progress comes nearest to that of the real guests.

    Least squares over guests, phases and policies, by the simplex method of Nelder and Mead in
    multiples of the defaults.

    Args:
        script: that was played.
        real: its repeats, each a play by policy.
    """
    start = Constants()
    names = list(asdict(start))
    seen = {
        policy: np.mean([plays[policy].progress(script) for plays in real], axis=0)
        for policy in real[0]
    }

    def constants(factors: np.ndarray) -> Constants:
        factors = np.clip(factors, 0.2, 5.0)
        given = {n: float(f * getattr(start, n)) for n, f in zip(names, factors, strict=True)}
        given["kernel_bytes"] = min(given["kernel_bytes"], FLOOR_BYTES)
        return replace(start, **given)

    def error(factors: np.ndarray) -> float:
        plays = play_simulated(script, constants(factors), list(seen))
        return float(np.mean([(plays[p].progress(script) - seen[p]) ** 2 for p in seen]))

    found = minimize(
        error, np.ones(len(names)), method="Nelder-Mead", options={"maxfev": 80, "xatol": 0.01}
    )
    return constants(found.x)
