"""What all who watch an episode have in common: when they look, and how a picture is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gymbal_envs.tasks.batch import Worlds


class Recorder(ABC):
    """Remembers one of the worlds, from now until its episode ends.

    Args:
        worlds: just reset; the first instant is remembered now.
        index: which of them.
    """

    _worlds: Worlds[Any, Any]

    def __init__(self, worlds: Worlds[Any, Any], index: int = 0) -> None:
        self._worlds, self._index = worlds, index
        self._interval_s: float = worlds.config.physics.clock.control_interval_s
        self._time_s: list[float] = []
        self._look()  # which notes: a subclass calls this constructor last

    def record(self) -> None:
        """Remember the interval that has just passed.

        When it was the last of the episode, the world already is in the next one: then there is
        nothing left to remember.
        """
        if self._now_s() > self._time_s[-1]:
            self._look()

    def _look(self) -> None:
        self._time_s.append(self._now_s())
        self._note()

    def _now_s(self) -> float:
        return float(self._worlds.telemetry.time_s[self._index])

    @abstractmethod
    def _note(self) -> None:
        """Keep copies of what the world shows now."""


class Viewer(ABC):
    """Watches a world and draws its episode; imports matplotlib only when a picture is wanted."""

    @abstractmethod
    def record(self) -> None:
        """Remember the interval that has just passed."""

    def image(self) -> NDArray[np.uint8]:
        """The episode so far, (height, width, 3)."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas: Any = FigureCanvasAgg(self._figure())
        canvas.draw()
        return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, :3])

    @abstractmethod
    def _figure(self) -> Any:
        """The episode so far as a figure of matplotlib."""
