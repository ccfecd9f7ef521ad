"""How fast clusters of hosts are simulated.

    python benchmarks/cluster_engine.py [--seconds 3]

A VM-step is one VM for one physics tick (1 s). Bar: 2 M VM-steps/s at 16 hosts with 128 VMs in 16
slots each, with moves and remote memory active, two threads on two quiet cores. Scenarios are those
of `gymbal/Overload-v0` at that size. Before every decision some VMs are told to borrow, to move and
to bring their pages home; balloons are told something new. Drawing these orders is not timed.

Verdicts are by the clock on the wall. On a crowded machine the CPU time beside it says what a quiet
one would do, and a fixed loop timed in the same run makes machines and days comparable. Prints a
table, then one JSON line.
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

from gymbal_envs.scenarios.cluster_config import ClusterConfig
from gymbal_envs.scenarios.source import ScenarioConfig, make_source
from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster import migration_layout as move_at
from gymbal_envs.simulator.cluster.engine import ClusterEngine
from gymbal_envs.simulator.params import PhysicsParams
from gymbal_runtime.cluster.orders import BORROW, MIGRATE, RECALL, Orders, legal
from gymbal_runtime.command import Command

sys.path.insert(0, str(Path(__file__).parent))
from engine import reference_speed

NUM_HOSTS, VMS_PER_HOST, SLOTS, NUM_CLUSTERS, TICKS = 16, 8, 16, 8, 10
CONFIG = ScenarioConfig(
    cluster=ClusterConfig(
        num_hosts=(NUM_HOSTS, NUM_HOSTS),
        max_hosts=NUM_HOSTS,
        vms_per_host=(VMS_PER_HOST, VMS_PER_HOST),
        slots=SLOTS,
    )
)
BAR = 2e6
BUSY = {MIGRATE: 0.03, BORROW: 0.1, RECALL: 0.02}
"""Part of the VMs that are told so at each decision, where it is legal."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each thing is timed")
    args = parser.parse_args()
    load_before = os.getloadavg()[0]
    _, reference = reference_speed(args.seconds)
    measured: dict[str, Any] = {}
    for threads in (1, 2):
        for busy in (False, True):
            name = f"{'' if busy else 'idle_'}vm_steps_s_{threads}_thread{'s' * (threads > 1)}"
            wall, cpu, activity = cluster_speed(threads, args.seconds, busy)
            measured[name] = wall
            measured[name.replace("_s_", "_per_cpu_s_")] = cpu
            if busy:
                measured |= activity
    measured["reference_ops_per_cpu_s"] = reference
    measured["reference_ops_per_vm_step"] = reference / measured["vm_steps_per_cpu_s_1_thread"]
    report(measured, load_before)


def cluster_speed(
    num_threads: int, seconds: float, busy: bool
) -> tuple[float, float, dict[str, float]]:
    """VM-steps per second and per CPU second, and how much was going on."""
    source = make_source(CONFIG, "train", 0)
    params = PhysicsParams(knot_s=CONFIG.knot_s)
    engine = ClusterEngine(
        NUM_CLUSTERS, NUM_HOSTS, SLOTS, CONFIG.num_knots, params, num_threads=num_threads
    )
    engine.load(range(NUM_CLUSTERS), [source(index) for index in range(NUM_CLUSTERS)])
    rng = np.random.default_rng(0)
    num_vms = int((engine.hosts.world_vm[:, host_at.PRESENT] > 0).sum())
    wall, cpu, active = [], [], []
    while sum(wall) < seconds or len(wall) < 12:
        orders = draw_orders(engine, rng) if busy else no_orders(engine)
        local = draw_local(engine, rng)
        begun, begun_cpu = perf_counter(), process_time()
        engine.step(orders, local, TICKS)
        wall.append(perf_counter() - begun)
        cpu.append(process_time() - begun_cpu)
        active.append(activity(engine))
    steps = num_vms * TICKS
    means = np.mean(active[2:], axis=0)
    names = ("moves_per_cluster", "far_vms_per_cluster", "lent_gib_per_cluster")
    return (
        steps / float(np.median(wall[2:])),
        steps / float(np.median(cpu[2:])),
        dict(zip(names, means.tolist(), strict=True)),
    )


def no_orders(engine: ClusterEngine) -> Orders:
    """Nobody is told anything."""
    return Orders.none(engine.num_clusters, engine.num_hosts, engine.num_vms)


def draw_orders(engine: ClusterEngine, rng: np.random.Generator) -> Orders:
    """Legal orders for a few VMs of every cluster."""
    orders, allowed = no_orders(engine), legal(engine.telemetry())
    draw = rng.random(orders.verb.shape)
    start = 0.0
    for verb, part in BUSY.items():
        chosen = (draw >= start) & (draw < start + part)
        start += part
        if verb == MIGRATE:
            targets = rng.random(allowed.migrate.shape) * allowed.migrate
            orders.target[chosen] = targets.argmax(axis=-1)[chosen]
            chosen &= allowed.migrate.any(axis=-1)
        else:
            chosen &= allowed.borrow if verb == BORROW else allowed.recall
        orders.verb[chosen] = verb
    orders.target[orders.verb != MIGRATE] = -1
    return orders


def draw_local(engine: ClusterEngine, rng: np.random.Generator) -> Command:
    """Targets around the present ones, so that balloons always have something to do."""
    held = engine.hosts.vm[:, host_at.ACTUAL]
    return Command(held * rng.uniform(0.8, 1.2, held.shape))


def activity(engine: ClusterEngine) -> tuple[float, float, float]:
    """Moves under way, VMs with pages elsewhere and GiB lent, per cluster."""
    moves = (engine.slot[:, :, move_at.PHASE] != move_at.IDLE).sum()
    away = (engine.guest[:, at.FAR] + engine.guest[:, at.BEHIND] > 0).sum()
    lent = engine.member[:, at.LENT].sum() / 2**30
    c = engine.num_clusters
    return float(moves / c), float(away / c), float(lent / c)


def report(measured: dict[str, Any], load_before: float) -> None:
    print(f"{NUM_CLUSTERS} clusters of {NUM_HOSTS} hosts x {VMS_PER_HOST} VMs in {SLOTS} slots")
    name = "vm_steps_s_2_threads"
    verdict = "pass" if measured[name] >= BAR else "miss"
    for key, value in measured.items():
        told = f"at least {BAR:,.4g}  {verdict}" if key == name else ""
        print(f"  {key:<32} {value:>18,.4f}  {told}".rstrip())
    line = {
        "benchmark": "cluster_engine",
        "targets": {name: f"at least {BAR:g}"},
        "measured": {key: round(value, 6) for key, value in measured.items()},
        "verdicts": {name: verdict},
        "pass": verdict == "pass",
        "load_average_before": round(load_before, 2),
        "load_average": round(os.getloadavg()[0], 2),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "numba": numba.__version__,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
