"""All layers of a cluster's manager on top of each other; any of them can be left out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from gymbal_runtime.building import check_range
from gymbal_runtime.cluster.heuristics.balance_first import BalanceFirst
from gymbal_runtime.cluster.heuristics.consolidating import Consolidating
from gymbal_runtime.cluster.heuristics.corrections import LayerCorrections
from gymbal_runtime.cluster.heuristics.draft import Draft
from gymbal_runtime.cluster.heuristics.placing import place_waiting
from gymbal_runtime.cluster.heuristics.rooms import Rooms, Sizes
from gymbal_runtime.cluster.heuristics.situation import Situation, observe
from gymbal_runtime.cluster.orders import BORROW, CANCEL, Orders
from gymbal_runtime.cluster.powered import PoweredTelemetry
from gymbal_runtime.cluster.suffering import Floors
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.telemetry import Bools, Floats

_TUNED_AGAIN = ("stall_floor", "margin_frac", "dwell_s", "least_speedup", "patience_s", "fixed_s")
"""Options of the answer to overloads that depend on how often decisions are made."""

LAYERS = ("local", "remote", "migration", "consolidation")
"""Each with those before it."""


@dataclass(frozen=True, eq=False)
class Layered(BalanceFirst):
    """Balance locally, borrow, move, consolidate: the best rule of each layer, stacked.

    Layer by layer: ``local`` leaves everything to the agents that divide each host's memory;
    ``remote`` lets VMs that suffer borrow memory of other hosts; ``migration`` answers overloads as
    `BalanceFirst` does; ``consolidation`` empties the least used hosts whose VMs fit on others,
    lets empty ones sleep, and wakes them when the rest fills up. VMs that come are placed in every
    case: on the host that they fill best without making it full, or else on the one with most left.

    Sources: Wang, Wang, Luo, "Dynamic resource balancing in cloud computing framework" (3.4, 3.5);
    for the last layer Beloglazov and Buyya, CCPE 24(13), 2012, algorithm 2 (all VMs of a host or
    none, the largest first), with a band between emptying and waking as DRS/DPM has it (models.md
    7.4).

    Attributes:
        layers: the highest that is played, one of `LAYERS`; the stacks named after them have it
            set.
        fill_frac: 1, part of a host's memory that its VMs may need (half of their peaks counted)
            when it takes those of another that is emptied; above 1, on the chance that peaks do
            not meet.
        wake_gap: 1, by so much more of the memory of all hosts that are on, a further one is woken.
        cpu_fill_frac: 1, the same as ``fill_frac`` for its cores; at 1 they count as full.
        least_on_s: s that a host stays on after it was woken.
        clear_moves: VMs of a host that is emptied that may be on their way at once.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        **{name: BalanceFirst.TUNABLE[name] for name in _TUNED_AGAIN},
        "fill_frac": (0.7, 1.3),
        "wake_gap": (0.0, 0.3),
        "cpu_fill_frac": (0.5, 0.95),
        "least_on_s": (60.0, 1800.0),
    }
    name = "layered"

    # What answers overloads is as it was tuned for gymbal/Overload-v0 (configs/task/overload.yaml).
    rate_floor_bytes_s: float = 910e3
    stall_floor: float = 0.163
    release_s: float = 37.3
    margin_frac: float = 0.0839
    dwell_s: float = 306.0
    least_speedup: float = 4.01
    copy_slowdown: float = 0.237
    fixed_s: float = 2.41
    s_per_gib: float = 2.59
    prior_weight: float = 13.1
    patience_s: float = 22.7
    spare_frac: float = 62.0
    clone: bool = True
    layers: str = "consolidation"
    fill_frac: float = 0.9
    wake_gap: float = 0.1
    cpu_fill_frac: float = 0.8
    least_on_s: float = 300.0
    clear_moves: int = 4
    _last: list[tuple[ClusterTelemetry, Situation]] = field(
        init=False, repr=False, default_factory=list
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers not in LAYERS:
            raise ValueError(f"{self.name}: layers must be one of {LAYERS}, got {self.layers!r}")
        check_range(
            self.name,
            fill_frac=(self.fill_frac, 0.05, 1.5),
            wake_gap=(self.wake_gap, 0.0, 1.0),
            cpu_fill_frac=(self.cpu_fill_frac, 0.05, 1.0),
            least_on_s=(self.least_on_s, 0.0, 86400.0),
            clear_moves=(self.clear_moves, 1, 64),
        )

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """Forget the marked clusters (C,), all where ``worlds`` is None or the shape is new."""
        self._last.clear()
        super().reset(num_worlds, num_vms, worlds)

    def act(self, telemetry: ClusterTelemetry) -> Orders:
        """Decide for every cluster of the record."""
        return self.act_corrected(telemetry, LayerCorrections.none(*telemetry.exists.shape))

    def act_corrected(self, telemetry: ClusterTelemetry, corrections: LayerCorrections) -> Orders:
        """Decide as `act`, with other thresholds and another order of hosts.

        Args:
            telemetry: of clusters whose hosts can sleep.
            corrections: (C, H) each.

        Raises:
            TypeError: the record says nothing of power and of who waits.
        """
        if not isinstance(telemetry, PoweredTelemetry):
            raise TypeError(f"{self.name} needs a PoweredTelemetry, got {type(telemetry).__name__}")
        seen = self._corrected(telemetry, self._observed(telemetry), corrections)
        draft = Draft(telemetry, seen, self.margin_frac, self.moves_per_host)
        self._answer(telemetry, seen, draft, corrections)
        rooms = self._rooms(telemetry, seen, draft, corrections)
        sizes = sizes_of(telemetry, seen)
        unplaced = place_waiting(telemetry, draft.told, rooms, sizes)
        power = np.zeros(telemetry.exists.shape, dtype=np.int8)
        if self.layers == "consolidation":
            Consolidating(
                telemetry, seen, draft, rooms, sizes, corrections, self.fill_frac, self.wake_gap,
                self.least_on_s, self.clear_moves,
            ).decide(power, unplaced)  # fmt: skip
        pools = np.where(corrections.hoards, 0.0, self._pool_bytes(telemetry, seen))
        balance = np.full(telemetry.num_clusters, self.balance)
        thrift = corrections.thrift if corrections.thrift.any() else None
        return replace(draft.told, balance=balance, pool_bytes=pools, power=power, thrift=thrift)

    def _observed(self, telemetry: ClusterTelemetry) -> Situation:
        """What is read from a record; once, whoever asks how often."""
        if not self._last or self._last[0][0] is not telemetry:
            floors = Floors(self.rate_floor_bytes_s, self.stall_floor, self.release_s)
            self._last[:] = [(telemetry, observe(telemetry, self._memory, floors, self.balance))]
        return self._last[0][1]

    @staticmethod
    def _corrected(
        telemetry: PoweredTelemetry, seen: Situation, corrections: LayerCorrections
    ) -> Situation:
        """Overloads older or younger than they are; nobody goes where hosts are off or drain."""
        raised = (corrections.fill - 1.0) * telemetry.capacity_bytes
        headroom = np.where(telemetry.open_hosts, seen.headroom_bytes + raised, -np.inf)
        age = corrections.age[:, :, None]
        return replace(seen, headroom_bytes=headroom, elapsed_s=seen.elapsed_s * age)

    def _answer(
        self,
        telemetry: PoweredTelemetry,
        seen: Situation,
        draft: Draft,
        corrections: LayerCorrections,
    ) -> None:
        """Write to ``draft`` what is done about overloads."""
        if self.layers == "local":
            return
        wants = seen.suffering & corrections.borrows[:, :, None]
        if self.layers == "remote":
            late = seen.elapsed_s >= self.patience_s
            helpless = (seen.lack_bytes > 0.0)[:, :, None] | late
            self._borrow(telemetry, draft, seen.suffering & helpless)
        else:
            draft.tell(CANCEL, telemetry.move_s > self.cancel_after_s)
            self._decide(telemetry, seen, draft)
        draft.tell(BORROW, wants)
        self._tidy(telemetry, seen, draft)

    def _rooms(
        self,
        telemetry: PoweredTelemetry,
        seen: Situation,
        draft: Draft,
        corrections: LayerCorrections,
    ) -> Rooms:
        """What hosts have left until they count as full."""
        kept = (1.0 - self.fill_frac) * telemetry.capacity_bytes
        calm = ~seen.suffering.any(axis=2)
        cores = self.cpu_fill_frac * corrections.fill * telemetry.cores
        return Rooms(
            memory_bytes=draft.room,
            headroom_bytes=np.where(calm, draft.headroom - kept, -np.inf),
            cores=cores - wanted_cores(telemetry).sum(axis=2),
            slots=np.where(telemetry.open_hosts, draft.slots, 0),
            capacity_bytes=np.maximum(telemetry.capacity_bytes, 1.0),
            avoided=corrections.avoided,
        )


@dataclass(frozen=True, eq=False)
class LayeredLocal(Layered):
    """Local balancing alone; who comes is placed."""

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {}
    name = "layered_local"

    layers: str = "local"


@dataclass(frozen=True, eq=False)
class LayeredRemote(Layered):
    """Local balancing, and other hosts' memory."""

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        name: BalanceFirst.TUNABLE[name] for name in ("stall_floor", "least_speedup", "patience_s")
    }
    name = "layered_remote"

    layers: str = "remote"


@dataclass(frozen=True, eq=False)
class LayeredMigration(Layered):
    """Local balancing, other hosts' memory, and moves: all hosts stay on."""

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        name: BalanceFirst.TUNABLE[name] for name in _TUNED_AGAIN
    }
    name = "layered_migration"

    layers: str = "migration"


def wanted_cores(telemetry: ClusterTelemetry) -> Floats:
    """CPU time that each VM would use if nobody took any of it, (C, H, V); 0 where unknown."""
    hosts = telemetry.hosts
    got = np.minimum(np.nan_to_num(hosts.steal_frac), 0.99)
    wanted = np.where(hosts.present, np.nan_to_num(hosts.cpu_cores) / (1.0 - got), 0.0)
    cores: Floats = telemetry.per_host(wanted)
    return cores


def sizes_of(telemetry: ClusterTelemetry, seen: Situation) -> Sizes:
    """What each VM, there or waiting, takes of a host, (C, H, V)."""
    reserved = telemetry.size_bytes
    return Sizes(reserved, np.maximum(seen.peak_bytes, reserved), wanted_cores(telemetry))
