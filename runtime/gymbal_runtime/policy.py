"""A trained policy as the runtime sees it: observation in, action out."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.signature import Arrays, PolicyCodec, Signature


class DecisionError(RuntimeError):
    """An agent will not decide, and says why; the controller then asks the fallback.

    Attributes:
        reason: a short fixed word for logs and metrics.
    """

    reason = "policy_error"


class PolicyError(DecisionError):
    """A graph does not fit this runtime, or was given something it cannot take."""


class InvalidActionError(DecisionError):
    """A policy returned something that is not a number wherever it was asked."""

    reason = "policy_invalid"


@runtime_checkable
class Policy(Protocol):
    """Any function from the observation of a batch of worlds to an answer for each of them."""

    def __call__(self, observation: Arrays) -> NDArray[np.float32]:
        """Observation to answer, in the shape that the codec's signature says.

        Corrections of hosts are (H, V) or (H, V, A) in [-1, 1]; choices are scores, one for each
        action, of which `best_legal` takes the highest. Where nothing was asked (an absent VM, an
        illegal action) the answer means nothing.
        """
        ...


def check_action(
    action: object,
    observation: Arrays,
    axes: tuple[int, ...] = (),
    asked: str = "present",
) -> NDArray[np.float32]:
    """The answer as an array, if it is finite wherever it was asked.

    Args:
        action: anything.
        observation: that it answers.
        axes: what follows the axes of ``asked`` in its shape, `Signature.answer_axes`.
        asked: the input that is positive where the answer means something.

    Raises:
        InvalidActionError: wrong type or shape, or NaN or infinity where it was asked.
    """
    array = _numbers("action", action, (*observation[asked].shape, *axes), np.float32)
    if not np.isfinite(array).all() and not np.isfinite(array[observation[asked] > 0]).all():
        what = "for a VM that is present" if asked == "present" else f"where `{asked}` asks for it"
        raise InvalidActionError(f"action is NaN or infinite {what}")
    return array


def check_choice(answer: object, mask: NDArray[np.floating]) -> NDArray[np.int64]:
    """The answer as numbers of choices, if each is a legal one.

    Args:
        answer: anything.
        mask: (..., A) positive where legal.

    Returns:
        (...) each in 0..A-1.

    Raises:
        InvalidActionError: wrong type or shape, not whole numbers, or a choice that is masked.
    """
    *rows, count = mask.shape
    given = _numbers("choice", answer, tuple(rows), np.float64)
    if not ((given >= 0) & (given < count) & (given == np.floor(given))).all():
        raise InvalidActionError(f"a choice is not a whole number in 0..{count - 1}")
    choice = given.astype(np.int64)
    if not (np.take_along_axis(mask, choice[..., None], axis=-1) > 0).all():
        raise InvalidActionError("a choice is not legal")
    return choice


def best_legal(scores: NDArray[np.float32], mask: NDArray[np.floating]) -> NDArray[np.int64]:
    """Index of the highest score among the legal ones, over the last axis.

    Args:
        scores: (..., A); those of illegal actions mean nothing.
        mask: (..., A) positive where legal.

    Returns:
        (...) the first of equals; 0 where nothing is legal.
    """
    best: NDArray[np.int64] = np.where(mask > 0, scores, -np.inf).argmax(axis=-1)
    return best


class Chooser:
    """A policy that scores choices, as one that makes them.

    Args:
        policy: observation to scores.
        signature: of the codec.
    """

    def __init__(self, policy: Policy, signature: Signature) -> None:
        self.policy = policy
        self.signature = signature

    def __call__(self, observation: Arrays) -> NDArray[np.int64]:
        """Index of the best legal choice of each row.

        Raises:
            InvalidActionError: a score is not finite although the choice is legal.
        """
        asked = self.signature.asked
        scores = check_action(
            self.policy(observation), observation, self.signature.answer_axes, asked
        )
        return best_legal(scores, observation[asked])


class OnnxPolicy:
    """An ONNX graph with the inputs and the output that a codec's signature names.

    One thread: a decision takes microseconds, and the host's cores belong to its VMs.

    Args:
        graph: the serialised ONNX model.
        codec: whose observations it takes and whose actions it gives.
        largest: largest world that the policy was made for, as `Signature.limited` counts.

    Raises:
        PolicyError: the graph does not load, or its inputs and outputs are not the codec's.
    """

    def __init__(self, graph: bytes, codec: PolicyCodec, largest: int) -> None:
        self.signature = codec.signature
        self.largest = largest
        self._session = _open_session(graph)
        self._check_signature()

    def __call__(self, observation: Arrays) -> NDArray[np.float32]:
        """Run the graph.

        Args:
            observation: of a batch of worlds, float32.

        Returns:
            The answer, float32, finite wherever it was asked.

        Raises:
            PolicyError: a larger world than the policy was made for, or the graph fails on it.
            InvalidActionError: the graph's answer is not finite wherever it was asked.
        """
        signature = self.signature
        size = signature.size(observation)
        if size > self.largest:
            raise PolicyError(
                f"{size} {signature.limited}, but the policy takes at most {self.largest}"
            )
        try:
            (action,) = self._session.run([signature.output], dict(observation))
        except Exception as error:  # onnxruntime's exceptions share no public base class
            raise PolicyError(f"the graph failed: {_first_line(error)}") from error
        return check_action(action, observation, signature.answer_axes, signature.asked)

    def _check_signature(self) -> None:
        expected = self.signature.inputs
        inputs = {node.name: node for node in self._session.get_inputs()}
        if set(inputs) != set(expected):
            raise PolicyError(f"inputs are {sorted(inputs)}, expected {sorted(expected)}")
        for name, named in expected.items():
            node = inputs[name]
            axes = tuple(size if isinstance(size, int) else None for size in named)
            found = tuple(size if isinstance(size, int) else None for size in node.shape)
            if node.type != "tensor(float)" or found != axes:
                raise PolicyError(
                    f"input {name} is {node.type} {list(node.shape)}, expected float32 with axes "
                    f"{axes} (None: dynamic)"
                )
        outputs = [node.name for node in self._session.get_outputs()]
        if outputs != [self.signature.output]:
            raise PolicyError(f"outputs are {outputs}, expected ['{self.signature.output}']")


def _numbers(what: str, answer: object, shape: tuple[int, ...], kind: type) -> NDArray[Any]:
    """The answer as an array of this shape and type.

    Raises:
        InvalidActionError: it is none.
    """
    try:
        array: NDArray[Any] = np.asarray(answer, dtype=kind)
    except (TypeError, ValueError) as error:
        raise InvalidActionError(f"{what} is not an array of numbers: {error}") from error
    if array.shape != shape:
        raise InvalidActionError(f"{what} has shape {array.shape}, expected {shape}")
    return array


def _open_session(graph: bytes) -> Any:
    # Imported here: a heuristic-only controller and --help need no onnxruntime.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # failures are raised; a second report on stderr helps nobody
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no public base class
        raise PolicyError(f"the graph does not load: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
