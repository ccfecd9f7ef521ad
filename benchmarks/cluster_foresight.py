"""What foresight is worth to a cluster's manager: the stack, told what its VMs will need.

Usage: python benchmarks/cluster_foresight.py [--scenarios 48] [--split train] [--seed 5]

The stack of `gymbal/Cluster-v0` counts VMs with the highest need of late, half of what it stands
out. Here it counts them with the true highest need of the next minutes, and hosts with the highest
sum of their VMs. Everything else is the stack, so what it gains bounds what correcting the stack
with better forecasts can. Prints a table and one JSON line.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import dataclass, replace

import numpy as np

from gymbal_agents.evaluate import AgentFactory, evaluate
from gymbal_agents.statistics import mean
from gymbal_envs.scenarios.source import default_scenario, make_source
from gymbal_envs.simulator import layout as host_at
from gymbal_envs.simulator.cluster.engine import ClusterEngine
from gymbal_envs.tasks.config import default_task
from gymbal_envs.tasks.open import shape_of
from gymbal_runtime.cluster.heuristics.layered import Layered
from gymbal_runtime.cluster.heuristics.situation import Situation
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.tasks import CLUSTER

PERCENT = 100.0
AHEAD_S = (600.0, 1800.0, 5400.0)
FILLED = (1.0, 1.08)
"""Part of a host's memory that the highest sum of true needs may take."""


@dataclass(frozen=True, eq=False)
class Told(Layered):
    """The stack, told the highest need of each VM until ``ahead_s`` from now."""

    engine: ClusterEngine | None = None
    ahead_s: float = 1800.0

    def _observed(self, telemetry: ClusterTelemetry) -> Situation:
        if self._last and self._last[0][0] is telemetry:
            return self._last[0][1]
        seen = super()._observed(telemetry)
        need = self._coming_need(telemetry)
        present = telemetry.present
        peak = np.where(present, need.max(axis=2), seen.peak_bytes)
        # Headroom counts half of what peaks stand out; here all VMs of a host at their worst time.
        half = 0.5 * (seen.peak_bytes - seen.need_bytes).sum(axis=2)
        now, worst = seen.need_bytes.sum(axis=2), need.sum(axis=3).max(axis=2)
        told = replace(
            seen, peak_bytes=peak, headroom_bytes=seen.headroom_bytes + half + now - worst
        )
        self._last[:] = [(telemetry, told)]
        return told

    def _coming_need(self, telemetry: ClusterTelemetry) -> np.ndarray:
        """(C, H, knots, V) bytes that VMs will need, 0 where there is none."""
        assert self.engine is not None
        (c, h, v), hosts = telemetry.shape, self.engine.hosts
        knot_s = self.engine.params.knot_s
        wanted = hosts.demand[:, :, host_at.WANT_WORKING_SET].reshape(c, h, -1, v)
        first = (telemetry.time_s / knot_s).astype(np.int64)
        knots = first[:, None] + np.arange(int(self.ahead_s / knot_s) + 1)
        knots = np.minimum(knots, wanted.shape[2] - 1)
        coming = np.take_along_axis(wanted, knots[:, None, :, None], axis=2)
        kernel = hosts.world_vm[:, host_at.KERNEL].reshape(c, h, 1, v)
        return np.where(telemetry.present[:, :, None], coming + kernel, 0.0)


def main() -> None:
    """Play, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--scenarios", type=int, default=48)
    parser.add_argument("--split", default="train", choices=["train", "validation", "test"])
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    task, scenario = default_task(CLUSTER), default_scenario(CLUSTER)
    agents: dict[str, AgentFactory] = {"layered": lambda _: Layered(**task.options)}
    for ahead_s in AHEAD_S:
        for filled in FILLED:
            options = {**task.options, "fill_frac": filled, "ahead_s": ahead_s}
            agents[f"told {ahead_s:g} s, filled to {filled:g}"] = lambda worlds, options=options: (
                Told(engine=worlds.engine, **options)
            )
    played = evaluate(
        agents,
        make_source(scenario, given.split, given.seed),
        given.scenarios,
        shape_of(scenario, task),
        task,
        batch=given.scenarios,
    )
    print("| | cost, % | progress lost, % | energy, % of peak | hosts on, % | gain, points |")
    print("|---|---:|---:|---:|---:|---|")
    results = []
    for name in agents:
        gain = mean(PERCENT * played.gains(name, "layered", "reward"))
        level = {
            "cost": -PERCENT * float(played.values(name).mean()),
            **{
                key: PERCENT * float(played.values(name, key).mean())
                for key in ("progress_lost", "energy", "hosts_on")
            },
        }
        shown = " | ".join(f"{value:.4g}" for value in level.values())
        print(f"| {name} | {shown} | {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] |")
        results.append({"agent": name, **level, "gain": [gain.low, gain.value, gain.high]})
    command = shlex.join(["python", "benchmarks/cluster_foresight.py", *sys.argv[1:]])
    print(json.dumps({"benchmark": "cluster_foresight", "command": command, "results": results}))


if __name__ == "__main__":
    main()
