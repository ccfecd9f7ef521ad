"""Hand-written moves between sites whose best plan can be worked out on paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.sites_scenario import SitesScenario, Wan
from gymbal_envs.simulator.cluster.migration_layout import NUM_DIRTY, NUM_GROUPS, SIZE, TAU
from gymbal_envs.simulator.params import GIB

_KNOT_S = 10.0


def plain_sites(
    memory_bytes: float | tuple[float, ...], knots: int = 361, **changes: Any
) -> SitesScenario:
    """VMs that write nothing, on an empty line of 100 MB/s without loss; 0.05 a second away.

    Args:
        memory_bytes: of each VM.
        knots: of demand, one every 10 s.
        changes: any field of `SitesScenario`; scalars count for each VM.
    """
    memory = np.atleast_1d(np.asarray(memory_bytes, dtype=np.float64))
    n = memory.size
    dirty = np.zeros((n, NUM_GROUPS, NUM_DIRTY))
    dirty[:, :, TAU] = np.inf
    columns: dict[str, Any] = {
        "name": "plain",
        "wan": Wan(100e6, 0.02, loss=0.0),
        "background": np.zeros(knots, dtype=np.float32),
        "deadline_s": np.inf,
        "present": np.ones(n, dtype=np.bool_),
        "memory_bytes": memory,
        "dirty": dirty,
        "activity": np.ones((knots, n), dtype=np.float32),
        "seed": 1,
        "knot_s": _KNOT_S,
    }
    per_vm = {
        "shares": 1.0, "away_cost": 0.05, "vcpus": 2.0, "disk_bytes": 0.0, "write_bytes_s": 0.0,
        "write_set_bytes": 0.0, "commit_rate": 0.0, "memory_redundancy": 0.0,
        "disk_redundancy": 0.0, "memory_hint": 0.0, "disk_hint": 0.0,
    }  # fmt: skip
    for name, value in per_vm.items():
        columns[name] = np.ones(n) * np.asarray(changes.pop(name, value), dtype=np.float64)
    return SitesScenario(**(columns | changes))


@dataclass(frozen=True)
class TwoSizes:
    """Two VMs of equal worth, one of ``small_bytes``, one of ``large_bytes``, and nothing else.

    Nobody writes, so there is nothing to be won by waiting, and any move that is not cold pauses
    the VM for the hand-over alone. What is left is one machine (the line) and two jobs with equal
    weights: the sum of completion times is least if the **smaller goes first and alone** (Smith,
    1956). With sizes a < b over the line's rate r the VMs are away for ``a / r`` and ``(a + b) /
    r``. Both at once: ``2 a / r`` and ``(a + b) / r``, which costs ``a / r`` more.
    """

    small_bytes: float = 6e9
    large_bytes: float = 24e9

    def __call__(self) -> SitesScenario:
        """The scenario; it has no chance in it but the sensors' noise."""
        return plain_sites((self.large_bytes, self.small_bytes), name="two-sizes")


@dataclass(frozen=True)
class QuietSpell:
    """One VM that writes to ``hot_bytes`` of memory all the time, but for one quiet spell.

    Its memory of 4 GiB crosses the line of 100 MB/s in 45 s. While the VM is busy, rounds of
    pre-copy never leave less than about ``hot_bytes`` (written within a tenth of a second), 1 GiB:
    whoever stops then pauses the VM for 11 s. From ``quiet_s`` on it writes nothing for a quarter
    of an hour: a round later nothing is left, and a stop costs the hand-over alone, 0.36 s. So the
    optimum is to **have everything but the hot pages over there by then, and to stop one round
    after the spell begins**, as long as 10.7 s of downtime cost more than being away until then.
    """

    hot_bytes: float = 1.0 * GIB
    quiet_s: float = 300.0

    def __call__(self) -> SitesScenario:
        """The scenario; it has no chance in it but the sensors' noise."""
        knots = 181
        time_s = np.arange(knots) * _KNOT_S
        busy = (time_s < self.quiet_s) | (time_s >= self.quiet_s + 900.0)
        activity: NDArray[np.float32] = busy.astype(np.float32)[:, None]
        dirty = np.zeros((1, NUM_GROUPS, NUM_DIRTY))
        dirty[0, :, TAU] = np.inf
        dirty[0, 0, SIZE], dirty[0, 0, TAU] = self.hot_bytes, 0.1
        return plain_sites(
            4 * GIB, knots, name="quiet-spell", dirty=dirty, activity=activity, away_cost=0.02
        )


TOYS: dict[str, Callable[[], SitesScenario]] = {
    "two-sizes": TwoSizes(),
    "quiet-spell": QuietSpell(),
}
