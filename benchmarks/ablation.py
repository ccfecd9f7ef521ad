"""What each resource brings: a policy of a whole host with some of its decisions taken away.

    python benchmarks/ablation.py POLICY.gymbal... [--scenarios 256]

On the same held-out hosts of gymbal/Host-v0 play the tuned stack of heuristics, the policies (one
file per training seed), and the policies with one resource left to the heuristic (*without*) or
all but one (*only*). A resource that is taken away gets zero corrections, which is exactly the
heuristic's command; the policy goes on seeing it. Beside them, the stack with one resource that
nobody manages. Gains are paired, over seeds and hosts, with 95 % bootstrap intervals; the table is
Markdown, the last line JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.evaluate import AgentFactory, evaluate
from gymbal_agents.roster import find_tuned
from gymbal_agents.statistics import Estimate, mean
from gymbal_envs.scenarios.source import default_scenario, make_source
from gymbal_envs.tasks.config import default_task
from gymbal_envs.tasks.open import shape_of
from gymbal_runtime.bundle import Bundle, read_bundle
from gymbal_runtime.codec import Codec, Observation
from gymbal_runtime.codec_agent import CodecAgent
from gymbal_runtime.heuristics import make_heuristic
from gymbal_runtime.parts import parts_of
from gymbal_runtime.tasks import HOST

Floats = NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[1]
RESOURCES = tuple(part.name for part in parts_of(HOST))
STACK = "stacked heuristics"


def main() -> None:
    parser = argparse.ArgumentParser(description="what each resource brings to gymbal/Host-v0")
    parser.add_argument("policies", nargs="+", metavar="POLICY.gymbal")
    parser.add_argument("--scenarios", type=int, default=256, help="held-out hosts (256)")
    given = parser.parse_args()
    bundles = [read_bundle(Path(file)) for file in given.policies]
    tuned = find_tuned("auto", ROOT / "configs" / "tuned", HOST).get("stacked", {})
    rewards = play(roster(bundles, tuned), given.scenarios)
    stack = rewards[STACK]
    rows = [row_of(name, values, stack) for name, values in merged(rewards).items()]
    print("| agent | cost, % | better than the stack by, % |")
    print("|---|---:|---:|")
    for row in rows:
        print(f"| {row['agent']} | {shown(row['cost'])} | {shown(row['gain'])} |")
    line = {
        "benchmark": "ablation",
        "command": shlex.join(["python", "benchmarks/ablation.py", *sys.argv[1:]]),
        "scenarios": given.scenarios,
        "results": rows,
        "load_average": round(os.getloadavg()[0], 2),
    }
    print(json.dumps(line))


def roster(bundles: list[Bundle], tuned: dict[str, Any]) -> dict[str, AgentFactory]:
    """Every agent by name; ``NAME/SEED`` are the training seeds of one."""
    agents: dict[str, AgentFactory] = {STACK: _heuristic(tuned)}
    for resource in RESOURCES:
        agents[f"stack, {resource} unmanaged"] = _heuristic({**tuned, resource: None})
    kept = {"policy": RESOURCES}
    kept |= {f"policy without {r}": tuple(x for x in RESOURCES if x != r) for r in RESOURCES}
    kept |= {f"policy, {r} only": (r,) for r in RESOURCES}
    for name, resources in kept.items():
        for seed, bundle in enumerate(bundles):
            agents[f"{name}/{seed}"] = _partial(bundle, resources)
    return agents


def _heuristic(options: dict[str, Any]) -> AgentFactory:
    return lambda worlds: make_heuristic("stacked", **options)


def _partial(bundle: Bundle, resources: tuple[str, ...]) -> AgentFactory:
    masked = with_actions_of(bundle.policy, bundle.codec, resources)
    return lambda worlds: CodecAgent(bundle.codec, masked)


def with_actions_of(
    policy: Callable[[Observation], NDArray[np.float32]], codec: Codec, resources: tuple[str, ...]
) -> Callable[[Observation], NDArray[np.float32]]:
    """The policy with zeros in the columns of all other resources."""
    mask = [part.name in resources for part in parts_of(codec.task) for _ in part.actions]
    kept = np.array(mask, dtype=np.float32)
    return lambda observation: policy(observation) * kept


def play(agents: dict[str, AgentFactory], num_scenarios: int) -> dict[str, Floats]:
    """Mean reward (N,) per decision of each agent on the test split."""
    task, scenario = default_task(HOST), default_scenario(HOST)
    result = evaluate(
        agents,
        make_source(scenario, "test", 0),
        num_scenarios,
        shape_of(scenario, task),
        task,
        num_threads=2,
    )
    return {name: result.values(name) for name in agents}


def merged(rewards: dict[str, Floats]) -> dict[str, Floats]:
    """Rewards (S, N) of each agent over its seeds."""
    together: dict[str, list[Floats]] = {}
    for name, values in rewards.items():
        together.setdefault(name.rpartition("/")[0] or name, []).append(values)
    return {name: np.array(values) for name, values in together.items()}


def row_of(name: str, rewards: Floats, stack: Floats) -> dict[str, Any]:
    """Cost and gain in % of the wanted progress, each as value and interval."""
    estimates: dict[str, Estimate] = {"cost": mean(-rewards), "gain": mean(rewards - stack)}
    scaled = {key: estimate.scaled(100.0) for key, estimate in estimates.items()}
    ends = {key: [round(x, 3) for x in (e.value, e.low, e.high)] for key, e in scaled.items()}
    return {"agent": name, **ends}


def shown(interval: list[float]) -> str:
    """Value and interval for people."""
    value, low, high = interval
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main()
