"""A trained policy as the runtime sees it: observation in, action out."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.codec import Observation
from gymbal_runtime.observation import NUM_HOST_FEATURES, NUM_VM_FEATURES

INPUT_AXES: dict[str, tuple[int | None, ...]] = {
    "vms": (None, None, NUM_VM_FEATURES),
    "host": (None, NUM_HOST_FEATURES),
    "present": (None, None),
}
"""Inputs of a graph and the size of each axis; None is dynamic (hosts, then VM slots)."""
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
    """Any function from the observation of H hosts to one number for each of their VMs."""

    def __call__(self, observation: Observation) -> NDArray[np.float32]:
        """Observation to (H, V) action in [-1, 1]; values of absent VMs mean nothing."""
        ...


def check_action(action: object, observation: Observation) -> NDArray[np.float32]:
    """The action as an array, if it is one finite number for each present VM.

    Raises:
        InvalidActionError: wrong type or shape, or NaN or infinity where a VM is present.
    """
    try:
        array = np.asarray(action, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidActionError(f"action is not an array of numbers: {error}") from error
    expected = observation["present"].shape
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
        max_vms: largest number of VM slots that the policy was made for.

    Raises:
        PolicyError: the graph does not load, or its inputs and outputs are not the codec's.
    """

    def __init__(self, graph: bytes, max_vms: int) -> None:
        self.max_vms = max_vms
        self._session = _open_session(graph)
        self._check_signature()

    def __call__(self, observation: Observation) -> NDArray[np.float32]:
        """Run the graph.

        Args:
            observation: of H hosts with V slots, float32.

        Returns:
            (H, V) float32, finite wherever a VM is present.

        Raises:
            PolicyError: more VM slots than ``max_vms``, or the graph fails on this input.
            InvalidActionError: the graph's answer is not one finite number for each present VM.
        """
        num_vms = observation["present"].shape[1]
        if num_vms > self.max_vms:
            raise PolicyError(f"{num_vms} VM slots, but the policy takes at most {self.max_vms}")
        try:
            (action,) = self._session.run([OUTPUT], dict(observation))
        except Exception as error:  # onnxruntime's exceptions share no public base class
            raise PolicyError(f"the graph failed: {_first_line(error)}") from error
        return check_action(action, observation)

    def _check_signature(self) -> None:
        inputs = {node.name: node for node in self._session.get_inputs()}
        if set(inputs) != set(INPUT_AXES):
            raise PolicyError(f"inputs are {sorted(inputs)}, expected {sorted(INPUT_AXES)}")
        for name, axes in INPUT_AXES.items():
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
