"""Slowdown at equal numbers of active hosts: policies against rules from loosely to tightly packed.

python benchmarks/placement_frontier.py --policy FILE [--policy FILE ...] [--scenarios 40]

A rule with a higher ceiling packs hosts tighter: fewer of them are on, and VMs are slower. So each
rule is played at several ceilings, and its slowdown at the policy's mean number of hosts is read
between two of them, scenario by scenario. The difference is paired, with 95 % bootstrap intervals.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np

from gymbal_agents.evaluate import Evaluation, evaluate
from gymbal_agents.roster import read_tuned
from gymbal_envs.scenarios.source import default_scenario, make_source
from gymbal_envs.tasks.config import default_task
from gymbal_envs.tasks.open import shape_of
from gymbal_runtime.bundle import read_bundle
from gymbal_runtime.placement.heuristics import make_placement_heuristic
from gymbal_runtime.tasks import PLACEMENT

CEILINGS = (0.45, 0.6, 0.75, 0.9, 1.1)
RULES = ("compatible", "paragon")
"""The two that lose least; the others lie far above."""
TIGHTEST = {"ceiling": 1.2, "arrival_frac": 0.0}
RESAMPLES = 10_000


def main() -> None:
    args = parse()
    task, scenario = default_task(PLACEMENT), default_scenario(PLACEMENT)
    tuned = read_tuned("configs/tuned/placement.yaml")
    agents = {}
    for rule in RULES:
        settings = [{"ceiling": ceiling} for ceiling in CEILINGS] + [TIGHTEST]
        for number, changes in enumerate(settings):
            options = tuned.get(rule, {}) | changes
            agents[f"{rule}/{number}"] = partial(play_rule, rule, options)
    for path in args.policy:
        agents[f"policy/{path}"] = partial(play_policy, path)
    source = make_source(scenario, "test", args.seed)
    played = evaluate(
        agents, source, args.scenarios, shape_of(scenario, task), task, batch=args.scenarios
    )
    report = {
        "command": f"python benchmarks/placement_frontier.py --scenarios {args.scenarios}",
        "points": {name: point(played, name) for name in agents},
        "slowdown_less_than": compare(played, len(args.policy)),
    }
    args.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report["slowdown_less_than"], indent=1))


def play_rule(rule, options, worlds):
    return make_placement_heuristic(rule, **options)


def play_policy(path, worlds):
    return read_bundle(path).agent()


def point(played: Evaluation, name: str) -> dict[str, float]:
    names = ("reward", "slowdown", "hosts_on", "active_hosts", "energy_kwh", "waiting")
    return {key: round(float(played.values(name, key).mean()), 5) for key in names}


def compare(played: Evaluation, num_policies: int) -> dict[str, dict[str, list[float]]]:
    """For each rule: slowdown of the rule at the policies' hosts, minus the policies', points.

    A team of seeds counts as the mean of its members. NaN where the rule never uses as few hosts.
    """
    policies = [name for name in played.measures if name.startswith("policy/")]
    mine = np.mean([played.values(name, "slowdown") for name in policies], axis=0)
    hosts = float(np.mean([played.values(name, "hosts_on") for name in policies]))
    found = {}
    for rule in RULES:
        names = [name for name in played.measures if name.startswith(f"{rule}/")]
        theirs = at_hosts(played, names, hosts)
        found[rule] = {"points": interval(100.0 * (theirs - mine))}
    assert len(policies) == num_policies
    return found


def at_hosts(played: Evaluation, names: list[str], hosts: float) -> np.ndarray:
    """(N,) slowdown of a rule between the two settings around a mean number of hosts."""
    means = np.array([played.values(name, "hosts_on").mean() for name in names])
    order = np.argsort(means)
    if not means.min() <= hosts <= means.max():
        # It has no such setting: the nearest one uses other hosts, which is said by its point.
        return played.values(names[int(np.abs(means - hosts).argmin())], "slowdown")
    above = int(np.searchsorted(means[order], hosts))
    low, high = order[max(above - 1, 0)], order[above]
    part = (hosts - means[low]) / max(means[high] - means[low], 1e-12)
    left, right = (played.values(names[one], "slowdown") for one in (low, high))
    return left + part * (right - left)


def interval(values: np.ndarray) -> list[float]:
    """Mean, and its 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    drawn = values[rng.integers(0, values.size, (RESAMPLES, values.size))].mean(axis=1)
    return [round(float(x), 3) for x in (values.mean(), *np.quantile(drawn, (0.025, 0.975)))]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", action="append", default=[], required=True)
    parser.add_argument("--scenarios", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/placement.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
