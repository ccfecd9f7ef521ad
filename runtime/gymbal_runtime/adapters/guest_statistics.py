"""What a guest's balloon driver reports, as telemetry: rates, and how old they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gymbal_runtime.adapters.rates import CounterRates

MEASURES = (
    "usable_bytes",
    "swap_in_rate",
    "swap_out_rate",
    "major_fault_rate",
)
"""Telemetry fields that guest statistics give."""

MAX_AGE_S = 10.0
"""Older statistics are not shown: a guest that hangs or is paused goes on showing the last ones."""


@dataclass(frozen=True, slots=True)
class GuestSample:
    """One report of a balloon driver; NaN is what this guest does not report.

    Attributes:
        stamp_s: when, on the host's wall clock, in whole seconds.
        usable_bytes: what the guest could give without swapping (MemAvailable).
        swapped_in_bytes: since its boot.
        swapped_out_bytes: since its boot.
        major_faults: since its boot.
    """

    stamp_s: float
    usable_bytes: float = math.nan
    swapped_in_bytes: float = math.nan
    swapped_out_bytes: float = math.nan
    major_faults: float = math.nan


class GuestStatistics:
    """One guest's reports over time.

    Rates are over the samples' own time stamps: readings come at any moment between two samples.

    Args:
        max_age_s: samples that are older count as not measured.

    Attributes:
        age_s: of the newest sample; NaN before the first.
    """

    def __init__(self, max_age_s: float = MAX_AGE_S) -> None:
        self.age_s = math.nan
        self._max_age_s = max_age_s
        self._rates = CounterRates()
        self._shown: dict[str, float] = {}
        self._stamp = math.nan
        self._looked_s = -math.inf
        self._taken_s = (0.0, 0.0)  # between these moments, on the monotonic clock

    def update(self, sample: GuestSample, wall_s: float, now_s: float) -> dict[str, float]:
        """Look at the newest report.

        Args:
            sample: it.
            wall_s: the clock of the sample's stamp, now.
            now_s: a monotonic clock, now.

        Returns:
            The fields of `MEASURES`; NaN where they are not known.
        """
        if not sample.stamp_s > 0:  # the guest has not reported yet
            return dict.fromkeys(MEASURES, math.nan)
        if sample.stamp_s != self._stamp:
            self._shown = self._read(sample)
            self._stamp, self._taken_s = sample.stamp_s, (self._looked_s, now_s)
        self._looked_s = now_s
        # A sample that is new was taken since the last look, even if the wall clock was set.
        taken_s = now_s - (wall_s - sample.stamp_s)
        self.age_s = now_s - min(max(taken_s, self._taken_s[0]), self._taken_s[1])
        if self.age_s > self._max_age_s:
            return dict.fromkeys(MEASURES, math.nan)
        return dict(self._shown)

    def _read(self, sample: GuestSample) -> dict[str, float]:
        def rate(name: str, value: float) -> float:
            return self._rates.rate(name, value, sample.stamp_s)

        return {
            "usable_bytes": sample.usable_bytes,
            "swap_in_rate": rate("in", sample.swapped_in_bytes),
            "swap_out_rate": rate("out", sample.swapped_out_bytes),
            "major_fault_rate": rate("faults", sample.major_faults),
        }
