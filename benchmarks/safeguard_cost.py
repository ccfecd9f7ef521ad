"""What the controller's care costs: progress lost with and without each precaution.

    python benchmarks/safeguard_cost.py [--scenarios 16] [--steps 200]

Held-out simulated hosts under a policy, a heuristic and no change at all, in act mode: nothing
beyond the guard of training; guests' working sets protected; memory given only once it is there;
new VMs left alone for three decisions; all of it, which is the controller's default. Prints a table
of the share-weighted progress lost (0 is no slowdown), then one JSON line.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from gymbal_envs.simulated_host import open_host
from gymbal_runtime.assembly import Deciders
from gymbal_runtime.bundle import read_bundle
from gymbal_runtime.controller import Controller
from gymbal_runtime.decision import SilentLog
from gymbal_runtime.guard_protection import Protection
from gymbal_runtime.safeguard import Safeguard
from gymbal_runtime.settings import PolicySettings

BUNDLE = Path(__file__).parents[1] / "policies" / "balloon.gymbal"
CARE = {
    "as in training": {},
    "protection": {"protection": Protection()},
    "shrink first": {"shrink_first": True},
    "hold 3": {"hold_steps": 3},
    "all": {"protection": Protection(), "shrink_first": True, "hold_steps": 3},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--scenarios", type=int, default=16)
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()
    agents = {
        "policy": Deciders(read_bundle(args.bundle), PolicySettings()),
        "meb": Deciders(None, PolicySettings(heuristic="meb")),
        "static": Deciders(None, PolicySettings(heuristic="static")),
    }
    print(f"{'progress lost':<16}" + "".join(f"{name:>16}" for name in CARE))
    lost = {}
    for agent, deciders in agents.items():
        lost[agent] = {}
        for name, care in CARE.items():
            runs = [played(deciders, care, k, args.steps) for k in range(args.scenarios)]
            lost[agent][name] = round(float(np.mean(runs)), 5)
        print(f"{agent:<16}" + "".join(f"{value:>16.4f}" for value in lost[agent].values()))
    settings = {"scenarios": args.scenarios, "steps": args.steps}
    print(json.dumps({"benchmark": "safeguard_cost", **settings, "progress_lost": lost}))


def played(deciders: Deciders, care: dict, scenario: int, num_steps: int) -> float:
    """Mean progress lost over one scenario."""
    host = open_host(scenario=str(scenario))
    controller = Controller(
        host,
        deciders.agent(),
        deciders.fallback(),
        mode="act",
        safeguard=Safeguard(**care),
        deadline_s=10.0,
        log=SilentLog(),
    )
    controller.run(num_steps, 0.0)
    return float(np.mean(host.progress_lost))


if __name__ == "__main__":
    main()
