"""The codec of whole clusters: telemetry to observation, corrections of a stack to orders.

Training and serving import this file; there is no second one. A policy corrects a stack of layers
with six numbers for each host; zero is exactly the stack.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.centre.corrections import CALL, VETO
from gymbal_runtime.cluster.heuristics.corrections import HASTE_BASE, LayerCorrections
from gymbal_runtime.cluster.heuristics.layered import Layered
from gymbal_runtime.cluster.layers.quantities import LAYOUT
from gymbal_runtime.cluster.layers.rows import Loads, cluster_columns, host_columns
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.cluster.powered import PoweredTelemetry
from gymbal_runtime.cluster.spare import THRIFT_SPAN
from gymbal_runtime.observation import HISTORY_STEPS
from gymbal_runtime.row_codec import RowCodec
from gymbal_runtime.row_layout import Columns, RowLayout
from gymbal_runtime.tasks import CLUSTER, check_task

LAYERS_CODEC_VERSION = 2
ACTIONS = ("fill", "relief", "keep", "haste", "exchange", "thrift")
SPAN = 0.3
"""Most that the parts of a host at which it is filled and counts as full are raised or lowered."""

_LAYERED: dict[str, Any] = {
    "stall_floor": 0.0234,
    "margin_frac": 0.0363,
    "dwell_s": 55.5,
    "least_speedup": 4.1,
    "patience_s": 27.2,
    "fixed_s": 2.63,
    "fill_frac": 1.12,
    "wake_gap": 0.257,
    "cpu_fill_frac": 0.756,
    "least_on_s": 82.7,
    "clone": False,
}
"""The best options that tuning found (configs/tuned/cluster.yaml), rounded."""


@dataclass(frozen=True)
class LayersCodec(RowCodec[PoweredTelemetry, Orders]):
    """Encodes telemetry for a policy and decodes its corrections.

    Attributes:
        task: id of the task.
        heuristic: name of the stack that the action corrects.
        options: the stack's options, as they were in training.

    Raises:
        ValueError: there is no such task, it is not about whole clusters, or there is no such
            stack.
    """

    LAYOUT: ClassVar[RowLayout] = LAYOUT
    WHOLE: ClassVar[str] = "cluster"
    ACTIONS: ClassVar[tuple[str, ...]] = ACTIONS

    task: str = CLUSTER
    heuristic: str = Layered.name
    options: dict[str, Any] = field(default_factory=lambda: dict(_LAYERED))

    def __post_init__(self) -> None:
        check_task(self.task)
        if self.task != CLUSTER:
            raise ValueError(f"the codec of whole clusters is for {CLUSTER}, not {self.task}")
        if self.heuristic != Layered.name:
            raise ValueError(
                f"heuristic {self.heuristic!r} cannot be corrected host by host; {Layered.name} can"
            )

    def spec(self) -> dict[str, Any]:
        """Everything that gives the numbers their meaning, as plain JSON types."""
        return {
            "task": self.task,
            "layers_codec_version": LAYERS_CODEC_VERSION,
            "heuristic": self.heuristic,
            "options": dict(sorted(self.options.items())),
            "span": SPAN,
            "veto": VETO,
            "call": CALL,
            "haste_base": HASTE_BASE,
            "thrift_span": THRIFT_SPAN,
            "history_steps": HISTORY_STEPS,
            "host_quantities": [asdict(q) for q in LAYOUT.row.now],
            "history_quantities": [asdict(q) for q in LAYOUT.row.changes],
            "cluster_quantities": [asdict(q) for q in LAYOUT.whole.now],
            "cluster_history_quantities": [asdict(q) for q in LAYOUT.whole.changes],
            "action": self.action_spec,
        }

    def columns(self, telemetry: PoweredTelemetry, base: Orders) -> tuple[Columns, Columns]:
        """What the tables call for, of hosts (C, H) and clusters (C,)."""
        loads = Loads.of(telemetry)
        hosts = host_columns(telemetry, base, loads)
        return hosts, cluster_columns(telemetry, base, loads)

    def corrections(self, action: NDArray[Any], telemetry: PoweredTelemetry) -> LayerCorrections:
        """What an action changes about the stack.

        Args:
            action: (C, H, 6), see `asked`.
            telemetry: the record that was encoded.
        """
        asked = self.asked(action, telemetry.exists)
        fill, relief, *others = np.moveaxis(asked, -1, 0)
        return LayerCorrections(1.0 + SPAN * fill, 1.0 + SPAN * relief, *others)

    def decode(
        self,
        action: NDArray[Any],
        telemetry: PoweredTelemetry,
        base: Orders | None = None,
        corrected: Layered | None = None,
    ) -> Orders:
        """Corrections to orders, each of them legal on its own. Zero gives what the stack says.

        Args:
            action: (C, H, 6), see `corrections`.
            telemetry: the record that was encoded.
            base: what the stack proposes; None: not asked yet.
            corrected: the stack, with what it remembers; None: a fresh one.
        """
        corrections = self.corrections(action, telemetry)
        if base is not None and corrections.nothing:
            return base
        return (corrected or Layered(**self.options)).act_corrected(telemetry, corrections)
