"""How fast the simulator is.

    python benchmarks/engine.py [--seconds 3]

A VM-step is one VM for one physics tick (1 s). Bars: 10 M VM-steps/s at 8 VMs x 1024 worlds with
two threads on two quiet cores (4 M where cache, bandwidth, devices and waiting for cores are
simulated too: the names with ``whole``), one tick of one world through ``Engine.step`` in 60 us,
the batched environment at least 10 times the single one per VM-step, everything compiled in 30 s,
and ready in 2 s once it is. Scenarios are the default ones with every slot occupied, commands
change at every decision.

Verdicts are by the clock on the wall. On a crowded machine the CPU time beside it says what a quiet
one would do, and a fixed loop timed in the same run (and the ratio to it, both in CPU time) makes
different machines and days comparable. Prints a table, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import numba
import numpy as np

from gymbal_envs.scenarios.machine import MachineConfig
from gymbal_envs.scenarios.source import FleetConfig, ScenarioConfig, make_source
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.simulator.params import PhysicsParams, SensorParams
from gymbal_envs.tasks.balloon import BalloonEnv, BalloonVectorEnv
from gymbal_runtime.command import Command

NUM_VMS, NUM_WORLDS, TICKS = 8, 1024, 10
FULL = ScenarioConfig(fleet=FleetConfig(num_vms=(NUM_VMS, NUM_VMS), max_vms=NUM_VMS))
WHOLE = ScenarioConfig(fleet=FULL.fleet, machine=MachineConfig(devices=True, wake_ups=True))
TRACING = PhysicsParams(sensors=SensorParams(trap_s=2e-6))
BARS = {  # name: (smallest or largest good value, which)
    "vm_steps_s_2_threads": (10e6, "least"),
    "whole_vm_steps_s_2_threads": (4e6, "least"),
    "one_world_tick_us": (60.0, "most"),
    "batch_over_single": (10.0, "least"),
    "first_compile_s": (30.0, "most"),
    "cached_start_s": (2.0, "most"),
}

STARTED = """
from time import perf_counter, process_time
begun = perf_counter()
import numpy as np
from gymbal_envs.scenarios.toy import OppositePeaks
from gymbal_envs.simulator.engine import Engine
from gymbal_runtime.command import Command
scenario = OppositePeaks()()
engine = Engine(1, 2, scenario.num_knots)
engine.load([0], [scenario])
engine.step(Command.no_change(1, 2))
print(perf_counter() - begun, process_time())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each thing is timed")
    args = parser.parse_args()
    load_before = os.getloadavg()[0]
    measured: dict[str, Any] = {}
    _, reference = reference_speed(args.seconds)
    for threads in (1, 2):
        for whole in (False, True):
            name = f"{'whole_' * whole}vm_steps_s_{threads}_thread{'s' * (threads > 1)}"
            speed, per_cpu_s, checksum = engine_speed(threads, args.seconds, whole)
            measured[name] = speed
            measured[name.replace("_s_", "_per_cpu_s_")] = per_cpu_s
            measured["whole_checksum" if whole else "checksum"] = checksum
    measured["reference_ops_per_cpu_s"] = reference
    measured["reference_ops_per_vm_step"] = reference / measured["vm_steps_per_cpu_s_1_thread"]
    measured["one_world_tick_us"] = one_world_tick_us(args.seconds)
    single, batch = environment_speeds(args.seconds)
    measured |= {"single_env_vm_steps_s": single, "batch_env_vm_steps_s": batch}
    measured["batch_over_single"] = batch / single
    measured |= start_times()
    report(measured, load_before)


def rate(work: Callable[[], object], amount: float, seconds: float) -> tuple[float, float]:
    """Amount per second and per CPU second, by the median of the calls that fit into the time."""
    work()
    wall: list[float] = []
    cpu: list[float] = []
    while sum(wall) < seconds or len(wall) < 5:
        begun, begun_cpu = perf_counter(), process_time()
        work()
        wall.append(perf_counter() - begun)
        cpu.append(process_time() - begun_cpu)
    return amount / float(np.median(wall)), amount / float(np.median(cpu))


@numba.njit(fastmath=False)
def reference_loop(count: int) -> float:
    """A chain of what kernels do: multiply, add, divide, compare."""
    x, total = 0.5, 0.0
    for _ in range(count):
        x = 3.7 * x * (1.0 - x)
        total += 1.0 / (1.0 + x) if x > 0.5 else x
    return total


def reference_speed(seconds: float) -> tuple[float, float]:
    """Rounds of the reference loop per second and per CPU second, on one thread."""
    count, sums = 2_000_000, [0.0]

    def work() -> None:
        sums[0] += reference_loop(count)

    speed = rate(work, count, seconds / 2)
    assert sums[0] > 0
    return speed


def commands(engine: Engine, rng: np.random.Generator) -> list[Command]:
    """Splits around the present one, so that balloons always have something to do."""
    held = engine.vm[:, at.ACTUAL]
    return [Command(held * rng.uniform(0.8, 1.2, held.shape)) for _ in range(16)]


