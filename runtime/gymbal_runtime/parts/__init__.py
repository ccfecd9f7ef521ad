"""Resources that a policy sees and commands, and which of them each task is made of."""

from __future__ import annotations

from gymbal_runtime.parts import cache
from gymbal_runtime.parts.cpu import CPU
from gymbal_runtime.parts.device import DEVICE
from gymbal_runtime.parts.memory import MEMORY
from gymbal_runtime.parts.monitor import MONITOR
from gymbal_runtime.parts.part import Part
from gymbal_runtime.tasks import BALLOON, CACHE, HOST, check_task

_PARTS: dict[str, tuple[Part, ...]] = {
    BALLOON: (MEMORY,),
    CACHE: (cache.CACHE,),
    HOST: (MEMORY, cache.CACHE, CPU, DEVICE, MONITOR),
}


def parts_of(task: str) -> tuple[Part, ...]:
    """The parts of a task, in the order of its observation's columns and its actions.

    Raises:
        ValueError: there is no such task.
    """
    check_task(task)
    return _PARTS[task]


__all__ = ["Part", "parts_of"]
