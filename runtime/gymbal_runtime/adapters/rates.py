"""From counters that only grow to rates."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from math import isfinite, nan


class CounterRates:
    """Mean rates between readings of counters.

    The first reading of a counter has no rate, nor has one that is lower than the reading before:
    the counter wrapped, or whatever counts began anew, and how far it went is not known. A reading
    that is missing leaves the one before in place, so that the next rate covers both intervals.
    """

    def __init__(self) -> None:
        self._readings: dict[Hashable, tuple[float, float, float]] = {}

    def rate(self, key: Hashable, value: float, time_s: float) -> float:
        """Take a reading.

        Args:
            key: which counter.
            value: what it says; NaN, infinite or negative is no reading.
            time_s: when it said so, on any clock.

        Returns:
            Its growth per second since the reading before, NaN where there is none; for the same
            reading again what it was.
        """
        if not (isfinite(value) and value >= 0.0 and isfinite(time_s)):
            return nan
        before, then, last = self._readings.get(key, (nan, nan, nan))
        if time_s == then and value == before:
            return last
        grown = time_s > then and value >= before
        rate = (value - before) / (time_s - then) if grown else nan
        rate = rate if isfinite(rate) else nan
        self._readings[key] = (value, time_s, rate)
        return rate

    def time_of(self, key: Hashable) -> float:
        """When the last reading of a counter was taken; NaN if none was."""
        return self._readings.get(key, (nan, nan, nan))[1]

    def keep(self, keys: Iterable[Hashable]) -> None:
        """Forget all other counters."""
        kept = set(keys)
        self._readings = {key: seen for key, seen in self._readings.items() if key in kept}
