"""MEB that looks only when something has changed: histograms on demand, the last one otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from gymbal_runtime.command import Command
from gymbal_runtime.heuristics.last_seen import LastSeen
from gymbal_runtime.heuristics.meb import Meb
from gymbal_runtime.heuristics.monitors import IntermittentTracking
from gymbal_runtime.prediction import Predictor, make_predictor
from gymbal_runtime.telemetry import Bools, Floats, Telemetry


@dataclass(frozen=True, eq=False)
class MebAdaptive(Meb):
    """`Meb` with intermittent tracking: it decides memory and monitors together.

    While a VM's histogram monitor is off, the last histogram stands in for it, laid out over what
    the VM holds now (`LastSeen`); `IntermittentTracking` decides when to look again. With all
    monitors running it is `Meb`, but for the windows in which a histogram is not there yet.

    Source: Zhao et al., "Low Cost Working Set Size Tracking", USENIX ATC 2011; models.md 2.2, 11.

    Attributes:
        monitor: options of `IntermittentTracking`.
        predictor: name and options of a predictor (`gymbal_runtime.prediction`) of each VM's need;
            empty: the present need is the need.
        horizon_s: s ahead for which needs are predicted.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {**Meb.TUNABLE}
    name = "meb_adaptive"

    monitor: dict[str, Any] = field(default_factory=dict)
    predictor: dict[str, Any] = field(default_factory=dict)
    horizon_s: float = 5.0
    _tracking: IntermittentTracking = field(init=False, repr=False)
    _last_seen: LastSeen = field(init=False, repr=False, default_factory=LastSeen)
    _predictor: Predictor | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        options = dict(self.monitor)
        object.__setattr__(self, "_tracking", IntermittentTracking(**options))
        if self.predictor:
            object.__setattr__(self, "_predictor", make_predictor(**self.predictor))

    def reset(self, num_hosts: int, num_vms: int, hosts: Bools | None = None) -> None:
        """Forget the marked hosts (H,), all where ``hosts`` is None or the shape is a new one."""
        super().reset(num_hosts, num_vms, hosts)
        self._tracking.reset(num_hosts, num_vms, hosts)
        self._last_seen.reset(num_hosts, num_vms, hosts)
        if self._predictor is not None:
            self._predictor.reset(num_hosts, num_vms, hosts)

    def act(self, telemetry: Telemetry) -> Command:
        """Decide balloons and monitor levels for every host of the record.

        Raises:
            ValueError: if the record does not have the shape that ``reset`` announced.
        """
        self._check_shape(telemetry)
        monitors = self._tracking.act(telemetry)
        seen = self._last_seen.filled(telemetry)
        if self._predictor is not None:
            self._predictor.forget(~telemetry.present)
            with np.errstate(all="ignore"):
                present_need = np.where(seen.present, super().needs(seen), np.nan)
            self._predictor.update(seen.time_s, present_need)
        return replace(super().act(seen), monitor_level=monitors.monitor_level)

    def needs(self, telemetry: Telemetry, known: Bools | None = None) -> Floats:
        """Memory that each VM is predicted to need at the horizon, (H, V) bytes, not bounded."""
        need = super().needs(telemetry, known)
        if self._predictor is None:
            return need
        predicted = self._predictor.predict(self.horizon_s)
        return np.where(np.isnan(predicted), need, np.maximum(predicted, 0.0))
