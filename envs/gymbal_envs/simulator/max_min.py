"""Weighted max-min shares: the one rule by which CPU time and device bandwidth are divided."""

from __future__ import annotations

from gymbal_envs.simulator.compile import Floats, lean_kernel


@lean_kernel
def share_max_min(wanted: Floats, weights: Floats, capacity: float, granted: Floats) -> None:
    """Grant ``min(wanted, weight * theta)`` with theta such that the capacity is used up.

    Progressive filling: whoever wants less than its share is served in full and its remainder goes
    to the others; ends after at most V rounds.

    Args:
        wanted: (V,) not negative; 0 for slots without a VM.
        weights: (V,) above 0 for present VMs.
        capacity: to divide, in the unit of ``wanted``.
        granted: (V,) the answer.
    """
    num_vms = wanted.shape[0]
    total = 0.0
    for v in range(num_vms):
        granted[v] = wanted[v]
        total += wanted[v]
    if total <= capacity:
        return
    for v in range(num_vms):
        granted[v] = -1.0
    left = capacity
    for _ in range(num_vms):
        weight = 0.0
        for v in range(num_vms):
            if granted[v] < 0.0:
                weight += weights[v]
        if weight <= 0.0:
            break
        theta = max(left, 0.0) / weight  # rounding may leave less than nothing
        served = 0
        for v in range(num_vms):
            if granted[v] < 0.0 and wanted[v] <= theta * weights[v]:
                granted[v] = wanted[v]
                left -= wanted[v]
                served += 1
        if served == 0:
            for v in range(num_vms):
                if granted[v] < 0.0:
                    granted[v] = theta * weights[v]
            break
