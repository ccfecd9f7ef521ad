"""A cap on CPU time as the kernel takes it: so many microseconds (a quota) in each period."""

from __future__ import annotations

import math

DEFAULT_PERIOD_US = 100_000
"""Period of a group that nobody configured."""
_LEAST_QUOTA_US = 1_000
UNLIMITED_US = 17_592_186_044_415
"""The kernel's largest quota, 2^44 - 1; libvirt says it where there is none (cgroup v2)."""


def cap_of(quota_us: float, period_us: float) -> float:
    """Most cores under a quota; inf where it limits nothing: zero, negative or the largest."""
    if quota_us <= 0 or quota_us >= UNLIMITED_US:
        return math.inf
    return quota_us / period_us


def bandwidth_us(cap_cores: float, period_us: float) -> tuple[int | None, int]:
    """Quota, None for no cap, and period of a cap.

    The period stays, unless the quota would then be less than the kernel takes (1 ms).
    """
    if cap_cores * period_us < _LEAST_QUOTA_US:
        period_us = DEFAULT_PERIOD_US
    quota_us = cap_cores * period_us
    if quota_us >= UNLIMITED_US:
        return None, round(period_us)
    return max(round(quota_us), _LEAST_QUOTA_US), round(period_us)
