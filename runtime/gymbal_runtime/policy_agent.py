"""A policy as an agent: heuristic, codec and network in one, for whatever the codec encodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from numpy.typing import NDArray

from gymbal_runtime.policy import check_choice
from gymbal_runtime.signature import Arrays, PolicyCodec
from gymbal_runtime.telemetry import Bools, Telemetry
from gymbal_runtime.training_range import RangeCheck, TrainingRange, check_measured


class Record(Protocol):
    """Telemetry of a batch of worlds; each VM has a slot."""

    @property
    def present(self) -> Bools:
        """Which slots hold a VM, (worlds, ..., slots)."""
        ...


RecordT = TypeVar("RecordT", bound=Record, contravariant=True)
OrdersT = TypeVar("OrdersT")


class ActingCodec(PolicyCodec, Protocol[RecordT, OrdersT]):
    """What an agent asks of a codec: to encode and to decode."""

    @property
    def initial_history(self) -> Callable[..., Any]:
        """From the shape of the slots to the memory before the first decision."""
        ...

    def encode(self, telemetry: RecordT, base: OrdersT, history: Any, /) -> tuple[Any, Any]:
        """Telemetry to observation, and the history to pass next time."""
        ...

    def decode(self, action: Any, telemetry: RecordT, base: OrdersT, /) -> OrdersT:
        """What shall be done."""
        ...


class PolicyAgent(Generic[RecordT, OrdersT]):
    """Lets a policy decide, beside the heuristic that it was trained with.

    Args:
        codec: names the heuristic, encodes and decodes.
        policy: observation to answer.
        name: how tables and logs call this agent.
        known: what the policy has seen in training; where given, the agent refuses to decide on
            anything else. Evaluation leaves it out, to see what happens then.
    """

    _make_heuristic: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        codec: ActingCodec[RecordT, OrdersT],
        policy: Callable[[Any], NDArray[Any]],
        name: str = "policy",
        known: TrainingRange | None = None,
    ) -> None:
        self.name = name
        self.codec = codec
        self.policy = policy
        self.heuristic = self._make_heuristic(codec.heuristic, **codec.options)
        self._known = known
        self._range_check = RangeCheck(known, codec) if known else None
        self._shape = (0, 0)
        self._history: Any = None

    def reset(self, num_worlds: int, num_vms: int, worlds: Bools | None = None) -> None:
        """Forget the marked worlds, or all of them, and expect (num_worlds, num_vms)."""
        self.heuristic.reset(num_worlds, num_vms, worlds)
        if worlds is None or self._shape != (num_worlds, num_vms):
            self._shape, self._history = (num_worlds, num_vms), None
        elif self._history is not None:
            self._history = self._history.forget(worlds)

    def act(self, telemetry: RecordT) -> OrdersT:
        """Decide for every world of the record.

        The heuristic and the history see every record, also one that the policy is not asked about,
        so that the next decision is as good as if nothing had happened.

        Raises:
            ValueError: the record has another shape than `reset` announced.
            DecisionError: the record or the observation is unlike training (only where ``known``
                was given), the policy failed, or its answer cannot be carried out.
        """
        shape = telemetry.present.shape
        self._expect(shape)
        base = self.heuristic.act(telemetry)
        if self._history is None:
            self._history = self._new_history(telemetry)
        observation, self._history = self.codec.encode(telemetry, base, self._history)
        if self._known and self._range_check:
            sensors = self._sensors(telemetry)
            if sensors is not None:
                check_measured(sensors, self._known)
            self._range_check(observation)
        answer = self._checked(self.policy(observation), observation)
        return self._decoded(answer, telemetry, base)

    def _new_history(self, telemetry: RecordT) -> Any:
        """The memory before the first decision."""
        return self.codec.initial_history(*telemetry.present.shape)

    def _decoded(self, answer: NDArray[Any], telemetry: RecordT, base: OrdersT) -> OrdersT:
        """What shall be done."""
        return self.codec.decode(answer, telemetry, base)

    def _expect(self, shape: tuple[int, ...]) -> None:
        """Refuse a record of another shape than `reset` announced."""
        if shape != self._shape:
            raise ValueError(f"record is {shape}, reset announced {self._shape}")

    def _sensors(self, telemetry: RecordT) -> Telemetry | None:
        """The hosts' sensors, none of which may fall silent; None: there are none."""
        return None

    def _checked(self, answer: object, observation: Arrays) -> NDArray[Any]:
        """The answer, if it can be carried out: a legal choice wherever one was asked."""
        return check_choice(answer, observation["mask"])
