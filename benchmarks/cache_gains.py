"""What dividing the last-level cache brings on mixes of measured programs (bar B13).

    python benchmarks/cache_gains.py

Programs are the 40 SPEC programs that the package ships, measured by Intel CAT ways on a Skylake
server with 27.5 MiB in 11 ways. The host is that machine: one core and one program per VM, one
static phase, memory ample, 80 GB/s of memory bandwidth, sensors without noise, as many classes of
service as VMs. A *streaming* program keeps missing (2.5 times per 1000 instructions with the whole
cache) and does not care; a *sensitive* one takes at least 1.1 times as long with one way.

Weighted speed-up of a mix: the sum over its programs of throughput relative to alone with the whole
cache. Gain: weighted speed-up over that of the same mix sharing the cache, less 1. Heuristics are
as published (they count misses, and do not weigh what a miss costs), monitors are free as in the
papers' hardware, and occupancies have settled: the first minute does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from bars import Row, print_table, within
from numpy.typing import NDArray

from gymbal_envs.demand.llc_profiles import LlcProfile, load_llc_profiles
from gymbal_envs.demand.profiles import parametric_family
from gymbal_envs.scenarios.machine import SENSITIVE_SLOWDOWN
from gymbal_envs.scenarios.resources import Resources
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.simulator.params import GIB, MIB, TIERS, Clock, PhysicsParams, SensorParams
from gymbal_runtime.heuristics import make_heuristic

Floats = NDArray[np.float64]
Mixes = Sequence[Sequence[LlcProfile]]

NUM_SPEC = 40  # the shipped table has them first
WAYS, LLC_BYTES = 11, 27.5 * MIB
STREAMING_MPI = 2.5e-3
DEAR = 4.0  # times the measured penalty of a miss: to see what the gain hangs on
SETTLE_S, MEASURE_S, PERIOD_S = 60, 60, 5
LARGE, NUM_LARGE = (8, 10, 12), 100  # VMs, mixes of each
QUIET = PhysicsParams(
    clock=Clock(control_interval_s=PERIOD_S),
    sensors=SensorParams(lru_noise=0.0, counter_noise=0.0, llc_noise=0.0),
)


def cache_rows() -> list[Row]:
    """UCP on pairs, own ways and clusters on large mixes."""
    programs = load_llc_profiles()[:NUM_SPEC]
    return [*pair_rows(programs), *large_rows(programs)]


def pair_rows(programs: Sequence[LlcProfile]) -> list[Row]:
    """Every pair of a streaming and a sensitive program."""
    dear = [replace(p, penalty_cycles=DEAR * p.penalty_cycles) for p in programs]
    ucp, ucp_dear = (gains(pairs_of(some), ("ucp",))["ucp"] for some in (programs, dear))
    mean = float(ucp.mean())
    what = "UCP over shared LRU, streaming + sensitive: mean gain"
    span = f"{ucp.min():+.3f} to {ucp.max():+.3f}, {part_hurt(ucp):.2f} of the pairs lose"
    dearer = (
        f"a miss costs the sensitive ones 11 to 66 cycles, as measured; {DEAR:g} times as dear, "
        f"the mean gain is {ucp_dear.mean():+.3f} and the largest {ucp_dear.max():+.3f}"
    )
    return [
        Row("B13", what, "> 0", mean, mean > 0, f"{ucp.size} pairs, {span}"),
        Row("B13", "the same, size", "0.11 within a factor of 2", mean,
            within(mean, 0.055, 0.22), dearer),
    ]  # fmt: skip


def large_rows(programs: Sequence[LlcProfile]) -> list[Row]:
    """Mixes drawn at random from all programs: ways for each VM, and for clusters of them."""
    rng = np.random.default_rng(13)
    by_size = []
    for num_vms in LARGE:
        draws = [rng.choice(len(programs), num_vms, replace=False) for _ in range(NUM_LARGE)]
        mixes = [[programs[i] for i in draw] for draw in draws]
        by_size.append(gains(mixes, ("ucp", "kpart")))
    ucp, kpart = (np.concatenate([part[name] for part in by_size]) for name in ("ucp", "kpart"))
    hurt, hurt_clustered = part_hurt(ucp), part_hurt(kpart)
    sizes = ", ".join(
        f"{part_hurt(part['ucp']):.2f} with {n} VMs" for n, part in zip(LARGE, by_size, strict=True)
    )
    repaired = hurt_clustered < hurt and float(kpart.mean()) > max(float(ucp.mean()), 0.0)
    return [
        Row("B13", "large mixes hurt by UCP with ways for each VM", "> 0", hurt, hurt > 0,
            f"{ucp.size} mixes, mean gain {ucp.mean():+.3f}"),
        Row("B13", "the same, size", "0.30 within a factor of 2", hurt,
            within(hurt, 0.15, 0.60), sizes),
        Row("B13", "large mixes hurt by KPart's clusters", "fewer, with a mean gain above 0",
            hurt_clustered, repaired,
            f"mean gain {kpart.mean():+.3f}, largest {kpart.max():+.3f}; published +0.24 on a "
            "Broadwell-D"),
    ]  # fmt: skip


def part_hurt(gain: Floats) -> float:
    """Part of the mixes that are slower than with a shared cache."""
    return float(np.mean(gain < 0))


def pairs_of(programs: Sequence[LlcProfile]) -> list[tuple[LlcProfile, LlcProfile]]:
    """Every streaming program with every sensitive one."""
    plain = load_llc_profiles()[:NUM_SPEC]  # what a program is does not hang on a miss's price
    kinds = ({p.name for p in kind(plain)} for kind in (streaming, sensitive))
    first, second = ([p for p in programs if p.name in names] for names in kinds)
    return [(a, b) for a in first for b in second]


def streaming(programs: Sequence[LlcProfile]) -> list[LlcProfile]:
    """Those that miss whatever they hold."""
    return [
        p for p in programs
        if p.mpi_at(LLC_BYTES) >= STREAMING_MPI and p not in sensitive(programs)
    ]  # fmt: skip


def sensitive(programs: Sequence[LlcProfile]) -> list[LlcProfile]:
    """Those that one way makes slower."""
    return [
        p for p in programs if p.slowdown(LLC_BYTES / WAYS, LLC_BYTES) >= SENSITIVE_SLOWDOWN
    ]  # fmt: skip


def gains(mixes: Mixes, agents: Sequence[str]) -> dict[str, Floats]:
    """Of each agent over the shared cache, (M,) each."""
    shared = weighted_speed_up("shared", mixes)
    return {name: weighted_speed_up(name, mixes) / shared - 1.0 for name in agents}


def weighted_speed_up(agent: str, mixes: Mixes) -> Floats:
    """Sum over the programs of a mix of throughput relative to alone, (M,)."""
    num_worlds, num_vms = len(mixes), len(mixes[0])
    engine = Engine(num_worlds, num_vms, 2, QUIET)
    engine.load(range(num_worlds), [host_of(mix) for mix in mixes])
    decides = make_heuristic(agent)
    decides.reset(num_worlds, num_vms)
    lost = np.zeros((num_worlds, num_vms))
    for second in range(0, SETTLE_S + MEASURE_S, PERIOD_S):
        engine.step(decides.act(engine.telemetry()))
        if second >= SETTLE_S:
            lost += engine.outcome[:, at.LOST_CACHE]
    return np.asarray((1.0 - lost / MEASURE_S).sum(axis=1))


def host_of(mix: Sequence[LlcProfile]) -> Scenario:
    """A host that runs each program of a mix in a VM of its own, for ever."""
    n = len(mix)
    each = np.ones(n)
    knots = np.ones((2, n), dtype=np.float32)
    phases = np.ones((n, at.NUM_PHASES))
    curve = np.array([p.on_grid(LLC_BYTES, at.NUM_LLC_SEGMENTS) for p in mix])
    resources = Resources(
        llc_bytes=LLC_BYTES, llc_units=WAYS, llc_classes=n, llc_min_units=1, llc_recolours=False,
        memory_bandwidth_bytes_s=80e9, frequency_hz=2.5e9, device_bytes_s=0.0, device_slots=0,
        cpu_slice_s=0.0, mpi=np.repeat(curve[:, None], at.NUM_PHASES, axis=1),
        cpi_base=phases * np.array([[p.cpi0] for p in mix]),
        penalty_cycles=phases * np.array([[p.penalty_cycles] for p in mix]),
        phase=0 * knots, io_bytes_s=0 * knots, cap_cores=each, wakeups=0 * each,
        io_weight=0 * each, recolour_frac=0 * each, hint_slowdown=np.full(n, np.nan),
        hint_footprint_bytes=np.full(n, np.nan),
    )  # fmt: skip
    return Scenario(
        name="+".join(p.name for p in mix), capacity_bytes=n * GIB, cpu_cores=float(n),
        tier=TIERS["nvme"], present=np.ones(n, dtype=np.bool_), shares=each,
        memory_max_bytes=each * GIB, memory_min_bytes=0.25 * GIB * each,
        kernel_bytes=0.05 * GIB * each, unswappable_frac=0 * each, vcpus=each, monitor=2 * each,
        touch_rate=2000 * each, dirty_frac=0.5 * each, overlap=each,
        curve=np.tile(parametric_family("streaming").curve, (n, 1)),
        working_set_bytes=knots * np.float32(0.5 * GIB),
        footprint_bytes=knots * np.float32(0.5 * GIB), cores=knots, initial_bytes=each * GIB,
        seed=0, resources=resources,
    )  # fmt: skip


if __name__ == "__main__":
    print_table(cache_rows())
