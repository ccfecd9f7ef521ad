"""Dynamic prediction: what a measured value will be, from its own history.

One interface for every predictor, so that a heuristic's need can be smoothed, taken at its recent
highest, or read off yesterday's curve by changing a line of its configuration. A value that was
not measured (NaN) is skipped; what was never measured is predicted as NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from gymbal_runtime.building import build
from gymbal_runtime.moving_average import smoothed
from gymbal_runtime.slot_memory import forget
from gymbal_runtime.telemetry import Bools, Floats


@runtime_checkable
class Predictor(Protocol):
    """Learns the course of one value per VM, of H hosts with V slots at once."""

    def reset(self, num_hosts: int, num_vms: int, hosts: Bools | None = None) -> None:
        """Forget the marked hosts (all where ``hosts`` is None); from now on expect this shape."""

    def forget(self, vms: Bools) -> None:
        """Forget the marked VMs (H, V): those that have left."""

    def update(self, time_s: Floats, value: Floats) -> None:
        """Take note of what was measured.

        Args:
            time_s: (H,) s, clock of each host.
            value: (H, V) any unit; NaN is skipped.
        """

    def predict(self, horizon_s: float) -> Floats:
        """The value expected ``horizon_s`` seconds after the last update, (H, V).

        NaN where nothing was measured yet.
        """
        ...


@dataclass(frozen=True, eq=False)
class _Remembering:
    """Arrays per VM, and the times between the values that were measured."""

    _state: dict[str, Floats] = field(init=False, repr=False, default_factory=dict)
    _names: ClassVar[tuple[str, ...]] = ()

    def _shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        return {name: (num_hosts, num_vms) for name in ("seen_s", "latest", *self._names)}

    def reset(self, num_hosts: int, num_vms: int, hosts: Bools | None = None) -> None:
        """Forget the marked hosts (H,), all where ``hosts`` is None or the shape is a new one."""
        forget(self._state, self._shapes(num_hosts, num_vms), hosts)

    def forget(self, vms: Bools) -> None:
        """Forget the marked VMs (H, V)."""
        for values in self._state.values():
            values[vms] = np.nan

    def _advance(self, time_s: Floats, value: Floats) -> tuple[Bools, Floats]:
        """Which values (H, V) are new, and the s since those before; NaN for the first.

        Raises:
            ValueError: if ``value`` does not have the shape that ``reset`` announced.
        """
        if not self._state:
            self.reset(*value.shape)
        expected = self._state["latest"].shape
        if value.shape != expected:
            raise ValueError(
                f"value: predictor was reset for {expected} hosts x VMs, got {value.shape};"
                " reset it for the new shape"
            )
        seen = np.isfinite(value)
        # A clock that was set back tells nothing about the time between.
        elapsed = np.maximum(time_s[:, None] - self._state["seen_s"], 0.0)
        self._state["seen_s"][...] = np.where(seen, time_s[:, None], self._state["seen_s"])
        self._state["latest"][...] = np.where(seen, value, self._state["latest"])
        return seen, elapsed


@dataclass(frozen=True, eq=False)
class Ewma(_Remembering):
    """Exponentially weighted moving average that knows uneven intervals.

    After dt seconds a new value counts 1 - exp(-dt / time_constant_s); the first counts 1. The
    prediction is the same for every horizon.

    Attributes:
        time_constant_s: s, above 0.
    """

    time_constant_s: float = 60.0
    _names: ClassVar[tuple[str, ...]] = ("mean",)

    def __post_init__(self) -> None:
        _check_positive("ewma", time_constant_s=self.time_constant_s)

    def update(self, time_s: Floats, value: Floats) -> None:
        """Take note of values (H, V) measured at ``time_s`` (H,) s; NaN is skipped."""
        seen, elapsed = self._advance(time_s, value)
        mean = self._state["mean"]
        mean[...] = smoothed(mean, np.where(seen, value, np.nan), elapsed, self.time_constant_s)

    def predict(self, horizon_s: float) -> Floats:
        """The mean (H, V), whatever the horizon; NaN where nothing was measured yet."""
        return self._state["mean"].copy()


@dataclass(frozen=True, eq=False)
class MaxOfThree(_Remembering):
    """The highest of a slow mean, a fast mean and the present value: quick up, slow down.

    Source: Waldspurger, "Memory Resource Management in VMware ESX Server", OSDI 2002, section 5.3
    (the filter of sampled activity); the time constants are ours, the paper names none.

    Attributes:
        slow_s: s, time constant of the slow mean.
        fast_s: s, time constant of the fast mean.
    """

    slow_s: float = 120.0
    fast_s: float = 30.0
    _names: ClassVar[tuple[str, ...]] = ("slow", "fast")

    def __post_init__(self) -> None:
        _check_positive("max_of_three", slow_s=self.slow_s, fast_s=self.fast_s)

    def update(self, time_s: Floats, value: Floats) -> None:
        """Take note of values (H, V) measured at ``time_s`` (H,) s; NaN is skipped."""
        seen, elapsed = self._advance(time_s, value)
        for name, time_constant_s in (("slow", self.slow_s), ("fast", self.fast_s)):
            mean = self._state[name]
            mean[...] = smoothed(mean, np.where(seen, value, np.nan), elapsed, time_constant_s)

    def predict(self, horizon_s: float) -> Floats:
        """The highest of the three (H, V); NaN where nothing was measured yet."""
        means = np.maximum(self._state["slow"], self._state["fast"])
        highest: Floats = np.maximum(means, self._state["latest"])
        return highest


@dataclass(frozen=True, eq=False)
class Seasonal(_Remembering):
    """The mean at that time of the season, plus what the last value lay above its own.

    A season (a day) is cut into bins, and each VM has a mean per bin in which older seasons fade.
    Of a bin that was not seen yet nothing is known: the last value is predicted.

    Attributes:
        period_s: s, length of a season.
        bins: number of bins in it.
        memory_periods: seasons after which a measurement counts 1 / e.
    """

    period_s: float = 86400.0
    bins: int = 48
    memory_periods: float = 5.0
    _names: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        _check_positive(
            "seasonal",
            period_s=self.period_s,
            bins=self.bins,
            memory_periods=self.memory_periods,
        )

    def _shapes(self, num_hosts: int, num_vms: int) -> dict[str, tuple[int, ...]]:
        shape = (num_hosts, num_vms)
        binned = (*shape, int(self.bins))
        return {**super()._shapes(*shape), "total": binned, "weight": binned}

    def update(self, time_s: Floats, value: Floats) -> None:
        """Take note of values (H, V) measured at ``time_s`` (H,) s; NaN is skipped."""
        seen, elapsed = self._advance(time_s, value)
        width_s = self.period_s / self.bins
        stay_s = np.where(np.isnan(elapsed), width_s, np.minimum(elapsed, width_s))
        # Each bin is visited for width_s a season, so that its own clock is that much slower.
        kept = np.exp(-stay_s / (width_s * self.memory_periods))
        rows, slots, bins = *np.indices(value.shape), self._bins(time_s[:, None], value.shape)
        for name, new in (("total", value), ("weight", np.ones_like(value))):
            old = self._state[name][rows, slots, bins]
            faded = np.nan_to_num(old) * kept + (1.0 - kept) * new
            self._state[name][rows, slots, bins] = np.where(seen, faded, old)

    def predict(self, horizon_s: float) -> Floats:
        """Mean of the bin in which the horizon ends plus the last residual, (H, V)."""
        seen_s, latest = self._state["seen_s"], self._state["latest"]
        then = self._means(seen_s + horizon_s)
        residual = latest - self._means(seen_s)
        return np.where(np.isnan(then + residual), latest, then + residual)

    def _bins(self, time_s: Floats, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Bin (H, V) in which a time lies; 0 where it is unknown."""
        turn = np.nan_to_num(time_s / self.period_s) % 1.0
        bins = np.minimum((turn * self.bins).astype(np.int64), int(self.bins) - 1)
        return np.broadcast_to(bins, shape)

    def _means(self, time_s: Floats) -> Floats:
        """Mean (H, V) of each VM's bin at ``time_s`` (H, V); NaN where there is none."""
        rows, slots, bins = *np.indices(time_s.shape), self._bins(time_s, time_s.shape)
        weight = self._state["weight"][rows, slots, bins]
        total = self._state["total"][rows, slots, bins]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean: Floats = total / weight
        return np.where(weight > 0.0, mean, np.nan)


def _check_positive(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not 0.0 < value < np.inf:
            raise ValueError(f"{owner}: {name} must be positive and finite, got {value:g}")


PREDICTORS: dict[str, type[Ewma] | type[MaxOfThree] | type[Seasonal]] = {
    "ewma": Ewma,
    "max_of_three": MaxOfThree,
    "seasonal": Seasonal,
}
"""Every predictor by the name under which configurations refer to it."""


def make_predictor(name: str, **options: Any) -> Predictor:
    """Build a predictor by name.

    Args:
        name: a key of ``PREDICTORS``.
        **options: its parameters; see the class's docstring.

    Raises:
        ValueError: if there is no such predictor or it has no such option (the message lists those
            that exist), or if an option is out of range.
    """
    predictor: Predictor = build("predictor", PREDICTORS, name, options)
    return predictor
