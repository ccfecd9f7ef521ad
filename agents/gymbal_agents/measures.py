"""What an evaluation measures of each decision: rewards, their terms, causes of lost progress."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.tasks.batch import Transition, Worlds
from gymbal_envs.tasks.centre_terms import CENTRE_COUNTS, CENTRE_MEASURES, centre_measures
from gymbal_envs.tasks.cluster_worlds import MEASURES as CLUSTER_MEASURES
from gymbal_envs.tasks.layered_worlds import LAYERED_COUNTS, LAYERED_MEASURES, layered_measures
from gymbal_envs.tasks.placement_terms import (
    PLACEMENT_COUNTS,
    PLACEMENT_MEASURES,
    placement_measures,
)
from gymbal_envs.tasks.reward import terms_of
from gymbal_envs.tasks.sites_terms import SITES_MEASURES
from gymbal_envs.tasks.worlds import LOST_TO, SWAPPED
from gymbal_runtime.tasks import (
    BALLOON,
    CACHE,
    CLUSTER,
    CONSOLIDATION,
    HOST,
    OVERLOAD,
    PLACEMENT,
    SITES,
)

Floats = NDArray[np.float64]

_MORE_MEASURES: dict[str, tuple[str, ...]] = {
    BALLOON: ("lost_to_memory", *SWAPPED),
    CACHE: ("lost_to_memory", "lost_to_cache"),
    HOST: (*LOST_TO, *SWAPPED),
    OVERLOAD: CLUSTER_MEASURES,
    CLUSTER: LAYERED_MEASURES,
    SITES: SITES_MEASURES,
    CONSOLIDATION: CENTRE_MEASURES,
    PLACEMENT: PLACEMENT_MEASURES,
}

_COUNTS = {
    CLUSTER: LAYERED_COUNTS,
    CONSOLIDATION: CENTRE_COUNTS,
    PLACEMENT: PLACEMENT_COUNTS,
}
"""What is added up instead, where measures are of whole episodes."""
_OF_EPISODES = {
    CLUSTER: layered_measures,
    CONSOLIDATION: centre_measures,
    PLACEMENT: placement_measures,
}
"""And what makes measures of it."""


def measures_of(task: str) -> tuple[str, ...]:
    """What is measured in a task, each a mean over a scenario's decisions.

    The reward, its unweighted terms, the parts of ``progress_lost`` by cause, and swap traffic. Of
    data centres, beside reward and terms, what the literature says of a whole day:
    `gymbal_envs.tasks.centre_terms.centre_measures`.
    """
    return ("reward", *terms_of(task), *_MORE_MEASURES[task])


def measured(worlds: Worlds[Any, Any], transition: Transition) -> dict[str, Floats]:
    """The reward, its terms, and what it does not say about the last interval, (B,) each."""
    return {"reward": transition.reward, **transition.terms, **worlds.measured()}


def counted_in(task: str) -> tuple[str, ...]:
    """What is added up over a scenario's decisions, keys of `measured`."""
    if task in _COUNTS:
        return tuple(dict.fromkeys(("reward", *terms_of(task), *_COUNTS[task])))
    return measures_of(task)


def measures_from(task: str, means: dict[str, Floats], steps: int) -> dict[str, Floats]:
    """The measures of whole scenarios.

    Args:
        task: id.
        means: per decision, of each of `counted_in`, (N,).
        steps: decisions of a scenario.
    """
    if task in _OF_EPISODES:
        means = means | _OF_EPISODES[task](means, steps)
    return {name: means[name] for name in measures_of(task)}
