"""What a policy has seen in training, and how far an observation lies outside of it.

A network answers any input with equal confidence, so somebody else has to notice that a question is
of a kind that it was never asked.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.codec import Codec, Observation
from gymbal_runtime.policy import DecisionError
from gymbal_runtime.telemetry import MEASURED_FIELDS, Telemetry

Floats = NDArray[np.float64]

MARGIN = 0.1
"""A feature counts as outside when it is this fraction of its full scale beyond the range."""
MAX_SHARE = 0.2
"""Largest share of features that may be outside, for the worst VM of a host."""
TAIL = 0.001
"""Quantile cut off at either end of what training saw: one freak does not widen the range."""


class OutOfTrainingRangeError(DecisionError):
    """The observation is unlike anything the policy was trained on."""

    reason = "out_of_training_range"


class MissingTelemetryError(DecisionError):
    """A sensor that was always there in training is silent now."""

    reason = "missing_telemetry"


class TrainingRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Range of each feature in training, and the sensors that were never silent.

    Raises:
        ValueError: bounds of different length, a lower one above its upper one, or an unknown
            sensor.
    """

    vms_low: list[float]
    vms_high: list[float]
    host_low: list[float]
    host_high: list[float]
    measured: list[str] = []  # measured telemetry fields without NaN for any present VM

    def __post_init__(self) -> None:
        for low, high in ((self.vms_low, self.vms_high), (self.host_low, self.host_high)):
            if len(low) != len(high):
                raise ValueError("a training range has more lower than upper bounds, or fewer")
            if not np.all(np.asarray(low) <= np.asarray(high)):
                raise ValueError("a training range has a lower bound above its upper bound")
        unknown = sorted(set(self.measured) - set(MEASURED_FIELDS))
        if unknown:
            raise ValueError(f"unknown telemetry fields in the training range: {unknown}")

    def check_widths(self, codec: Codec) -> None:
        """Refuse a range that is of other observations than a codec's.

        Raises:
            ValueError: it does not have one pair of bounds for each feature.
        """
        found = (len(self.vms_low), len(self.host_low))
        expected = (codec.num_vm_features, codec.num_host_features)
        if found != expected:
            raise ValueError(
                f"a training range of {found} features of VM and host, the codec has {expected}"
            )


def range_of(
    vms: NDArray[np.floating],
    host: NDArray[np.floating],
    present: NDArray[np.floating],
    measured: list[str] | None = None,
) -> TrainingRange:
    """The range of a set of observations, for an exporter.

    Args:
        vms: (N, V, F) observations from training.
        host: (N, G).
        present: (N, V).
        measured: fields that were never NaN for a present VM; see `always_measured`.

    Raises:
        ValueError: no VM is present in any observation.
    """
    rows = vms[present > 0]
    if not len(rows):
        raise ValueError("no VM is present in any of the observations")
    vm_low, vm_high = np.quantile(rows.astype(np.float64), [TAIL, 1 - TAIL], axis=0)
    host_low, host_high = np.quantile(host.astype(np.float64), [TAIL, 1 - TAIL], axis=0)
    return TrainingRange(
        vms_low=vm_low.tolist(),
        vms_high=vm_high.tolist(),
        host_low=host_low.tolist(),
        host_high=host_high.tolist(),
        measured=measured or [],
    )


def always_measured(telemetry: Telemetry) -> list[str]:
    """Measured fields without a NaN for any present VM of this record."""
    return [name for name in MEASURED_FIELDS if name not in _silent(telemetry, MEASURED_FIELDS)]


def check_measured(telemetry: Telemetry, known: TrainingRange) -> None:
    """Refuse a record in which a sensor is silent that training always had.

    Raises:
        MissingTelemetryError: naming the sensors.
    """
    silent = _silent(telemetry, tuple(known.measured))
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
        codec: Codec,
        margin: float = MARGIN,
        max_share: float = MAX_SHARE,
    ) -> None:
        known.check_widths(codec)
        self.known = known
        self.max_share = max_share
        self._num_features = codec.num_vm_features + codec.num_host_features
        bounds = codec.bounds()
        vm_slack = margin * (bounds["vms"][1] - bounds["vms"][0])
        host_slack = margin * (bounds["host"][1] - bounds["host"][0])
        self._vms = _widened(known.vms_low, known.vms_high, vm_slack)  # (F,) low, high
        self._host = _widened(known.host_low, known.host_high, host_slack)  # (G,) low, high

    def share_outside(self, observation: Observation) -> Floats:
        """Share of outlying features in what the policy sees of a VM: its own row and its host's.

        Returns:
            (H,) in [0, 1], of the worst VM of each host; 0 where no VM is present.
        """
        vms, host = observation["vms"], observation["host"]
        low, high = self._vms
        per_vm = ((vms < low) | (vms > high)).sum(axis=2)
        low, high = self._host
        per_host = ((host < low) | (host > high)).sum(axis=1)
        outside = (per_vm + per_host[:, None]) / self._num_features
        return np.asarray((outside * (observation["present"] > 0)).max(axis=1, initial=0.0))

    def __call__(self, observation: Observation) -> None:
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
    low: list[float], high: list[float], slack: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.asarray(low, dtype=np.float32) - slack, np.asarray(high, dtype=np.float32) + slack


def _silent(telemetry: Telemetry, names: tuple[str, ...]) -> list[str]:
    """Those of the measured fields that are NaN for some present VM."""
    return [n for n in names if np.isnan(getattr(telemetry, n)[telemetry.present]).any()]
