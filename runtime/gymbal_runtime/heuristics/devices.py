"""Device modes: who gets one of the host's few devices for itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gymbal_runtime.heuristics.periodic import check_range
from gymbal_runtime.heuristics.readings import known, shares
from gymbal_runtime.heuristics.resource import ResourceHeuristic
from gymbal_runtime.moving_average import smoothed
from gymbal_runtime.telemetry import Bools, Floats, Telemetry
from gymbal_runtime.workingset import estimated_working_set

EMULATED, PASSTHROUGH = 0.0, 1.0
"""Device modes."""


def wanted_io(telemetry: Telemetry) -> Floats:
    """I/O that each VM would do if it were served, (H, V) bytes/s; NaN where not measured.

    What its device moved over the fraction that was served; a VM that got less than 1 % is taken
    to want a hundred times what it got.
    """
    waited = known(telemetry.io_wait_frac, 0.0, telemetry.present)
    return np.asarray(telemetry.io_rate_bytes_s / np.clip(1.0 - waited, 0.01, 1.0))


def slots(telemetry: Telemetry) -> Floats:
    """Devices that can be handed through on each host, (H,), whole; 0 where unknown."""
    whole = np.floor(telemetry.passthrough_slots)
    return np.where(np.isfinite(whole), np.maximum(whole, 0.0), 0.0)


def best(rank_by: tuple[Floats, ...], eligible: Bools, count: Floats) -> Bools:
    """The first ``count`` eligible VMs of each host.

    Args:
        rank_by: keys (H, V), the most important first, larger is better; slots break ties.
        eligible: (H, V) who may be among them.
        count: (H,) how many at most.

    Returns:
        (H, V) who is.
    """
    keys = tuple(-np.where(eligible, key, -np.inf) for key in reversed(rank_by))
    order = np.lexsort((*keys, ~eligible), axis=-1)
    place = np.argsort(order, axis=-1, kind="stable")
    return np.asarray(eligible & (place < count[:, None]), dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class Emulated(ResourceHeuristic):
    """Everybody has an emulated device: nothing is pinned, everybody can be moved."""

    DECIDES: ClassVar[str] = "device_mode"
    name = "emulated"

    def _decide(self, telemetry: Telemetry, memory: dict[str, Floats]) -> Floats:
        return np.full(telemetry.present.shape, EMULATED)


@dataclass(frozen=True, eq=False)
class BusiestIo(ResourceHeuristic):
    """Devices for the VMs with the most wanted I/O, weighted with their shares.

    A switch stops a VM's I/O for a second or so, hence two kinds of patience: a newcomer takes a
    device from somebody only with ``margin`` more weighted I/O, and nobody switches twice within
    ``dwell_s``. A VM in passthrough has its memory pinned, so those count less that hold much more
    or much less than their working set. A device whose VM moves less than a quarter of
    ``least_rate_bytes_s`` is taken back, which unpins the memory.

    Ours; the costs are those of models.md 6.4.

    Attributes:
        least_rate_bytes_s: bytes/s of wanted I/O below which passthrough is not worth a switch.
        margin: 1, how much more weighted I/O a newcomer needs than the one it replaces.
        dwell_s: s between two switches of a VM.
        smoothing_s: s, time constant of the average of the wanted I/O.
        pin_penalty: 1, weighted I/O counts less by this times the distance of what the VM holds
            from its working set, relative to what it holds; at most three quarters less.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {
        "least_rate_bytes_s": (0.0, 1e9),
        "margin": (0.0, 2.0),
        "dwell_s": (0.0, 600.0),
        "smoothing_s": (0.0, 300.0),
        "pin_penalty": (0.0, 2.0),
    }
    DECIDES: ClassVar[str] = "device_mode"
    name = "busiest_io"

    least_rate_bytes_s: float = 20e6
    margin: float = 0.3
    dwell_s: float = 60.0
    smoothing_s: float = 30.0
    pin_penalty: float = 0.5

    def __post_init__(self) -> None:
        check_range(
            self.name,
            least_rate_bytes_s=(self.least_rate_bytes_s, 0.0, np.inf),
            margin=(self.margin, 0.0, np.inf),
            dwell_s=(self.dwell_s, 0.0, np.inf),
            smoothing_s=(self.smoothing_s, 0.0, np.inf),
            pin_penalty=(self.pin_penalty, 0.0, np.inf),
        )

    def _memory_shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(("io", "mode", "since_s"), (num_hosts, num_vms))

    def _decide(self, telemetry: Telemetry, memory: dict[str, Floats]) -> Floats:
        memory["io"] = smoothed(
            memory["io"], wanted_io(telemetry), memory["elapsed_s"], self.smoothing_s
        )
        io = np.nan_to_num(memory["io"])
        held = known(telemetry.device_mode, EMULATED, telemetry.present) > 0.5
        waited = self._waited(telemetry, memory)
        worth = io >= np.where(held, 0.25, 1.0) * self.least_rate_bytes_s
        eligible = telemetry.present & np.isfinite(telemetry.device_mode)
        eligible &= np.where(held, worth | ~waited, worth & waited)
        value = io * shares(telemetry) * self._fit(telemetry)
        locked = np.where(held & ~waited, 1.0, 0.0)
        contest = np.where(held, (1.0 + self.margin) * value, value)
        chosen = best((locked, contest), eligible, slots(telemetry))
        return np.where(chosen, PASSTHROUGH, EMULATED)

    def _feasible(self, told: Floats, telemetry: Telemetry) -> Floats:
        mode = known(telemetry.device_mode, EMULATED, telemetry.present)
        wanted = np.where(np.isnan(told), mode, told)
        passed = telemetry.present & (wanted > 0.5)
        kept = best((mode,), passed, slots(telemetry))
        feasible = np.where(passed & ~kept, EMULATED, told)
        # Without a word on how many devices there are, everybody is left as he is.
        return np.where(np.isfinite(telemetry.passthrough_slots)[:, None], feasible, np.nan)

    def _waited(self, telemetry: Telemetry, memory: dict[str, Floats]) -> Bools:
        """Who has not switched lately, (H, V); a VM that is seen for the first time has not."""
        mode, before = telemetry.device_mode, memory["mode"]
        since = memory["since_s"] + np.nan_to_num(memory["elapsed_s"])
        first = np.isnan(before)
        memory["since_s"] = np.where(first, np.inf, np.where(mode == before, since, 0.0))
        memory["mode"] = np.where(np.isnan(mode), before, mode)
        return np.asarray(memory["since_s"] >= self.dwell_s, dtype=np.bool_)

    def _fit(self, telemetry: Telemetry) -> Floats:
        """What the pinning leaves of a VM's value, (H, V) in [0.25, 1]."""
        actual = np.maximum(telemetry.actual_bytes, 1.0)
        distance = np.abs(estimated_working_set(telemetry) / actual - 1.0)
        fit: Floats = np.clip(1.0 - self.pin_penalty * np.nan_to_num(distance), 0.25, 1.0)
        return fit


DEVICE_HEURISTICS = (Emulated, BusiestIo)
