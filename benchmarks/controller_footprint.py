"""What a controller costs the host that it runs on, measured in a fresh thin process.

    python benchmarks/controller_footprint.py [--bundle FILE] [--vms 64] [--hours 1]

A controller with everything on (policy, guard, protection, whole records in a rotating log, metrics
in a file and over HTTP) runs hosts that live in memory: demands wander, balloons move at their own
pace, a VM is replaced every minute. An hour is 720 decisions at an interval of 5 s, taken one after
the other.

Bars: 150 MB resident, 1 % of one core at the interval, and no growth: at most 1 MB more resident at
the end than after the first quarter. Prints a table, then one JSON line.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from pathlib import Path

from thin_process import check_thin, measured_apart, print_result, resident_mb

BUNDLE = Path(__file__).parents[1] / "policies" / "balloon.gymbal"
INTERVAL_S = 5.0
BARS = {"rss_mb": 150.0, "core_percent": 1.0, "growth_mb": 1.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--vms", type=int, default=64)
    parser.add_argument("--hours", type=float, default=1.0, help="simulated")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.bundle, args.vms, args.hours)))
        return
    result = measured_apart(__file__, bundle=args.bundle, vms=args.vms, hours=args.hours)
    title = f"{args.vms} VMs, {args.hours:g} simulated hours, one fresh process"
    print_result("controller_footprint", title, result, BARS, vms=args.vms, hours=args.hours)


def measure(bundle: Path, num_vms: int, hours: float) -> dict:
    """Everything here runs in the fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        controller, server = make_controller(bundle, num_vms, Path(folder))
        steps = round(hours * 3600 / INTERVAL_S)
        resident, cpu_s = [], 0.0
        for _ in range(4):
            begun = time.process_time()
            controller.run(steps // 4, 0.0)
            cpu_s += time.process_time() - begun
            gc.collect()
            resident.append(resident_mb("VmRSS"))
        controller.host.close()
        server.close()
    check_thin()
    metrics = controller.metrics
    return {
        "rss_mb": round(resident_mb("VmHWM"), 1),
        "core_percent": round(100 * cpu_s / (steps * INTERVAL_S), 3),
        "growth_mb": round(resident[-1] - resident[0], 2),
        "cpu_ms_per_decision": round(1e3 * cpu_s / steps, 3),
        "decisions": metrics.count("gymbal_decisions_total", "policy"),
        "by_fallback": metrics.count("gymbal_decisions_total", "fallback"),
        "applied": metrics.count("gymbal_commands_applied_total"),
    }


def make_controller(bundle: Path, num_vms: int, folder: Path) -> tuple:
    """A controller and its metrics server."""
    from gymbal_runtime import assembly
    from gymbal_runtime.adapters.combined import CombinedHost
    from gymbal_runtime.metrics_server import MetricsServer
    from gymbal_runtime.settings import (
        ControlSettings,
        LogSettings,
        MetricsSettings,
        PolicySettings,
        Settings,
    )

    hypervisor = wandering_guests(num_vms)
    budget = 0.9 * num_vms * hypervisor.largest_bytes / 2
    clock = hypervisor.clock
    host = CombinedHost(hypervisor, name="footprint", budget_bytes=budget, clock=clock)
    assembly.open_settings_host = lambda settings: host
    controller = assembly.make_controller(
        Settings(
            policy=PolicySettings(bundle=str(bundle), deadline_s=10.0),
            control=ControlSettings(
                mode="act", on_exit="restore", state_file=str(folder / "state.json")
            ),
            log=LogSettings(file=str(folder / "log"), max_size="4MiB", keep=2, telemetry="full"),
            metrics=MetricsSettings(file=str(folder / "metrics")),
        )
    )
    server = MetricsServer(":0", controller.metrics_text, lambda: (True, ""))
    server.start()
    return controller, server


def wandering_guests(num_vms: int):
    """A hypervisor in memory; each reading of it lets an interval pass."""
    import numpy as np

    from gymbal_runtime.adapters.part import Vm

    class Guests:
        name = "guests"
        measures = frozenset({"actual_bytes"})
        obeys = frozenset({"balloon_bytes"})
        largest_bytes = 4.0 * 2**30

        def __init__(self) -> None:
            self.rng = np.random.default_rng(0)
            self.need = self.rng.uniform(0.2, 0.6, num_vms) * self.largest_bytes
            self.held = np.full(num_vms, 0.45 * self.largest_bytes)
            self.target = self.held.copy()
            self.born = 0
            self.here = [self.new_vm() for _ in range(num_vms)]
            self.time_s = 0.0

        def clock(self) -> float:
            return self.time_s

        def new_vm(self) -> Vm:
            self.born += 1
            return Vm(f"guest-{self.born}", uuid=f"00000000-{self.born:012d}")

        def vms(self) -> list[Vm]:
            self.time_s += INTERVAL_S
            if self.time_s % 60 == 0:
                row = int(self.rng.integers(num_vms))
                self.here[row] = self.new_vm()
            return list(self.here)

        def read(self, vms):
            step = self.rng.normal(0, 0.02, num_vms) * self.largest_bytes
            self.need = np.clip(self.need + step, 2**28, 0.9 * self.largest_bytes)
            most = 2.0**29  # bytes that a balloon moves in an interval
            self.held = self.held + np.clip(self.target - self.held, -most, most)
            missing = np.maximum(self.need - self.held, 0.0)
            full = np.ones(num_vms)
            return {
                "actual_bytes": self.held,
                "usable_bytes": np.maximum(self.held - self.need, 0.0),
                "memory_max_bytes": full * self.largest_bytes,
                "memory_min_bytes": full * 2**28,
                "shares": full * 1000,
                "swap_in_rate": missing / 50,
                "swap_out_rate": missing / 50,
                "swap_used_bytes": missing,
                "major_fault_rate": missing / 2e5,
                "psi_some_frac": np.minimum(missing / self.need, 1.0),
                "cpu_cores": full * 0.5,
                "steal_frac": full * 0.0,
                "active_bytes": np.minimum(self.need, self.held),
                "lru_hit_rate": self.rng.exponential(1e3, (num_vms, 8)),
                "swap_latency_s": 1e-3,
            }

        def apply(self, vms, settings) -> None:
            told = settings["balloon_bytes"]
            self.target = np.where(np.isnan(told), self.target, told)

        def close(self) -> None:
            pass

    return Guests()


if __name__ == "__main__":
    main()
