"""The codec: telemetry to observation, action to command.

Training and serving import this file; there is no second one. An action is a *correction* to what a
named heuristic proposes, so that zero is exactly the heuristic.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.command import Command
from gymbal_runtime.hashing import content_hash
from gymbal_runtime.observation import HISTORY_STEPS, History, Layout, layout_of
from gymbal_runtime.quantities import bounds_of
from gymbal_runtime.signature import Bounds, Signature, float32_bounds
from gymbal_runtime.tasks import BALLOON, CACHE, HOST, check_task
from gymbal_runtime.telemetry import Telemetry

Floats = NDArray[np.float64]
CODEC_VERSION = 1


class Observation(TypedDict):
    """What a policy sees of H hosts with V VM slots each; F and G depend on the task."""

    vms: NDArray[np.float32]  # (H, V, F), zero where no VM is present
    host: NDArray[np.float32]  # (H, G)
    present: NDArray[np.float32]  # (H, V) 1 where a VM is present


@dataclass(frozen=True)
class Codec:
    """Encodes telemetry for a policy and decodes its correction to a feasible command.

    Attributes:
        task: id of the task; its parts are what the policy sees and commands.
        heuristic: name of the heuristic that the action corrects.
        options: the heuristic's options, as they were in training.

    Raises:
        ValueError: there is no such task.
    """

    task: str
    heuristic: str
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_task(self.task)

    @property
    def layout(self) -> Layout:
        """Which number stands where in the observation."""
        return layout_of(self.task)

    @property
    def num_vm_features(self) -> int:
        """F, the length of a VM's row."""
        return self.layout.num_vm_features

    @property
    def num_host_features(self) -> int:
        """G, the length of a host's row."""
        return len(self.layout.host)

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the A numbers that each VM gets."""
        return tuple(name for part in self.layout.parts for name in part.actions)

    @property
    def action_axes(self) -> tuple[int, ...]:
        """Axes of an action after those of hosts and VMs: none for one number a VM, else (A,)."""
        count = len(self.actions)
        return () if count == 1 else (count,)

    @property
    def signature(self) -> Signature:
        """What a policy of this codec takes and gives."""
        return Signature(
            inputs={
                "vms": ("hosts", "vms", self.num_vm_features),
                "host": ("hosts", self.num_host_features),
                "present": ("hosts", "vms"),
            },
            tables={"vms": "present", "host": None},
            asked="present",
            answer_axes=self.action_axes,
        )

    def spec(self) -> dict[str, Any]:
        """Everything that gives the numbers their meaning, as plain JSON types."""
        layout = self.layout
        action = {"shape": ["vms", *self.action_axes], "low": -1.0, "high": 1.0}
        if self.action_axes:
            action["names"] = list(self.actions)
        return {
            "task": self.task,
            "codec_version": CODEC_VERSION,
            "heuristic": self.heuristic,
            "options": dict(sorted(self.options.items())),
            **_constants(layout),
            "history_steps": HISTORY_STEPS,
            "vm_quantities": [asdict(q) for q in layout.vm],
            "history_quantities": [asdict(q) for q in layout.history],
            "host_quantities": [asdict(q) for q in layout.host],
            "action": action,
        }

    def fingerprint(self) -> str:
        """Hash of `spec`: two codecs with the same fingerprint read a policy the same way."""
        return content_hash(self.spec())

    def bounds(self) -> dict[str, Bounds]:
        """Lower and upper bound of each feature: ``vms`` (F,), ``host`` (G,)."""
        layout = self.layout
        vms = bounds_of(layout.vm + layout.history * HISTORY_STEPS)
        return float32_bounds(vms=vms, host=layout.host_bounds)

    def initial_history(self, num_hosts: int, num_vms: int) -> History:
        """The memory before the first decision: nothing changed so far."""
        return History.empty(num_hosts, num_vms, len(self.layout.history))

    def encode(
        self, telemetry: Telemetry, base: Command, history: History
    ) -> tuple[Observation, History]:
        """Telemetry to observation.

        Args:
            telemetry: record of H hosts.
            base: what the heuristic proposes for this record.
            history: what was remembered after the previous decision.

        Returns:
            The observation and the history to pass next time.
        """
        present, layout = telemetry.present, self.layout
        rows, memory = layout.vm_rows(telemetry, base, history)
        rows *= present[:, :, None]
        observation = Observation(
            vms=rows.astype(np.float32),
            host=layout.host_rows(telemetry, base).astype(np.float32),
            present=present.astype(np.float32),
        )
        return observation, memory

    def decode(self, action: NDArray[np.floating], telemetry: Telemetry, base: Command) -> Command:
        """Correction to command, always feasible. Zero gives ``base``.

        Args:
            action: (H, V), or (H, V, A) where a VM gets several numbers, in [-1, 1], clipped; a
                NaN counts as 0.
            telemetry: the record that was encoded.
            base: the heuristic's proposal.

        Returns:
            A command with the fields of the task's parts; it says nothing about others.
        """
        bounded = np.clip(np.nan_to_num(np.asarray(action, dtype=np.float64)), -1.0, 1.0)
        bounded = bounded.reshape(*telemetry.present.shape, len(self.actions))
        fields: dict[str, Floats] = {}
        first = 0
        for part in self.layout.parts:
            last = first + len(part.actions)
            fields |= part.decode(bounded[:, :, first:last], telemetry, base)
            first = last
        if "balloon_bytes" in fields:
            return Command(**fields)
        return replace(Command.no_change(*telemetry.present.shape), **fields)


def default_codec(task: str = BALLOON) -> Codec:
    """Corrects the best heuristic, with the options that tuning found (configs/tuned), rounded.

    Raises:
        ValueError: there is no such task.
    """
    check_task(task)
    heuristic, options = _DEFAULTS[task]
    return Codec(task, heuristic, copy.deepcopy(options))


_SENPAI = {
    "target_stall_s": 0.015,
    "max_probe": 0.011,
    "max_backoff": 1.77,
    "coeff_probe": 1.09,
    "coeff_backoff": 36.5,
}
_KPART = {"by_stall": True, "history": 0.42, "min_gain_frac": 0.053, "period_s": 10.0}
_STACK = {
    "memory": {
        "name": "meb",
        "miss_ratio": 0.146,
        "swap_rate_floor": 880000.0,
        "growth_window_s": 2.31,
        "headroom_frac": 0.302,
        "shrink_frac": 0.0464,
        "dead_band_frac": 0.0318,
    },
    "cache": {
        "name": "kpart",
        "by_stall": True,
        "history": 0.323,
        "min_gain_frac": 0.0145,
        "period_s": 10.0,
    },
    "cpu": {
        "name": "steal_feedback",
        "tolerance": 0.00437,
        "band_frac": 0.0409,
        "smoothing_s": 33.0,
        "hurt_frac": 0.424,
        "hold_s": 196.0,
        "step": 1.13,
        "max_boost": 14.1,
    },
    "device": {
        "name": "busiest_io",
        "least_rate_bytes_s": 7.31e7,
        "margin": 0.791,
        "dwell_s": 163.0,
        "smoothing_s": 87.0,
        "pin_penalty": 0.0311,
    },
    "monitor": {"name": "itc"},
}
_DEFAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    BALLOON: ("senpai", _SENPAI),
    CACHE: ("kpart", _KPART),
    HOST: ("stacked", _STACK),
}


def _constants(layout: Layout) -> dict[str, float]:
    """How strong actions are, by name; with the part's name in a task of several."""
    alone = len(layout.parts) == 1
    return {
        name if alone else f"{part.name}.{name}": value
        for part in layout.parts
        for name, value in part.constants.items()
    }
