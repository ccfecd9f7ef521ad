"""What an evaluation measures of each decision: rewards, their terms, causes of lost progress."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator import layout as at
from gymbal_envs.tasks.reward import share_weighted, terms_of
from gymbal_envs.tasks.worlds import HostWorlds, Transition
from gymbal_runtime.tasks import BALLOON, CACHE, HOST

Floats = NDArray[np.float64]

LOST_TO = {
    "lost_to_memory": at.LOST_MEMORY,
    "lost_to_cache": at.LOST_CACHE,
    "lost_to_io": at.LOST_IO,
    "lost_to_monitors": at.LOST_MONITOR,
}
"""Causes of lost progress; what is left of ``progress_lost`` is CPU contention."""
_SWAPPED = {"swap_in_bytes_s": at.READ, "swap_out_bytes_s": at.WRITTEN}
_MORE_MEASURES = {
    BALLOON: ("lost_to_memory", *_SWAPPED),
    CACHE: ("lost_to_memory", "lost_to_cache"),
    HOST: (*LOST_TO, *_SWAPPED),
}


def measures_of(task: str) -> tuple[str, ...]:
    """What is measured in a task, each a mean over a scenario's decisions.

    The reward, its unweighted terms, the parts of ``progress_lost`` by cause, and swap traffic.
    """
    return ("reward", *terms_of(task), *_MORE_MEASURES[task])


def measured(worlds: HostWorlds, transition: Transition) -> dict[str, Floats]:
    """The reward, its terms, and what it does not say about the last interval, (B,) each."""
    engine = worlds.engine
    interval = engine.params.clock.control_interval_s
    return {
        "reward": transition.reward,
        **transition.terms,
        **{name: share_weighted(engine, row) / interval for name, row in LOST_TO.items()},
        **{name: engine.outcome[:, row].sum(axis=1) / interval for name, row in _SWAPPED.items()},
    }