def whole_commands(engine: Engine, rng: np.random.Generator) -> list[Command]:
    """The same, and everything else anew at every decision: all that can change does."""
    shape = engine.vm[:, at.ACTUAL].shape
    told = []
    for command in commands(engine, rng):
        parts = np.array([random_parts(host, shape[1], rng) for host in engine.world_host])
        told.append(
            Command(
                balloon_bytes=command.balloon_bytes,
                llc_class=parts[:, 0],
                llc_units=parts[:, 1],
                cpu_weight=rng.uniform(100, 10_000, shape),
                device_mode=rng.integers(0, 2, shape).astype(float),
                monitor_level=rng.integers(0, 3, shape).astype(float),
            )
        )
    return told


def random_parts(host: np.ndarray, num_vms: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Classes of VMs and their units, as the host has them."""
    units, least = int(host[at.LLC_UNITS]), int(host[at.LLC_MIN_UNITS])
    most = min(num_vms, units // least, int(host[at.LLC_CLASSES]))
    classes = rng.integers(rng.integers(1, most + 1), size=num_vms)
    sizes = np.full(most, least)
    np.add.at(sizes, rng.choice(np.unique(classes), size=units - least * most), 1)
    return [classes.astype(float), sizes[classes].astype(float)]


def engine_speed(
    num_threads: int, seconds: float, whole: bool = False
) -> tuple[float, float, float]:
    """VM-steps per second and per CPU second, and the sum of all states after a fixed prefix."""
    config = WHOLE if whole else FULL
    source = make_source(config, "train", 0)
    engine = Engine(
        NUM_WORLDS, NUM_VMS, config.num_knots, TRACING if whole else None, num_threads=num_threads
    )
    engine.load(range(NUM_WORLDS), [source(index) for index in range(NUM_WORLDS)])
    assert (engine.world_vm[:, at.PRESENT] == 1).all()
    told = (whole_commands if whole else commands)(engine, np.random.default_rng(0))
    for command in told:
        engine.step(command, TICKS)
    checksum = float(engine.vm.sum() + engine.outcome.sum())
    turn = [0]

    def work() -> None:
        engine.step(told[turn[0] % len(told)], TICKS)
        turn[0] += 1

    speed, per_cpu_s = rate(work, NUM_WORLDS * NUM_VMS * TICKS, seconds)
    assert np.isfinite(engine.vm.sum())
    return speed, per_cpu_s, checksum


def one_world_tick_us(seconds: float) -> float:
    """One tick of one world, called from Python."""
    engine = Engine(1, NUM_VMS, FULL.num_knots)
    engine.load([0], [make_source(FULL, "train", 0)(0)])
    told = commands(engine, np.random.default_rng(0))

    def work() -> None:
        for command in told:
            engine.step(command, 1)

    speed, _ = rate(work, len(told), seconds / 2)
    assert np.isfinite(engine.vm.sum())
    return 1e6 / speed


def environment_speeds(seconds: float) -> tuple[float, float]:
    """VM-steps/s of the Gymnasium env and of its batch, heuristic, codec and guard included."""
    single = BalloonEnv(FULL)
    single.reset(seed=0)
    rng = np.random.default_rng(0)
    action = rng.uniform(-1, 1, NUM_VMS).astype(np.float32)

    def step_single() -> None:
        for _ in range(20):
            if single.step(action)[3]:
                single.reset()

    batch = BalloonVectorEnv(NUM_WORLDS, FULL, num_threads=2, stagger=18)
    batch.reset(seed=0)
    actions = rng.uniform(-1, 1, (NUM_WORLDS, NUM_VMS)).astype(np.float32)
    vm_steps = NUM_VMS * TICKS
    alone, _ = rate(step_single, 20 * vm_steps, seconds)
    together, _ = rate(lambda: batch.step(actions), NUM_WORLDS * vm_steps, seconds)
    return alone, together


def start_times() -> dict[str, float]:
    """Seconds from nothing to the first step: with an empty cache of kernels, and a full one."""
    with tempfile.TemporaryDirectory() as cache:
        runs = [
            subprocess.run(
                [sys.executable, "-c", STARTED],
                env={**os.environ, "XDG_CACHE_HOME": cache},
                check=True, capture_output=True, text=True,
            ).stdout.split()
            for _ in range(4)
        ]  # fmt: skip
    wall, cpu = np.array(runs, dtype=float).T
    return {
        "first_compile_s": float(wall[0]),
        "first_compile_cpu_s": float(cpu[0]),
        "cached_start_s": float(np.median(wall[1:])),
        "cached_start_cpu_s": float(np.median(cpu[1:])),
    }


def report(measured: dict[str, Any], load_before: float) -> None:
    verdicts = {}
    print(f"{NUM_VMS} VMs x {NUM_WORLDS} worlds, decisions of {TICKS} ticks")
    for name, value in measured.items():
        bar, which = BARS.get(name, (None, ""))
        if bar is not None:
            verdicts[name] = (
                "pass" if (value >= bar if which == "least" else value <= bar) else "miss"
            )
        told = f"at {which} {bar:,.4g}" if bar is not None else ""
        print(f"  {name:<32} {value:>18,.4f}  {told:<20} {verdicts.get(name, '')}".rstrip())
    line = {
        "benchmark": "engine",
        "targets": {name: f"at {which} {bar:g}" for name, (bar, which) in BARS.items()},
        "measured": {name: round(value, 6) for name, value in measured.items()},
        "verdicts": verdicts,
        "pass": all(verdict == "pass" for verdict in verdicts.values()),
        "load_average_before": round(load_before, 2),
        "load_average": round(os.getloadavg()[0], 2),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "numba": numba.__version__,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
