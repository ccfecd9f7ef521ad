"""The codec of whole clusters: telemetry to observation, corrections of a stack to orders.

Training and serving import this file; there is no second one. A policy corrects a stack of layers
with five numbers for each host; zero is exactly the stack.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.centre.corrections import CALL, VETO
from gymbal_runtime.cluster.heuristics.corrections import HASTE_BASE, LayerCorrections
from gymbal_runtime.cluster.heuristics.layered import Layered
from gymbal_runtime.cluster.layers.quantities import LAYOUT
from gymbal_runtime.cluster.layers.rows import Loads, cluster_columns, host_columns
from gymbal_runtime.cluster.orders import Orders
from gymbal_runtime.cluster.powered import PoweredTelemetry
from gymbal_runtime.hashing import content_hash
from gymbal_runtime.observation import HISTORY_STEPS
from gymbal_runtime.row_layout import RowHistory, RowLayout
from gymbal_runtime.signature import MAX_HOSTS, Bounds, Signature, float32_bounds
from gymbal_runtime.tasks import CLUSTER, check_task

LAYERS_CODEC_VERSION = 1
ACTIONS = ("fill", "relief", "keep", "haste", "exchange")
SPAN = 0.3
"""Most that the parts of a host at which it is filled and counts as full are raised or lowered."""


class LayersObservation(TypedDict):
    """What a policy sees of C clusters with H places for hosts."""

    hosts: NDArray[np.float32]  # (C, H, F), zero where no host is
    cluster: NDArray[np.float32]  # (C, G)
    present: NDArray[np.float32]  # (C, H) 1 where a host is


@dataclass(frozen=True)
class LayersCodec:
    """Encodes telemetry for a policy and decodes its corrections.

    Attributes:
        task: id of the task.
        heuristic: name of the stack that the action corrects.
        options: the stack's options, as they were in training.

    Raises:
        ValueError: there is no such task, it is not about whole clusters, or there is no such
            stack.
    """

    task: str = CLUSTER
    heuristic: str = Layered.name
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_task(self.task)
        if self.task != CLUSTER:
            raise ValueError(f"the codec of whole clusters is for {CLUSTER}, not {self.task}")
        if self.heuristic != Layered.name:
            raise ValueError(
                f"heuristic {self.heuristic!r} cannot be corrected host by host; {Layered.name} can"
            )

    @property
    def layout(self) -> RowLayout:
        """Which number stands where in the observation."""
        return LAYOUT

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the numbers that each host gets."""
        return ACTIONS

    @property
    def signature(self) -> Signature:
        """What a policy of this codec takes and gives: five numbers for each host."""
        rows = ("clusters", "hosts")
        return Signature(
            inputs={
                "hosts": (*rows, LAYOUT.row.width),
                "cluster": ("clusters", LAYOUT.whole.width),
                "present": rows,
            },
            tables={"hosts": "present", "cluster": None},
            asked="present",
            answer_axes=(len(ACTIONS),),
            limit=MAX_HOSTS,
            limited="hosts",
            sized=("present", 1),
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
            "history_steps": HISTORY_STEPS,
            "host_quantities": [asdict(q) for q in LAYOUT.row.now],
            "history_quantities": [asdict(q) for q in LAYOUT.row.changes],
            "cluster_quantities": [asdict(q) for q in LAYOUT.whole.now],
            "cluster_history_quantities": [asdict(q) for q in LAYOUT.whole.changes],
            "action": {
                "names": list(ACTIONS),
                "shape": ["hosts", len(ACTIONS)],
                "low": -1.0,
                "high": 1.0,
            },
        }

    def fingerprint(self) -> str:
        """Hash of `spec`: two codecs with the same fingerprint read a policy the same way."""
        return content_hash(self.spec())

    def bounds(self) -> dict[str, Bounds]:
        """Lower and upper bound of each feature: ``hosts`` (F,), ``cluster`` (G,)."""
        return float32_bounds(hosts=LAYOUT.row.bounds, cluster=LAYOUT.whole.bounds)

    def initial_history(self, num_clusters: int, num_hosts: int) -> RowHistory:
        """The memory before the first decision: nothing changed so far."""
        return LAYOUT.no_history(num_clusters, num_hosts)

    def encode(
        self, telemetry: PoweredTelemetry, base: Orders, history: RowHistory
    ) -> tuple[LayersObservation, RowHistory]:
        """Telemetry to observation.

        Args:
            telemetry: record of C clusters.
            base: what the stack proposes for this record.
            history: what was remembered after the previous decision.

        Returns:
            The observation and the history to pass next time.
        """
        with np.errstate(all="ignore"):  # empty places may hold anything
            loads = Loads.of(telemetry)
            hosts, cluster, memory = LAYOUT.encode(
                host_columns(telemetry, base, loads),
                cluster_columns(telemetry, base, loads),
                telemetry.exists,
                history,
            )
        observation = LayersObservation(
            hosts=hosts.astype(np.float32),
            cluster=cluster.astype(np.float32),
            present=telemetry.exists.astype(np.float32),
        )
        return observation, memory

    def corrections(self, action: NDArray[Any], telemetry: PoweredTelemetry) -> LayerCorrections:
        """What an action changes about the stack.

        Args:
            action: (C, H, 5) in [-1, 1], clipped; a NaN counts as 0, as does what a place without a
                host asks for.
            telemetry: the record that was encoded.
        """
        shape = (*telemetry.exists.shape, len(ACTIONS))
        asked = np.nan_to_num(np.asarray(action, dtype=np.float64)).reshape(shape)
        bounded = np.clip(asked, -1.0, 1.0) * telemetry.exists[..., None]
        fill, relief, keep, haste, exchange = np.moveaxis(bounded, -1, 0)
        return LayerCorrections(1.0 + SPAN * fill, 1.0 + SPAN * relief, keep, haste, exchange)

    def decode(
        self,
        action: NDArray[Any],
        telemetry: PoweredTelemetry,
        base: Orders | None = None,
        stack: Layered | None = None,
    ) -> Orders:
        """Corrections to orders, each of them legal on its own. Zero gives what the stack says.

        Args:
            action: (C, H, 5), see `corrections`.
            telemetry: the record that was encoded.
            base: what the stack proposes; None: not asked yet.
            stack: to be corrected, with what it remembers; None: a fresh one.
        """
        corrections = self.corrections(action, telemetry)
        if base is not None and corrections.nothing:
            return base
        return (stack or Layered(**self.options)).act_corrected(telemetry, corrections)
