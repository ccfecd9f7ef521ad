"""A trained policy as the runtime sees it: observation in, action out."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.codec import Codec, Observation

OUTPUT = "action"


class DecisionError(RuntimeError):
    """An agent will not decide, and says why; the controller then asks the fallback.

    Attributes:
        reason: a short fixed word for logs and metrics.
    """

    reason = "policy_error"


class PolicyError(DecisionError):
    """A graph does not fit this runtime, or was given something it cannot take."""


class InvalidActionError(DecisionError):
    """A policy returned something that is not a number for every present VM."""

    reason = "policy_invalid"


@runtime_checkable
class Policy(Protocol):
    """Any function from the observation of H hosts to the actions of their VMs."""

    def __call__(self, observation: Observation) -> NDArray[np.float32]:
        """Observation to (H, V) or (H, V, A) action in [-1, 1]; absent VMs' mean nothing."""
        ...


def input_axes(codec: Codec) -> dict[str, tuple[int | None, ...]]:
    """Inputs of a graph and the size of each axis; None is dynamic (hosts, then VM slots)."""
    return {
        "vms": (None, None, codec.num_vm_features),
        "host": (None, codec.num_host_features),
        "present": (None, None),
    }


def check_action(
    action: object, observation: Observation, axes: tuple[int, ...] = ()
) -> NDArray[np.float32]:
    """The action as an array, if it is finite for each present VM.

    Args:
        action: anything.
        observation: that it answers, of H hosts with V slots.
        axes: what follows (H, V) in its shape, `Codec.action_axes`.

    Raises:
        InvalidActionError: wrong type or shape, or NaN or infinity where a VM is present.
    """
    try:
        array = np.asarray(action, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidActionError(f"action is not an array of numbers: {error}") from error
    expected = (*observation["present"].shape, *axes)
    if array.shape != expected:
        raise InvalidActionError(f"action has shape {array.shape}, expected {expected}")
    if not np.isfinite(array).all() and not np.isfinite(array[observation["present"] > 0]).all():
        raise InvalidActionError("action is NaN or infinite for a VM that is present")
    return array


class OnnxPolicy:
    """An ONNX graph with inputs ``vms``, ``host``, ``present`` and output ``action``.

    One thread: a decision takes microseconds, and the host's cores belong to its VMs.

    Args:
        graph: the serialised ONNX model.
        codec: whose observations it takes and whose actions it gives.
        max_vms: largest number of VM slots that the policy was made for.

    Raises:
        PolicyError: the graph does not load, or its inputs and outputs are not the codec's.
    """

    def __init__(self, graph: bytes, codec: Codec, max_vms: int) -> None:
        self.max_vms = max_vms
        self._action_axes = codec.action_axes
        self._session = _open_session(graph)
        self._check_signature(input_axes(codec))

    def __call__(self, observation: Observation) -> NDArray[np.float32]:
        """Run the graph.

        Args:
            observation: of H hosts with V slots, float32.

        Returns:
            (H, V) or (H, V, A) float32, finite wherever a VM is present.

        Raises:
            PolicyError: more VM slots than ``max_vms``, or the graph fails on this input.
            InvalidActionError: the graph's answer is not finite for each present VM.
        """
        num_vms = observation["present"].shape[1]
        if num_vms > self.max_vms:
            raise PolicyError(f"{num_vms} VM slots, but the policy takes at most {self.max_vms}")
        try:
            (action,) = self._session.run([OUTPUT], dict(observation))
        except Exception as error:  # onnxruntime's exceptions share no public base class
            raise PolicyError(f"the graph failed: {_first_line(error)}") from error
        return check_action(action, observation, self._action_axes)

    def _check_signature(self, expected: dict[str, tuple[int | None, ...]]) -> None:
        inputs = {node.name: node for node in self._session.get_inputs()}
        if set(inputs) != set(expected):
            raise PolicyError(f"inputs are {sorted(inputs)}, expected {sorted(expected)}")
        for name, axes in expected.items():
            node = inputs[name]
            found = tuple(size if isinstance(size, int) else None for size in node.shape)
            if node.type != "tensor(float)" or found != axes:
                raise PolicyError(
                    f"input {name} is {node.type} {list(node.shape)}, expected float32 with axes "
                    f"{axes} (None: dynamic)"
                )
        outputs = [node.name for node in self._session.get_outputs()]
        if outputs != [OUTPUT]:
            raise PolicyError(f"outputs are {outputs}, expected ['{OUTPUT}']")


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
