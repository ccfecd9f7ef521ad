"""CPU weight and cap of a libvirt domain, as the parameters of its scheduler say them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from gymbal_runtime.adapters.cpu_bandwidth import (
    DEFAULT_PERIOD_US,
    UNLIMITED_US,
    bandwidth_us,
    cap_of,
)

# Parameters of the QEMU driver: a weight, and quotas in microseconds per period.
_SHARES = "cpu_shares"
_QUOTA, _PERIOD = "global_quota", "global_period"  # of the whole domain
_VCPU_QUOTA, _VCPU_PERIOD = "vcpu_quota", "vcpu_period"  # of each vCPU

_NEEDS = {"cpu_weight": _SHARES, "cpu_cap_cores": _QUOTA}
_LEAST_SHARES = 2
_V1_DEFAULT, _V2_DEFAULT = 1024.0, 100.0


def default_shares(cgroups: Path) -> float:
    """Shares of a domain that nobody configured: weight 1 of telemetry and commands.

    Libvirt hands shares to the kernel as they are, and the two versions of control groups have
    different defaults.
    """
    return _V2_DEFAULT if (cgroups / "cgroup.controllers").exists() else _V1_DEFAULT


class DomainScheduler:
    """What is known of one domain's scheduler.

    The cap of the whole domain is ours to set. A quota that its owner gave each vCPU limits it,
    too, and is left alone.

    Args:
        default_shares: see the function.
        given: ``virDomain.schedulerParameters()``; empty where the daemon has no control groups.
    """

    def __init__(self, default_shares: float, given: Mapping[str, int] | None = None) -> None:
        self._default_shares = default_shares
        self._given = dict(given or {})
        # How this daemon says "none": -1 with cgroup v1, the largest quota with v2, where some
        # versions take no -1 (https://gitlab.com/libvirt/libvirt/-/issues/324).
        found = self._given.get(_QUOTA, 0)
        self._no_quota = found if found and math.isinf(cap_of(found, 1)) else UNLIMITED_US

    @property
    def settable(self) -> frozenset[str]:
        """Fields of a command that the daemon has a parameter for."""
        return frozenset(field for field, name in _NEEDS.items() if name in self._given)

    @property
    def weight(self) -> float:
        """CPU weight, 1 is the default; NaN where the daemon has none."""
        return self._given.get(_SHARES, math.nan) / self._default_shares

    def cap_cores(self, num_vcpus: float) -> float:
        """Most cores for all its vCPUs together; inf without a cap, NaN where nobody knows."""
        if _QUOTA not in self._given or math.isnan(num_vcpus):
            return math.nan
        cap = cap_of(self._given[_QUOTA], self._period_us(_PERIOD))
        return min(cap, self._cap_of_vcpus(num_vcpus))

    def parameters(self, field: str, value: float, num_vcpus: float) -> dict[str, int]:
        """What to tell the daemon so that a field of a command is carried out."""
        if field == "cpu_weight":
            return {_SHARES: max(round(value * self._default_shares), _LEAST_SHARES)}
        if value >= self._cap_of_vcpus(num_vcpus):
            value = math.inf
        before_us = self._period_us(_PERIOD)
        quota_us, period_us = bandwidth_us(value, before_us)
        quota = {_QUOTA: self._no_quota if quota_us is None else quota_us}
        return quota if period_us == before_us else {_PERIOD: period_us, **quota}

    def told(self, parameters: Mapping[str, int]) -> None:
        """Remember what the daemon has carried out."""
        self._given |= parameters

    def _cap_of_vcpus(self, num_vcpus: float) -> float:
        period_us = self._period_us(_VCPU_PERIOD)
        return num_vcpus * cap_of(self._given.get(_VCPU_QUOTA, -1), period_us)

    def _period_us(self, name: str) -> int:
        return self._given.get(name, 0) or DEFAULT_PERIOD_US
