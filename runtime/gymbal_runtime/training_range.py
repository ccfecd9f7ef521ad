"""What a policy has seen in training, and how far an observation lies outside of it.

A network answers any input with equal confidence, so somebody else has to notice that a question is
of a kind that it was never asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.policy import DecisionError
from gymbal_runtime.signature import Arrays, PolicyCodec, Signature
from gymbal_runtime.telemetry import MEASURED_FIELDS, Telemetry

Floats = NDArray[np.float64]

MARGIN = 0.1
"""A feature counts as outside when it is this fraction of its full scale beyond the range."""
MAX_SHARE = 0.2
"""Largest share of features that may be outside, for the worst VM of a host."""
TAIL = 0.001
"""Quantile cut off at either end of what training saw: one freak does not widen the range."""

_LOW, _HIGH = "_low", "_high"


class OutOfTrainingRangeError(DecisionError):
    """The observation is unlike anything the policy was trained on."""

    reason = "out_of_training_range"


class MissingTelemetryError(DecisionError):
    """A sensor that was always there in training is silent now."""

    reason = "missing_telemetry"


@dataclass(frozen=True)
class FeatureRange:
    """What training saw of each feature of one table.

    Raises:
        ValueError: bounds of different length, or a lower one above its upper one.
    """

    low: list[float]
    high: list[float]

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high):
            raise ValueError("a training range has more lower than upper bounds, or fewer")
        if not np.all(np.asarray(self.low) <= np.asarray(self.high)):
            raise ValueError("a training range has a lower bound above its upper bound")


class TrainingRange:
    """Range of each feature in training, and the sensors that were never silent.

    In the manifest it is one flat object: ``vms_low``, ``vms_high`` and so on for each table, then
    ``measured``.

    Args:
        tables: range of each table's features.
        measured: measured telemetry fields without NaN for any present VM.

    Raises:
        ValueError: a sensor is unknown.
    """

    # Not a dataclass: msgspec would write one in its own way and not ask the two hooks below.
    def __init__(self, tables: Mapping[str, FeatureRange], measured: Iterable[str] = ()) -> None:
        self.tables = dict(tables)
        self.measured = tuple(measured)
        unknown = sorted(set(self.measured) - set(MEASURED_FIELDS))
        if unknown:
            raise ValueError(f"unknown telemetry fields in the training range: {unknown}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TrainingRange):
            return NotImplemented
        return (self.tables, self.measured) == (other.tables, other.measured)

    __hash__ = None  # type: ignore[assignment]

    def plain(self) -> dict[str, list[Any]]:
        """The range as plain JSON types."""
        flat: dict[str, list[Any]] = {}
        for name, table in self.tables.items():
            flat |= {f"{name}{_LOW}": list(table.low), f"{name}{_HIGH}": list(table.high)}
        return flat | {"measured": list(self.measured)}

    @classmethod
    def from_plain(cls, flat: dict[str, Any]) -> TrainingRange:
        """The range that `plain` was made of.

        Raises:
            ValueError: a bound without its counterpart, wrong types, or as for the classes.
        """
        names = [key.removesuffix(_LOW) for key in flat if key.endswith(_LOW)]
        pairs = {f"{name}{end}" for name in names for end in (_LOW, _HIGH)}
        if set(flat) - {"measured"} != pairs:
            raise ValueError(f"a training range of {sorted(flat)}: bounds come in pairs")
        numbers = {key: msgspec.convert(flat[key], list[float]) for key in pairs}
        tables = {n: FeatureRange(numbers[f"{n}{_LOW}"], numbers[f"{n}{_HIGH}"]) for n in names}
        return cls(tables, msgspec.convert(flat.get("measured", []), list[str]))

    def check_widths(self, codec: PolicyCodec) -> None:
        """Refuse a range that is of other observations than a codec's.

        Raises:
            ValueError: it does not have one pair of bounds for each feature.
        """
        found = {name: len(table.low) for name, table in self.tables.items()}
        expected = codec.signature.widths
        if found != expected:
            raise ValueError(f"a training range of features {found}, the codec has {expected}")


def range_of(
    observation: Arrays, signature: Signature, measured: Iterable[str] = ()
) -> TrainingRange:
    """The range of a set of observations, for an exporter.

    Args:
        observation: all that was observed in training, along the first axis.
        signature: of the codec that made it.
        measured: fields that were never NaN for a present VM; see `always_measured`.

    Raises:
        ValueError: no VM is present in any observation.
    """
    tables = {}
    for name, presence in signature.tables.items():
        values = np.asarray(observation[name])
        rows = values.reshape(-1, values.shape[-1])
        if presence is not None:
            rows = rows[np.asarray(observation[presence]).ravel() > 0]
        if not len(rows):
            raise ValueError(f"no VM is present in any of the observations: `{name}` is empty")
        low, high = np.quantile(rows.astype(np.float64), [TAIL, 1 - TAIL], axis=0)
        tables[name] = FeatureRange(low.tolist(), high.tolist())
    return TrainingRange(tables, measured)


def always_measured(telemetry: Telemetry) -> list[str]:
    """Measured fields without a NaN for any present VM of this record."""
    return [name for name in MEASURED_FIELDS if name not in _silent(telemetry, MEASURED_FIELDS)]


def check_measured(telemetry: Telemetry, known: TrainingRange) -> None:
    """Refuse a record in which a sensor is silent that training always had.

    Raises:
        MissingTelemetryError: naming the sensors.
    """
    silent = _silent(telemetry, known.measured)
    if silent:
        raise MissingTelemetryError(f"never missing in training, missing now: {', '.join(silent)}")


class RangeCheck:
    """Compares observations with what training saw.

    Args:
        known: the range of each feature.
        codec: whose observations they are.
        margin: see `MARGIN`.
        max_share: see `MAX_SHARE`.

    Raises:
        ValueError: the range is not of this codec's observations.
    """

    def __init__(
        self,
        known: TrainingRange,
        codec: PolicyCodec,
        margin: float = MARGIN,
        max_share: float = MAX_SHARE,
    ) -> None:
        known.check_widths(codec)
        self.known = known
        self.max_share = max_share
        self._signature = codec.signature
        self._num_features = sum(self._signature.widths.values())
        bounds = codec.bounds()
        self._limits = {
            name: _widened(known.tables[name], margin * (bounds[name][1] - bounds[name][0]))
            for name in self._signature.tables
        }

    def share_outside(self, observation: Arrays) -> Floats:
        """Share of outlying features in what the policy sees of a VM: its own row, its host's, ...

        Returns:
            (worlds,) in [0, 1], of the worst VM of each world; 0 where no VM is present.
        """
        outside = {}
        for name, presence in self._signature.tables.items():
            values, (low, high) = observation[name], self._limits[name]
            outside[name] = ((values < low) | (values > high)).sum(axis=-1)
            if presence is not None:
                outside[name] *= observation[presence] > 0
        finest = next(iter(outside))
        share = self._signature.rows_outside(outside) / self._num_features
        presence = self._signature.tables[finest]
        if presence is not None:
            share = share * (observation[presence] > 0)
        worst: Floats = share.reshape(len(share), -1).max(axis=1, initial=0.0)
        return worst

    def __call__(self, observation: Arrays) -> None:
        """Refuse an observation that is too far out.

        Raises:
            OutOfTrainingRangeError: more than ``max_share`` of what the policy sees of a VM.
        """
        worst = float(self.share_outside(observation).max(initial=0.0))
        if worst > self.max_share:
            raise OutOfTrainingRangeError(
                f"{worst:.0%} of a VM's features are outside the training range "
                f"(at most {self.max_share:.0%} may be)"
            )


def _widened(
    known: FeatureRange, slack: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    low, high = (np.asarray(values, dtype=np.float32) for values in (known.low, known.high))
    return low - slack, high + slack


def _silent(telemetry: Telemetry, names: tuple[str, ...]) -> list[str]:
    """Those of the measured fields that are NaN for some present VM."""
    return [n for n in names if np.isnan(getattr(telemetry, n)[telemetry.present]).any()]
