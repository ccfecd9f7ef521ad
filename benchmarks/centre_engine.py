"""How fast data centres are simulated.

    python benchmarks/centre_engine.py [--days 1]

A VM-step is one VM for one physics tick (10 s), an interval one decision (300 s, 30 ticks). Bars: a
day of 800 hosts with 1.3 VMs each in one second on one quiet core, with as many migrations as
CloudSim's policies order (28,000 a day, models.md 7.3); and a step that costs no more than in
proportion to the hosts, from 10 to 800: the exponent of a fitted power law is at most 1.05.

Scenarios are those of `CentreConfig` with CloudSim's hosts and VMs. Before every decision a part of
the VMs is told to move to hosts with room, and a few hosts are told to sleep or wake; drawing these
orders is not timed. Verdicts are by the clock on the wall; CPU time and a fixed loop timed in the
same run make machines and days comparable. Prints a table, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numba
import numpy as np

from gymbal_envs.scenarios.centre_config import CentreConfig
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.simulator.centre.engine import CentreEngine
from gymbal_runtime.centre.orders import SLEEP, WAKE, CentreOrders
from gymbal_runtime.centre.telemetry import ASLEEP, NOWHERE, ON, CentreTelemetry

sys.path.insert(0, str(Path(__file__).parent))
from engine import reference_speed

SIZES = (10, 30, 100, 300, 800)
VMS_PER_HOST, INTERVALS = 1.3, 288
MOVES_PER_VM = 28_000 / (INTERVALS * 1052)
"""VMs that are told to move before a decision."""
BARS = {"day_of_800_hosts_s": 1.0, "exponent": 1.05}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=1, help="simulated days, the median of which")
    args = parser.parse_args()
    load_before = os.getloadavg()[0]
    _, reference = reference_speed(1.0)
    measured: dict[str, Any] = {}
    seconds = []
    for num_hosts in SIZES:
        for busy in (False, True):
            wall, cpu, num_vms, moves = day(num_hosts, args.days, busy)
            name = f"{'' if busy else 'idle_'}{num_hosts}_hosts"
            measured[f"vm_steps_s_{name}"] = num_vms * INTERVALS * 30 / wall
            measured[f"intervals_s_{name}"] = INTERVALS / wall
            if busy:
                seconds.append(wall)
                measured[f"moves_{name}"] = moves
    measured["day_of_800_hosts_s"], measured["day_of_800_hosts_cpu_s"] = wall, cpu
    measured["exponent"] = float(np.polyfit(np.log(SIZES), np.log(seconds), 1)[0])
    measured["reference_ops_per_cpu_s"] = reference
    report(measured, load_before)


def day(num_hosts: int, days: int, busy: bool) -> tuple[float, float, int, float]:
    """Seconds and CPU seconds of a simulated day, VMs, and migrations of it."""
    config = ScenarioConfig(
        centre=CentreConfig(
            num_hosts=(num_hosts, num_hosts),
            max_hosts=num_hosts,
            vms_per_host=(VMS_PER_HOST, VMS_PER_HOST),
            memory_scale=(1.0, 1.0),
            host_types=("g4", "g5"),
            vm_types=("fast", "large", "small", "micro"),
            rules=("qemu",),
            starts=("spread",),
        )
    )
    source = make_source(config, "train", 0)
    engine = CentreEngine(1, num_hosts, config.num_vms, config.num_knots)
    wall, cpu, moves = [], [], []
    for number in range(days + 1):
        scenario = source(number)
        engine.load([0], [scenario])
        rng = np.random.default_rng(number)
        spent = [0.0, 0.0, 0.0]
        for _ in range(INTERVALS if number else 3):  # the first compiles
            orders = CentreOrders.none(1, num_hosts, config.num_vms)
            if busy:
                draw_orders(engine.telemetry(), rng, orders)
            begun, begun_cpu = perf_counter(), process_time()
            engine.step(orders)
            spent[0] += perf_counter() - begun
            spent[1] += process_time() - begun_cpu
            spent[2] += engine.measured(["moves_finished"])["moves_finished"][0]
        wall.append(spent[0])
        cpu.append(spent[1])
        moves.append(spent[2])
    medians = [float(np.median(values[1:])) for values in (wall, cpu, moves)]
    return medians[0], medians[1], int(scenario.present.sum()), medians[2]


def draw_orders(telemetry: CentreTelemetry, rng: np.random.Generator, orders: CentreOrders) -> None:
    """A few VMs move to hosts with room; idle hosts sleep now and then, and wake again."""
    state, held = telemetry.state[0], telemetry.held_bytes[0]
    free = np.where(state == ON, telemetry.memory_bytes[0] - held, 0.0)
    resting = telemetry.present[0] & (telemetry.moving_to[0] == NOWHERE)
    for v in np.flatnonzero(resting & (rng.random(resting.size) < MOVES_PER_VM)):
        fits = np.flatnonzero(free >= telemetry.vm_memory_bytes[0, v])
        if fits.size:
            target = rng.choice(fits)
            orders.target[0, v] = target
            free[target] -= telemetry.vm_memory_bytes[0, v]
    draw = rng.random(state.size)
    orders.power[0, (state == ON) & (held == 0) & (draw < 0.1)] = SLEEP
    orders.power[0, (state == ASLEEP) & (draw < 0.1)] = WAKE


def report(measured: dict[str, Any], load_before: float) -> None:
    verdicts = {}
    print(f"centres of {', '.join(map(str, SIZES))} hosts, {VMS_PER_HOST} VMs for each")
    for name, value in measured.items():
        told = ""
        if name in BARS:
            verdicts[name] = "pass" if value <= BARS[name] else "miss"
            told = f"at most {BARS[name]:g}  {verdicts[name]}"
        print(f"  {name:<32} {value:>18,.4f}  {told}".rstrip())
    line = {
        "benchmark": "centre_engine",
        "targets": {name: f"at most {bar:g}" for name, bar in BARS.items()},
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
