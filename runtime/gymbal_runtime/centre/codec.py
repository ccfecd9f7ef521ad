"""The codec of data centres: telemetry to observation, corrections of a rule to orders.

Training and serving import this file; there is no second one. A policy corrects a rule of
consolidation with three numbers for each host; zero is exactly the rule. What runs on a host is the
sum of its VMs, so that one step costs no more than V + H.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from numpy.typing import NDArray

from gymbal_runtime.centre.corrections import CALL, VETO, Correctable, Corrections
from gymbal_runtime.centre.heuristics import CENTRE_HEURISTICS, make_centre_heuristic
from gymbal_runtime.centre.loads import Loads
from gymbal_runtime.centre.orders import CentreOrders
from gymbal_runtime.centre.quantities import LAYOUT
from gymbal_runtime.centre.rows import centre_columns, host_columns
from gymbal_runtime.centre.telemetry import CentreTelemetry
from gymbal_runtime.observation import HISTORY_STEPS
from gymbal_runtime.row_codec import RowCodec
from gymbal_runtime.row_layout import Columns, RowLayout
from gymbal_runtime.tasks import CONSOLIDATION, check_task

CENTRE_CODEC_VERSION = 2
ACTIONS = ("fill", "relief", "keep")
THRESHOLD_SPAN = 0.3
"""Most that a host's threshold is raised or lowered, part of it: 0.8 becomes 0.56 to 1.04."""


@dataclass(frozen=True)
class CentreCodec(RowCodec[CentreTelemetry, CentreOrders]):
    """Encodes telemetry for a policy and decodes its corrections.

    Attributes:
        task: id of the task.
        heuristic: name of the rule that the action corrects.
        options: the rule's options, as they were in training.

    Raises:
        ValueError: there is no such task, it is not about data centres, or the rule cannot be
            corrected.
    """

    LAYOUT: ClassVar[RowLayout] = LAYOUT
    WHOLE: ClassVar[str] = "centre"
    ACTIONS: ClassVar[tuple[str, ...]] = ACTIONS

    task: str = CONSOLIDATION
    heuristic: str = "lr_mmt"
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_task(self.task)
        if self.task != CONSOLIDATION:
            raise ValueError(f"the codec of consolidation is for {CONSOLIDATION}, not {self.task}")
        if self.heuristic not in correctable():
            raise ValueError(
                f"heuristic {self.heuristic!r} cannot be corrected host by host; those that can "
                f"are {', '.join(correctable())}"
            )

    def spec(self) -> dict[str, Any]:
        """Everything that gives the numbers their meaning, as plain JSON types."""
        return {
            "task": self.task,
            "centre_codec_version": CENTRE_CODEC_VERSION,
            "heuristic": self.heuristic,
            "options": dict(sorted(self.options.items())),
            "threshold_span": THRESHOLD_SPAN,
            "veto": VETO,
            "call": CALL,
            "history_steps": HISTORY_STEPS,
            "host_quantities": [asdict(q) for q in LAYOUT.row.now],
            "history_quantities": [asdict(q) for q in LAYOUT.row.changes],
            "centre_quantities": [asdict(q) for q in LAYOUT.whole.columns],
            "action": self.action_spec,
        }

    def columns(self, telemetry: CentreTelemetry, base: CentreOrders) -> tuple[Columns, Columns]:
        """What the tables call for, of hosts (C, H) and centres (C,)."""
        loads = Loads.of(telemetry, base)
        hosts = host_columns(telemetry, base, loads)
        return hosts, centre_columns(telemetry, base, loads)

    def corrections(self, action: NDArray[Any], telemetry: CentreTelemetry) -> Corrections:
        """What an action changes about the rule.

        Args:
            action: (C, H, 3), see `asked`.
            telemetry: the record that was encoded.
        """
        asked = self.asked(action, telemetry.exists)
        factors = 1.0 + THRESHOLD_SPAN * asked[..., :2]
        return Corrections(factors[..., 0], factors[..., 1], asked[..., 2])

    def decode(
        self,
        action: NDArray[Any],
        telemetry: CentreTelemetry,
        base: CentreOrders | None = None,
        corrected: Correctable | None = None,
    ) -> CentreOrders:
        """Corrections to orders, every one of them legal. Zero gives what the rule says.

        Args:
            action: (C, H, 3), see `corrections`.
            telemetry: the record that was encoded.
            base: what the rule proposes; None: not asked yet.
            corrected: the rule, with what it remembers; None: a fresh one.
        """
        corrections = self.corrections(action, telemetry)
        if base is not None and corrections.nothing:
            return base
        if corrected is None:
            made = make_centre_heuristic(self.heuristic, **self.options)
            assert isinstance(made, Correctable)  # the constructor saw to that
            corrected = made
        return corrected.act_corrected(telemetry, corrections)


def correctable() -> tuple[str, ...]:
    """Names of the rules that can be corrected."""
    return tuple(name for name, rule in CENTRE_HEURISTICS.items() if hasattr(rule, "act_corrected"))
