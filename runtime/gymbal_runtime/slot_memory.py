"""What an agent remembers of its VMs: named arrays whose first axis is the host."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gymbal_runtime.telemetry import Bools, Floats


def forget(
    memory: dict[str, Floats], shapes: Mapping[str, tuple[int, ...]], hosts: Bools | None = None
) -> None:
    """Make ``memory`` blank (NaN) for the marked hosts, and wherever its shape is another one.

    Args:
        memory: name to array, changed in place.
        shapes: name to the shape that each array shall have; the first axis is the host.
        hosts: (H,) hosts to forget; None forgets all.
    """
    for name, shape in shapes.items():
        remembered = memory.get(name)
        if hosts is None or remembered is None or remembered.shape != shape:
            memory[name] = np.full(shape, np.nan)
        else:
            remembered[hosts] = np.nan


def only_present(memory: Mapping[str, Floats], present: Bools) -> dict[str, Floats]:
    """Copies of the arrays in which slots without a VM are blank (NaN).

    A VM that comes must not inherit from the one that left. Arrays of one value per host (one
    axis) are copied as they are.

    Args:
        memory: name to array, (H,), (H, V) or (H, V, ...).
        present: (H, V) which slots hold a VM.
    """
    kept: dict[str, Floats] = {}
    for name, values in memory.items():
        if values.ndim == 1:
            kept[name] = values.copy()
        else:
            mask = present.reshape(present.shape + (1,) * (values.ndim - 2))
            kept[name] = np.where(mask, values, np.nan)
    return kept
