"""Real guests against the simulator: static, MEB and the learned policy on the same script.

    python benchmarks/real_host.py                  # plays (half an hour), fits, reports
    python benchmarks/real_host.py --repeats 1
    python benchmarks/real_host.py --plays outputs/real_host/plays.json   # fits and reports again
    python benchmarks/real_host.py --safety 30      # random and adversarial policies, minutes

Two guests have opposite peaks on a budget that one static split cannot serve (the example of the
seed paper in miniature). All policies play at the same time, so that a busy machine is busy for
all of them. The script on which the simulator's constants are fitted is another than the one on
which it is judged; it is played before and after the others.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from real_host_guests import booted, play_on_guests
from real_host_script import FITTED, JUDGED, Play, Script

OUTPUTS = Path("outputs/real_host")
SAFETY = Path(__file__).parent / "results/real_host_safety.json"
PLAIN = ("policy", "time_s", "sources")
"""Fields of a play that are no rows of numbers."""
SCRIPTS = {script.name: script for script in (FITTED, JUDGED)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="plays of the judged script")
    parser.add_argument("--plays", type=Path, help="report on plays that were saved")
    parser.add_argument("--safety", type=float, help="minutes of hostile policies instead")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and take the guests along
    if arguments.safety:
        from real_host_safety import run_safely

        findings = run_safely(arguments.safety * 60.0)
        SAFETY.write_text(json.dumps(findings, indent=1) + "\n")
        print(json.dumps(findings))
        return
    saved = arguments.plays or OUTPUTS / "plays.json"
    if arguments.plays is None:
        play_all(arguments.repeats, saved)
    from real_host_report import report

    print(json.dumps(report(load(saved))))


def play_all(repeats: int, path: Path) -> None:
    """Play both scripts on real guests; every play is saved at once."""
    order = [JUDGED] * repeats
    for place in (len(order), 0):
        order.insert(place, FITTED)
    path.parent.mkdir(parents=True, exist_ok=True)
    done: list[dict[str, Any]] = []
    with booted() as here:
        for script in order:
            before = os.getloadavg()[0]
            plays = play_on_guests(here, script)
            load = {"before": before, "after": os.getloadavg()[0]}
            done.append({"script": script.name, "load": load, "plays": plain(plays)})
            path.write_text(
                json.dumps({"scripts": {n: asdict(s) for n, s in SCRIPTS.items()}, "done": done})
            )
            works = {policy: round(play.work) for policy, play in plays.items()}
            print(
                script.name, works, {p: play.sources for p, play in plays.items()}, load, flush=True
            )


def plain(plays: dict[str, Play]) -> dict[str, Any]:
    """Plays as JSON."""
    return {
        policy: {name: np.asarray(value).tolist() if isinstance(value, list) else value
                 for name, value in vars(play).items()}
        for policy, play in plays.items()
    }  # fmt: skip


def load(path: Path) -> list[tuple[Script, dict[str, Play], dict[str, float]]]:
    """What `play_all` saved: script, play by policy, and load of the machine.

    Raises:
        ValueError: the scripts have changed since.
    """
    saved = json.loads(path.read_text())
    if saved["scripts"] != json.loads(json.dumps({n: asdict(s) for n, s in SCRIPTS.items()})):
        raise ValueError(f"{path} is of other scripts: play them again")
    found = []
    for one in saved["done"]:
        plays = {}
        for policy, values in one["plays"].items():
            rows = {
                name: value if name in PLAIN else [np.array(row, dtype=float) for row in value]
                for name, value in values.items()
            }
            plays[policy] = Play(**rows)
        found.append((SCRIPTS[one["script"]], plays, one["load"]))
    return found


if __name__ == "__main__":
    main()
