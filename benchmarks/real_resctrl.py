"""Random decisions through guard and adapter on the resctrl of a real kernel, in an emulated guest.

python benchmarks/real_resctrl.py --decisions 10000
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from gymbal_envs.guests.resctrl_guest import boot_resctrl

TESTS = Path(__file__).resolve().parents[1] / "tests"
BATCH = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    transcript = TESTS / "runtime/fixtures/resctrl_transcript.json"
    total = {"decisions": 0, "divided": 0, "refused": 0, "wrong": 0, "left": 0, "seconds": 0.0}
    with tempfile.TemporaryDirectory(prefix="gymbal-") as folder:
        started = time.monotonic()
        machine = boot_resctrl(
            Path(folder),
            TESTS / "real/resctrl/guest_driver.py",
            path=[TESTS / "runtime/adapters", TESTS.parent / "runtime"],
            data=[transcript],
        )
        machine.agent.timeout_s = 3600.0
        print(f"booted after {time.monotonic() - started:.1f} s", flush=True)
        try:
            total["differences"] = len(machine.agent.ask(f"transcript {transcript}")["differences"])
            batches = -(-arguments.decisions // BATCH)
            for batch in range(batches):
                most = min(BATCH, arguments.decisions - batch * BATCH)
                made = machine.agent.ask(f"decisions {most} 3600 {arguments.seed + batch}")
                for name in ("decisions", "divided", "seconds"):
                    total[name] += made[name]
                for name in ("refused", "wrong", "left"):
                    total[name] += len(made[name])
                    for line in made[name]:
                        print(f"{name}: {line}")
                print(f"{total['decisions']} decisions in {total['seconds']:.0f} s", flush=True)
        finally:
            machine.close()
    print(json.dumps(total))


if __name__ == "__main__":
    main()
