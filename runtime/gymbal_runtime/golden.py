"""Golden cases: inputs of a trained network and what it answered, checked at every load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.signature import ACTION, Arrays, Axis, Signature


@dataclass(frozen=True)
class GoldenCase:
    """One observation and the answer that the trained network gave.

    In the bundle it is one JSON object: each input and the output by name, as nested lists.
    """

    observation: dict[str, NDArray[np.float32]]
    answer: NDArray[np.float32]
    output: str = ACTION

    def arrays(self) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
        """The observation and the expected answer."""
        return self.observation, self.answer


def golden_case(
    observation: Arrays, answer: NDArray[np.floating], output: str = ACTION
) -> GoldenCase:
    """A golden case from an observation of a few worlds and the network's answer."""
    inputs = {name: np.asarray(values, dtype=np.float32) for name, values in observation.items()}
    return GoldenCase(inputs, np.asarray(answer, dtype=np.float32), output)


def encode_golden(cases: list[GoldenCase]) -> bytes:
    """The cases as JSON."""
    plain = [
        {name: values.tolist() for name, values in case.observation.items()}
        | {case.output: case.answer.tolist()}
        for case in cases
    ]
    return msgspec.json.encode(plain)


def decode_golden(raw: bytes, signature: Signature) -> list[GoldenCase]:
    """The cases of a policy with this signature.

    Raises:
        msgspec.MsgspecError: not JSON, an input is missing or extra, or not all are numbers.
        ValueError: lists are ragged, their sizes do not agree, or nothing was asked.
    """
    depths = {name: len(axes) for name, axes in signature.inputs.items()}
    depths[signature.output] = depths[signature.asked] + len(signature.answer_axes)
    # Typed by hand-made nesting, so that no string or null passes for a number.
    kind = msgspec.defstruct(
        "GoldenCase",
        [(name, _nested(depth)) for name, depth in depths.items()],
        forbid_unknown_fields=True,
    )
    cases: list[Any] = msgspec.json.decode(raw, type=list[kind])  # type: ignore[valid-type]
    return [_checked({name: getattr(case, name) for name in depths}, signature) for case in cases]


def _nested(depth: int) -> Any:
    kind: Any = float
    for _ in range(depth):
        kind = list[kind]
    return kind


def _checked(lists: dict[str, Any], signature: Signature) -> GoldenCase:
    arrays = {name: np.asarray(values, dtype=np.float32) for name, values in lists.items()}
    answer = arrays.pop(signature.output)
    sizes: dict[str, int] = {}  # of the axes with a name: the same in all inputs
    for name, axes in signature.inputs.items():
        shape = arrays[name].shape
        if len(shape) != len(axes) or not all(map(_fits, axes, shape, [sizes] * len(axes))):
            raise ValueError(f"{name} has shape {shape}, expected {axes} with {sizes}")
    if answer.shape != signature.answer_shape(arrays):
        raise ValueError(f"{signature.output} has shape {answer.shape}")
    if not (arrays[signature.asked] > 0).any():
        raise ValueError(f"a golden case needs a row where `{signature.asked}` is not 0")
    return GoldenCase(arrays, answer, signature.output)


def _fits(axis: Axis, size: int, sizes: dict[str, int]) -> bool:
    return size == (axis if isinstance(axis, int) else sizes.setdefault(axis, size))
