"""What the rules for overloaded hosts have in common: reading, memory, and tidying up."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from gymbal_runtime.building import check_range
from gymbal_runtime.cluster.agent import ClusterAgent
from gymbal_runtime.cluster.heuristics.draft import Draft
from gymbal_runtime.cluster.heuristics.situation import Situation, observe
from gymbal_runtime.cluster.orders import BORROW, CANCEL, MERGE, RECALL, Orders
from gymbal_runtime.cluster.suffering import (
    RATE_FLOOR_BYTES_S,
    RELEASE_S,
    STALL_FLOOR,
    Floors,
)
from gymbal_runtime.cluster.telemetry import NOBODY, ClusterTelemetry
from gymbal_runtime.cluster.vm_memory import VmMemory
from gymbal_runtime.telemetry import Bools, Floats

GUESSED_FAR_S = 2e-4
"""s, wait for a far page where none was measured yet: TCP over 1 Gbit/s (models.md 1.4)."""


def far_of_local(telemetry: ClusterTelemetry) -> Floats:
    """(C, H) wait for a far page over that for one from the local swap device.

    1 where no local wait is known: far pages are taken to be no faster.
    """
    local = telemetry.hosts.swap_latency_s.reshape(telemetry.exists.shape)
    far = telemetry.far_latency_s
    with np.errstate(all="ignore"):
        ratio = np.where(np.isnan(far), GUESSED_FAR_S, far) / local
    return np.where(np.isfinite(ratio), ratio, 1.0)


@dataclass(frozen=True, eq=False)
class ClusterRule(ClusterAgent):
    """A rule that answers overloads; subclasses say how (``_decide``).

    Far pages come home and clones merge once an overload is over and there is room; a copy that
    does not end is cancelled. Only legal orders are given, and moves of one decision do not count
    on the same memory, slot or link.

    Attributes:
        TUNABLE: parameter -> (low, high), what a tuner may vary and how far.
        rate_floor_bytes_s: bytes/s swapped in above which a VM suffers.
        stall_floor: 1, part of the time stalled on memory above which it does.
        release_s: s of quiet after which an overload is over.
        margin_frac: 1, part of a target's memory that a move leaves free.
        dwell_s: s that a VM stays on a host before it may move again.
        moves_per_host: VMs that may be on their way out of a host at once.
        cancel_after_s: s after which a copy that is still going on is given up.
        least_speedup: 1, how many times as fast as the local swap device far memory has to be for a
            VM to borrow; 0: any speed will do.
        balance: local agents divide the memory of their hosts; False: a static split.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "rate_floor_bytes_s": (1e5, 3e7),
        "stall_floor": (0.005, 0.3),
        "release_s": (10.0, 120.0),
        "margin_frac": (0.0, 0.15),
        "dwell_s": (10.0, 600.0),
        "least_speedup": (0.0, 5.0),
    }
    name = "rule"

    rate_floor_bytes_s: float = RATE_FLOOR_BYTES_S
    stall_floor: float = STALL_FLOOR
    release_s: float = RELEASE_S
    margin_frac: float = 0.03
    dwell_s: float = 120.0
    moves_per_host: int = 1
    cancel_after_s: float = 900.0
    least_speedup: float = 0.0
    balance: bool = True
    _memory: VmMemory = field(init=False, repr=False, default_factory=VmMemory)

    def __post_init__(self) -> None:
        check_range(
            self.name,
            rate_floor_bytes_s=(self.rate_floor_bytes_s, 0.0, 1e12),
            stall_floor=(self.stall_floor, 0.0, 1.0),
            release_s=(self.release_s, 0.0, 3600.0),
            margin_frac=(self.margin_frac, 0.0, 1.0),
            dwell_s=(self.dwell_s, 0.0, 86400.0),
            moves_per_host=(self.moves_per_host, 1, 64),
            cancel_after_s=(self.cancel_after_s, 0.0, np.inf),
            least_speedup=(self.least_speedup, 0.0, 1e6),
        )

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """Forget the marked clusters (C,), all where ``worlds`` is None or the shape is new."""
        shape = self._memory.vm_id.shape
        same = worlds is not None and (shape[0], shape[2]) == (num_worlds, num_vms)
        self._memory.forget(worlds if same else None)

    def act(self, telemetry: ClusterTelemetry) -> Orders:
        """Decide for every cluster of the record."""
        floors = Floors(self.rate_floor_bytes_s, self.stall_floor, self.release_s)
        seen = observe(telemetry, self._memory, floors, self.balance)
        draft = Draft(telemetry, seen, self.margin_frac, self.moves_per_host)
        draft.tell(CANCEL, telemetry.move_s > self.cancel_after_s)
        self._decide(telemetry, seen, draft)
        self._tidy(telemetry, seen, draft)
        balance = np.full(telemetry.num_clusters, self.balance)
        return replace(draft.told, balance=balance, pool_bytes=self._pool_bytes(telemetry, seen))

    @abstractmethod
    def _decide(self, telemetry: ClusterTelemetry, seen: Situation, draft: Draft) -> None:
        """Write to ``draft`` what shall be done about the overloads of this record."""

    def _pool_bytes(self, telemetry: ClusterTelemetry, seen: Situation) -> Floats:
        """Memory (C, H) that each host sets aside to lend; NaN: it lends what is free."""
        return np.full(telemetry.exists.shape, np.nan)

    def _tidy(self, telemetry: ClusterTelemetry, seen: Situation, draft: Draft) -> None:
        """Bring far pages home and merge clones where the overload is over and there is room."""
        calm = ~seen.suffering & (seen.calm_s >= self.release_s)
        far = np.where(telemetry.present, telemetry.far_bytes, 0.0)
        enough = seen.lack_bytes + far.sum(axis=2) <= 0.0
        draft.tell(RECALL, calm & enough[:, :, None])
        twins = telemetry.present & (telemetry.twin != NOBODY)
        quiet = ~(twins & ~calm).any(axis=(1, 2))
        # One order is enough for the two, and the second would be refused.
        first = telemetry.twin > np.arange(telemetry.num_hosts)[:, None]
        long = seen.calm_s >= 4.0 * self.release_s
        draft.tell(MERGE, twins & first & long & quiet[:, None, None])

    def _borrow(self, telemetry: ClusterTelemetry, draft: Draft, wanted: Bools) -> None:
        """Let the wanted VMs (C, H, V) borrow where far memory is fast enough to be worth it."""
        with np.errstate(all="ignore"):
            speedup = 1.0 / far_of_local(telemetry)
        draft.tell(BORROW, wanted & (speedup >= self.least_speedup)[:, :, None])

    def _may_move(self, seen: Situation) -> Bools:
        """VMs (C, H, V) that have been on their host for long enough."""
        return seen.hosted_s >= self.dwell_s
