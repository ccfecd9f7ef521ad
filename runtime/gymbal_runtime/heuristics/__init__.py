"""Published heuristics, as agents on telemetry: for comparison, as fallback, as prior."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gymbal_runtime.agent import Agent
from gymbal_runtime.building import build
from gymbal_runtime.heuristics.cache import CACHE_HEURISTICS
from gymbal_runtime.heuristics.esx import Esx
from gymbal_runtime.heuristics.host import HOST_HEURISTICS
from gymbal_runtime.heuristics.meb import Meb
from gymbal_runtime.heuristics.mom import Mom
from gymbal_runtime.heuristics.periodic import PeriodicHeuristic
from gymbal_runtime.heuristics.proportional import Proportional
from gymbal_runtime.heuristics.proxmox import Proxmox
from gymbal_runtime.heuristics.qmemman import Qmemman
from gymbal_runtime.heuristics.senpai import Senpai
from gymbal_runtime.heuristics.squeezed import Squeezed
from gymbal_runtime.heuristics.static import Static
from gymbal_runtime.tasks import (
    BALLOON,
    CACHE,
    CENTRE_TASKS,
    CLUSTER,
    CLUSTER_TASKS,
    CONSOLIDATION,
    HOST,
    OVERLOAD,
    PLACEMENT,
    check_task,
)

_ALL = (Static, Proportional, Esx, Mom, Proxmox, Qmemman, Squeezed, Senpai, Meb)

HEURISTICS: dict[str, type[PeriodicHeuristic]] = {heuristic.name: heuristic for heuristic in _ALL}
"""Every balloon heuristic by the name under which configurations and policy bundles know it."""

_OF_ONE_HOST: dict[str, Mapping[str, type[Any]]] = {
    BALLOON: HEURISTICS,
    CACHE: CACHE_HEURISTICS,
    HOST: HOST_HEURISTICS,
}


def heuristics_of(task: str) -> dict[str, type[Any]]:
    """The heuristics of a task by name; names are unique over all tasks.

    Each is a frozen dataclass that is an `Agent`, has a ``name``, and says in ``TUNABLE`` what a
    tuner may vary.

    Raises:
        ValueError: there is no such task.
    """
    check_task(task)
    return dict(_OF_ONE_HOST[task] if task in _OF_ONE_HOST else _of_several_hosts(task))


def make_heuristic(name: str, **options: Any) -> Agent:
    """Build a heuristic of any task by name.

    Args:
        name: a key of `heuristics_of` some task.
        **options: its parameters; see the class's docstring.

    Raises:
        ValueError: if there is no such heuristic or it has no such option (the message lists those
            that exist), or if an option is out of range.
    """
    known = _by_name(_OF_ONE_HOST.values())
    for task in (*CLUSTER_TASKS, *CENTRE_TASKS):
        if name in known:
            break
        known |= _by_name([_of_several_hosts(task)])
    agent: Agent = build("heuristic", known, name, options)
    return agent


def _of_several_hosts(task: str) -> Mapping[str, type[Any]]:
    # Imported here: a controller of one host needs none of them.
    if task == OVERLOAD:
        from gymbal_runtime.cluster.heuristics import OVERLOAD_HEURISTICS

        return OVERLOAD_HEURISTICS
    if task == CLUSTER:
        from gymbal_runtime.cluster.heuristics import CLUSTER_HEURISTICS

        return CLUSTER_HEURISTICS
    if task == CONSOLIDATION:
        from gymbal_runtime.centre.heuristics import CENTRE_HEURISTICS

        return CENTRE_HEURISTICS
    if task == PLACEMENT:
        from gymbal_runtime.placement.heuristics import PLACEMENT_HEURISTICS

        return PLACEMENT_HEURISTICS
    from gymbal_runtime.sites.heuristics import SITES_HEURISTICS

    return SITES_HEURISTICS


def _by_name(groups: Iterable[Mapping[str, type[Any]]]) -> dict[str, type[Any]]:
    """All heuristics of these groups, in alphabetical order within each."""
    return {name: rules[name] for rules in groups for name in sorted(rules)}


__all__ = ["HEURISTICS", "PeriodicHeuristic", "heuristics_of", "make_heuristic"]
