"""The codec of ``gymbal/Balloon-v0``: telemetry to observation, action to command.

Training and serving import this file; there is no second one. An action is a *correction* to the
split that a named heuristic proposes, so that zero is exactly the heuristic.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.command import Command
from gymbal_runtime.heuristics.split import project_to_budget
from gymbal_runtime.observation import (
    HISTORY_STEPS,
    NUM_HOST_FEATURES,
    NUM_VM_FEATURES,
    History,
    host_features,
    vm_features,
)
from gymbal_runtime.quantities import HISTORY_QUANTITIES, HOST_QUANTITIES, VM_QUANTITIES
from gymbal_runtime.telemetry import Telemetry
from gymbal_runtime.workingset import estimated_working_set

Floats = NDArray[np.float64]

CODEC_VERSION = 1
CORRECTION_GAIN = 0.5
"""A full correction moves half of the mean of the heuristic's target and the fair share."""


class Observation(TypedDict):
    """What a policy sees of H hosts with V VM slots each."""

    vms: NDArray[np.float32]  # (H, V, NUM_VM_FEATURES), zero where no VM is present
    host: NDArray[np.float32]  # (H, NUM_HOST_FEATURES)
    present: NDArray[np.float32]  # (H, V) 1 where a VM is present


def as_dict(observation: Observation) -> dict[str, NDArray[np.float32]]:
    """The same arrays in a plain dict, the type that Gymnasium and stable-baselines3 expect."""
    return {
        "vms": observation["vms"],
        "host": observation["host"],
        "present": observation["present"],
    }


@dataclass(frozen=True)
class BalloonCodec:
    """Encodes telemetry for a policy and decodes its correction to a feasible split.

    Attributes:
        heuristic: name of the heuristic that the action corrects.
        options: the heuristic's options, as they were in training.
    """

    heuristic: str = "senpai"
    options: dict[str, Any] = field(default_factory=dict)

    task = "gymbal/Balloon-v0"

    def spec(self) -> dict[str, Any]:
        """Everything that gives the numbers their meaning, as plain JSON types."""
        return {
            "task": self.task,
            "codec_version": CODEC_VERSION,
            "heuristic": self.heuristic,
            "options": dict(sorted(self.options.items())),
            "correction_gain": CORRECTION_GAIN,
            "history_steps": HISTORY_STEPS,
            "vm_quantities": [asdict(q) for q in VM_QUANTITIES],
            "history_quantities": [asdict(q) for q in HISTORY_QUANTITIES],
            "host_quantities": [asdict(q) for q in HOST_QUANTITIES],
            "action": {"shape": ["vms"], "low": -1.0, "high": 1.0},
        }

    def fingerprint(self) -> str:
        """Hash of `spec`: two codecs with the same fingerprint read a policy the same way."""
        canonical = json.dumps(self.spec(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def initial_history(self, num_hosts: int, num_vms: int) -> History:
        """The memory before the first decision: nothing changed so far."""
        return History.empty(num_hosts, num_vms)

    def encode(
        self, telemetry: Telemetry, base: Floats, history: History
    ) -> tuple[Observation, History]:
        """Telemetry to observation.

        Args:
            telemetry: record of H hosts.
            base: (H, V) bytes, what the heuristic proposes for this record.
            history: what was remembered after the previous decision.

        Returns:
            The observation and the history to pass next time.
        """
        present = telemetry.present
        working_set = estimated_working_set(telemetry)
        rows, memory = vm_features(telemetry, _filled(base, telemetry), working_set, history)
        rows *= present[:, :, None]
        host = host_features(telemetry, working_set)
        observation = Observation(
            vms=rows.astype(np.float32),
            host=host.astype(np.float32),
            present=present.astype(np.float32),
        )
        return observation, memory

    def decode(self, action: NDArray[np.floating], telemetry: Telemetry, base: Floats) -> Command:
        """Correction to command, always feasible.

        ``target = project(base + a (base + fair) / 2 * CORRECTION_GAIN)`` where *project* is the
        Euclidean projection on ``min <= x <= max, sum x <= budget`` and *fair* is the budget over
        the number of VMs. Zero gives ``base``, which is feasible and so is its own projection.

        Args:
            action: (H, V) in [-1, 1], clipped; a NaN counts as 0.
            telemetry: the record that was encoded.
            base: (H, V) bytes, the heuristic's proposal.
        """
        present = telemetry.present
        bounded = np.clip(np.nan_to_num(np.asarray(action, dtype=np.float64)), -1.0, 1.0)
        base = _filled(base, telemetry)
        fair = telemetry.budget_bytes / np.maximum(present.sum(axis=1), 1)
        with np.errstate(over="ignore"):  # absurd sizes end at the ceiling
            wanted = base + bounded * CORRECTION_GAIN * 0.5 * (base + fair[:, None])
        target = project_to_budget(
            wanted,
            telemetry.memory_min_bytes,
            telemetry.memory_max_bytes,
            telemetry.budget_bytes,
            present,
        )
        return Command(balloon_bytes=np.where(present, target, np.nan))


def _filled(base: Floats, telemetry: Telemetry) -> Floats:
    """A VM that the heuristic leaves alone (NaN) is proposed what it holds."""
    return np.where(np.isnan(base), telemetry.actual_bytes, base)


def default_codec() -> BalloonCodec:
    """Corrects the best heuristic, with the options that tuning found (configs/tuned), rounded."""
    tuned = {
        "target_stall_s": 0.015,
        "max_probe": 0.011,
        "max_backoff": 1.77,
        "coeff_probe": 1.09,
        "coeff_backoff": 36.5,
    }
    return BalloonCodec("senpai", tuned)


def observation_bounds() -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Lower and upper bound of each feature: ``vms`` (F,), ``host`` (G,)."""
    vm = [*VM_QUANTITIES, *(HISTORY_QUANTITIES * HISTORY_STEPS)]
    bounds = {
        "vms": _low_high(vm),
        "host": _low_high(list(HOST_QUANTITIES)),
    }
    assert bounds["vms"][0].shape == (NUM_VM_FEATURES,)
    assert bounds["host"][0].shape == (NUM_HOST_FEATURES,)
    return bounds


def _low_high(quantities: list[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    low = np.array([min(q.low, 0.0) for q in quantities], dtype=np.float32)
    high = np.array([q.high for q in quantities], dtype=np.float32)
    return low, high
