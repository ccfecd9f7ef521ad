"""What test guests say of themselves, as a part of a host: what no hypervisor can measure alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.guests.agent import DISTANCE_BIN_BYTES, NUM_DISTANCE_BINS, Agent, Report
from gymbal_runtime.adapters.part import Vm
from gymbal_runtime.telemetry import NUM_LRU_SLICES

Floats = NDArray[np.float64]

_KIB = 1024.0


class GuestReports:
    """Pressure stalls, swap use, active memory and LRU histograms, from the guests' agents.

    The histogram is that of the agent's own touches: it stands in for a monitor that intercepts
    accesses, and like one it sees no farther than the guest's memory.

    Args:
        agents: by name of the guest.
        reserved_bytes: memory that a guest's kernel keeps from its own count of all memory: what
            the guest was started with less MemTotal, both with an empty balloon.
        active_window_s: a page touched within it counts as active.
    """

    name = "guests"
    measures = frozenset(
        {"psi_some_frac", "swap_used_bytes", "active_bytes", "lru_hit_rate", "swap_latency_s"}
    )
    obeys: frozenset[str] = frozenset()

    def __init__(
        self, agents: Mapping[str, Agent], reserved_bytes: float, active_window_s: float = 10.0
    ) -> None:
        self.newest: dict[str, Report] = {}
        self._agents = dict(agents)
        self._reserved_bytes = reserved_bytes
        self._active_window_s = active_window_s
        self._pool = ThreadPoolExecutor(max(len(self._agents), 1), "guest-reports")

    def read(self, vms: Sequence[Vm]) -> dict[str, Floats | float]:
        """The newest values; rates since the last reading. A guest that is silent is NaN."""
        asked = [self._pool.submit(self._report, vm.name) for vm in vms]
        rows = {name: np.full(len(vms), np.nan) for name in self.measures - {"lru_hit_rate"}}
        hits = np.full((len(vms), NUM_LRU_SLICES), np.nan)
        fault_s = faults = 0.0
        for row, (vm, future) in enumerate(zip(vms, asked, strict=True)):
            now, before = future.result(), self.newest.get(vm.name)
            if now is None:
                continue
            self.newest[vm.name] = now
            swapped = (now.swap_total_kib - now.swap_free_kib) * _KIB
            rows["swap_used_bytes"][row] = swapped
            rows["active_bytes"][row] = now.active_pages * 4096.0 + self._kernel_bytes(now)
            if before is None or not now.time_s > before.time_s:
                continue
            stalled = (now.stalled_us - before.stalled_us) * 1e-6
            rows["psi_some_frac"][row] = min(stalled / (now.time_s - before.time_s), 1.0)
            hits[row] = self._hit_rates(now, before)
            fault_s += now.fault_s - before.fault_s
            faults += now.faults - before.faults
        del rows["swap_latency_s"]
        latency = fault_s / faults if faults > 0 else np.nan
        return {**rows, "lru_hit_rate": hits, "swap_latency_s": latency}

    def apply(self, vms: Sequence[Vm], settings: Mapping[str, Floats]) -> None:
        """It obeys nothing."""

    def close(self) -> None:
        """Hang up on the agents."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for agent in self._agents.values():
            agent.close()

    def _report(self, name: str) -> Report | None:
        try:
            return self._agents[name].report(self._active_window_s)
        except (KeyError, OSError):
            return None

    def _kernel_bytes(self, report: Report) -> float:
        """Memory of a guest that is neither its program's nor free."""
        others = report.total_kib - report.anonymous_kib - report.available_kib
        return max(others, 0.0) * _KIB + self._reserved_bytes

    def _hit_rates(self, now: Report, before: Report) -> Floats:
        """Touches per second by eighths of the guest's memory; its kernel's pages come first."""
        counted = np.diff([before.distances, now.distances], axis=0)[0][:NUM_DISTANCE_BINS]
        edges = self._kernel_bytes(now) + np.arange(NUM_DISTANCE_BINS + 1) * DISTANCE_BIN_BYTES
        actual = now.total_kib * _KIB + self._reserved_bytes
        slices = np.linspace(0.0, actual, NUM_LRU_SLICES + 1)
        below = np.interp(slices, edges, np.concatenate([[0.0], np.cumsum(counted)]))
        rates: Floats = np.maximum(np.diff(below), 0.0) / (now.time_s - before.time_s)
        return rates
