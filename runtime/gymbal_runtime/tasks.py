"""Tasks by id: what a policy may be about."""

from __future__ import annotations

BALLOON = "gymbal/Balloon-v0"
"""Divide the memory of one host between its VMs."""
CACHE = "gymbal/Cache-v0"
"""Divide the last-level cache of one host between its VMs."""
HOST = "gymbal/Host-v0"
"""Divide memory, cache and CPU time, choose device modes and monitors, all at once."""
OVERLOAD = "gymbal/Overload-v0"
"""Several hosts: wait, squeeze, borrow, migrate or clone when one of them is overloaded."""
CLUSTER = "gymbal/Cluster-v0"
"""Several hosts, all of it: answer overloads, gather VMs and let hosts sleep, place who comes."""
SITES = "gymbal/Sites-v0"
"""Move VMs with their disks between data centres: when, in which order and how."""
CONSOLIDATION = "gymbal/Consolidation-v0"
"""A data centre: which VM runs on which host, which host sleeps."""
PLACEMENT = "gymbal/Placement-v0"
"""A data centre: a host for every VM that comes, chosen by what VMs do to each other."""

TASKS = (BALLOON, CACHE, HOST)
"""Tasks about one host."""
CLUSTER_TASKS = (OVERLOAD, CLUSTER, SITES)
"""Tasks about several hosts."""
CENTRE_TASKS = (CONSOLIDATION, PLACEMENT)
"""Tasks about whole data centres."""


def check_task(task: str) -> None:
    """Refuse an id that does not exist.

    Raises:
        ValueError: listing those that do.
    """
    known = (*TASKS, *CLUSTER_TASKS, *CENTRE_TASKS)
    if task not in known:
        raise ValueError(f"no task {task!r}; there are {', '.join(known)}")


def short_name(task: str) -> str:
    """``balloon`` of ``gymbal/Balloon-v0``: what files and configuration groups are called.

    Raises:
        ValueError: there is no such task.
    """
    check_task(task)
    return task.removeprefix("gymbal/").rpartition("-")[0].lower()
