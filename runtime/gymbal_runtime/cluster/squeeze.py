"""Ballooning harder for one VM: its neighbours give to it, for as long as it is boosted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gymbal_runtime.cluster.orders import SQUEEZED_FRAC
from gymbal_runtime.cluster.telemetry import ClusterTelemetry
from gymbal_runtime.command import Command
from gymbal_runtime.heuristics.split import project_to_budget
from gymbal_runtime.telemetry import Floats, Telemetry


def squeeze(command: Command, telemetry: ClusterTelemetry) -> Command:
    """The same command with the balloons of boosted VMs raised at their neighbours' expense.

    On a host with boosted VMs every other VM gives `SQUEEZED_FRAC` of what it would hold unused,
    as its guest says, and nothing below its floor. What is given is divided by how much each
    boosted VM has swapped; none gets more than its ceiling, and what nobody can take is not given.
    The result is feasible where the command was.

    Args:
        command: what the local agent says to the C * H hosts; NaN leaves a VM what it holds.
        telemetry: the record of the C clusters.
    """
    hosts = telemetry.hosts
    boosted = telemetry.boosted.reshape(hosts.present.shape) & hosts.present
    some = boosted.any(axis=1) & (hosts.present & ~boosted).any(axis=1)
    if not some.any():
        return command
    balloons = command.balloon_bytes.copy()
    balloons[some] = _shifted(balloons[some], hosts.take_hosts(np.flatnonzero(some)), boosted[some])
    return replace(command, balloon_bytes=balloons)


def _shifted(told: Floats, hosts: Telemetry, boosted: np.ndarray) -> Floats:
    """Targets (H, V) after the neighbours have given."""
    present = hosts.present
    low = np.where(present, hosts.memory_min_bytes, 0.0)
    high = np.where(present, hosts.memory_max_bytes, 0.0)
    target = np.where(present, np.where(np.isnan(told), hosts.actual_bytes, told), 0.0)
    unused = np.nan_to_num(hosts.usable_bytes) + target - np.where(present, hosts.actual_bytes, 0.0)
    spare = np.maximum(np.minimum(unused, target - low), 0.0)
    offered = np.where(present & ~boosted, SQUEEZED_FRAC * spare, 0.0)
    total = offered.sum(axis=1, keepdims=True)
    swapped = np.where(np.isnan(hosts.swap_used_bytes), 0.0, hosts.swap_used_bytes)
    # A VM that nothing is known to be swapped of still gets a part.
    need = np.where(boosted, swapped + 0.05 * np.maximum(target, 1.0), 0.0)
    wanted = total * need / need.sum(axis=1, keepdims=True)
    taken = np.minimum(wanted, np.where(boosted, np.maximum(high - target, 0.0), 0.0))
    share = taken.sum(axis=1, keepdims=True) / np.maximum(total, 1e-9)
    moved = target + taken - offered * np.minimum(share, 1.0)
    split = project_to_budget(moved, low, high, hosts.budget_bytes, present)
    return np.where(present, split, np.nan)
