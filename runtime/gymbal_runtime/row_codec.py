"""What codecs have in common that correct a heuristic host by host.

A policy sees a row for each host and a row of the whole they belong to, and answers some numbers
for each host. Zero is exactly the heuristic.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.hashing import content_hash
from gymbal_runtime.row_layout import Columns, RowHistory, RowLayout
from gymbal_runtime.signature import MAX_HOSTS, Bounds, Signature, float32_bounds
from gymbal_runtime.telemetry import Bools, Floats


class RowRecord(Protocol):
    """A record of C wholes with H places for hosts."""

    @property
    def exists(self) -> Bools:
        """(C, H) where a host is."""
        ...


TelemetryT = TypeVar("TelemetryT", bound=RowRecord)
OrdersT = TypeVar("OrdersT")


@dataclass(frozen=True)
class RowCodec(ABC, Generic[TelemetryT, OrdersT]):
    """Rows, bounds, signature and memory; subclasses say what is seen and what answers mean.

    Attributes:
        LAYOUT: which number stands where.
        WHOLE: what hosts belong to, ``centre`` or ``cluster``; its row is called so.
        ACTIONS: names of the numbers that each host gets.
        task: id of the task.
        heuristic: name of what the action corrects.
        options: of the heuristic, as they were in training.
    """

    LAYOUT: ClassVar[RowLayout]
    WHOLE: ClassVar[str]
    ACTIONS: ClassVar[tuple[str, ...]]

    task: str
    heuristic: str
    options: dict[str, Any] = field(default_factory=dict)

    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """Everything that gives the numbers their meaning, as plain JSON types."""

    @abstractmethod
    def columns(self, telemetry: TelemetryT, base: OrdersT) -> tuple[Columns, Columns]:
        """What the tables call for, of hosts (C, H), whatever absent ones hold, and wholes (C,)."""

    def encode(
        self, telemetry: TelemetryT, base: OrdersT, history: RowHistory
    ) -> tuple[dict[str, NDArray[np.float32]], RowHistory]:
        """Telemetry to observation.

        Args:
            telemetry: record of C wholes.
            base: what the heuristic proposes for this record.
            history: what was remembered after the previous decision.

        Returns:
            The observation: ``hosts`` (C, H, F), zero where no host is, the wholes' rows (C, G),
            and ``present`` (C, H), 1 where a host is; and the history to pass next time.
        """
        with np.errstate(all="ignore"):  # empty places may hold anything
            columns = self.columns(telemetry, base)
            hosts, wholes, memory = self.LAYOUT.encode(*columns, telemetry.exists, history)
        seen = {"hosts": hosts, self.WHOLE: wholes, "present": telemetry.exists}
        return {name: table.astype(np.float32) for name, table in seen.items()}, memory

    @abstractmethod
    def decode(
        self,
        action: NDArray[Any],
        telemetry: TelemetryT,
        base: OrdersT | None = None,
        corrected: Any = None,
    ) -> OrdersT:
        """Corrections to orders, every one of them legal. Zero gives what the heuristic says.

        Args:
            action: (C, H, A), see `asked`.
            telemetry: the record that was encoded.
            base: what the heuristic proposes; None: not asked yet.
            corrected: the heuristic, with what it remembers; None: a fresh one.
        """

    def fingerprint(self) -> str:
        """Hash of `spec`: two codecs with the same fingerprint read a policy the same way."""
        return content_hash(self.spec())

    @property
    def layout(self) -> RowLayout:
        """Which number stands where in the observation."""
        return self.LAYOUT

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the numbers that each host gets."""
        return self.ACTIONS

    @property
    def signature(self) -> Signature:
        """What a policy of this codec takes and gives: some numbers for each host."""
        wholes = f"{self.WHOLE}s"
        return Signature(
            inputs={
                "hosts": (wholes, "hosts", self.LAYOUT.row.width),
                self.WHOLE: (wholes, self.LAYOUT.whole.width),
                "present": (wholes, "hosts"),
            },
            tables={"hosts": "present", self.WHOLE: None},
            asked="present",
            answer_axes=(len(self.ACTIONS),),
            limit=MAX_HOSTS,
            limited="hosts",
            sized=("present", 1),
        )

    @property
    def action_spec(self) -> dict[str, Any]:
        """What `spec` says of the action."""
        names = list(self.ACTIONS)
        return {"names": names, "shape": ["hosts", len(names)], "low": -1.0, "high": 1.0}

    def bounds(self) -> dict[str, Bounds]:
        """Lower and upper bound of each feature: ``hosts`` (F,) and the whole's (G,)."""
        whole = {self.WHOLE: self.LAYOUT.whole.bounds}
        return float32_bounds(hosts=self.LAYOUT.row.bounds, **whole)

    def initial_history(self, num_worlds: int, num_hosts: int) -> RowHistory:
        """The memory before the first decision: nothing changed so far."""
        return self.LAYOUT.no_history(num_worlds, num_hosts)

    def asked(self, action: NDArray[Any], exists: Bools) -> Floats:
        """An action (C, H, A) in [-1, 1].

        Clipped; a NaN counts as 0, as does what a place without a host asks for.
        """
        values = np.nan_to_num(np.asarray(action, dtype=np.float64))
        bounded = np.clip(values.reshape(*exists.shape, len(self.ACTIONS)), -1.0, 1.0)
        within: Floats = bounded * exists[..., None]
        return within
