"""A data centre, its hosts, its VMs and what they will want: everything an episode needs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.centre_programs import CentrePrograms
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.simulator.cluster.migration_layout import NUM_DIRTY, NUM_GROUPS, SIZE, TAU
from gymbal_envs.simulator.cluster.migration_rules import MigrationRule
from gymbal_runtime.centre.telemetry import CURVE_POINTS, NOWHERE

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CentreScenario:
    """H places for hosts and V for VMs over K knots of demand.

    Attributes:
        name: of the scenario.
        exists: (H,) which places hold a host.
        asleep: (H,) which hosts sleep at the beginning; the others are on.
        cpu_mips: (H,) all cores together.
        core_mips: (H,) one core.
        memory_bytes: (H,) for VMs.
        nic_bytes_s: (H,) each way.
        power_w: (H, CURVE_POINTS) W at 0, 10, ..., 100 % utilisation.
        sleep_w: (H,) W asleep.
        suspend_s: (H,) from the order (of an empty host) until it sleeps; at the watts of idling.
        wake_s: (H,) from the order until it is on.
        wake_w: (H,) W meanwhile.
        present: (V,) which places hold a VM, sooner or later.
        vm_mips: (V,) the most that it can use.
        vcpus: (V,) it gets at most so many cores of its host.
        vm_memory_bytes: (V,) what its host reserves, and a move copies.
        shares: (V,) weight of each of its MIPS.
        dirty: (V, 3, 3) dirty groups [bytes, time constant s, kind] at full speed.
        host_of: (V,) where it runs at the beginning; NOWHERE: it has to be placed.
        arrive_s: (V,) from then on it is there; 0: from the beginning.
        leave_s: (V,) from then on it is no more; inf: it stays.
        demand: (K, V) wanted CPU time, part of ``vm_mips``; linear between knots.
        migration: how VMs move.
        knot_s: seconds between knots.
        programs: what VMs run, and what they share on their hosts; None: CPU time only.

    Raises:
        ScenarioError: a field has the wrong shape or an impossible value; says which, where and
            what to do.
    """

    name: str
    exists: Bools
    asleep: Bools
    cpu_mips: Floats
    core_mips: Floats
    memory_bytes: Floats
    nic_bytes_s: Floats
    power_w: Floats
    sleep_w: Floats
    suspend_s: Floats
    wake_s: Floats
    wake_w: Floats
    present: Bools
    vm_mips: Floats
    vcpus: Floats
    vm_memory_bytes: Floats
    shares: Floats
    dirty: Floats
    host_of: Ints
    arrive_s: Floats
    leave_s: Floats
    demand: NDArray[np.float32]
    migration: MigrationRule
    knot_s: float = 300.0
    programs: CentrePrograms | None = None

    def __post_init__(self) -> None:
        """Check shapes, then values, then who is where."""
        self._check_shapes()
        self._check_values()
        self._check_start()
        if self.programs is not None:
            self.programs.check_fits(self.name, self.exists, self.present)

    @property
    def num_hosts(self) -> int:
        """Places for hosts, H."""
        return int(self.exists.shape[0])

    @property
    def num_vms(self) -> int:
        """Places for VMs, V."""
        return int(self.present.shape[0])

    @property
    def num_knots(self) -> int:
        """Number of knots, K."""
        return int(self.demand.shape[0])

    def _check_shapes(self) -> None:
        hosts, vms, knots = self.num_hosts, self.num_vms, self.num_knots
        if knots < 2:
            raise ScenarioError(f"{self.name}: demand has {knots} knots; give at least 2")
        shapes: dict[str, tuple[int, ...]] = {
            "demand": (knots, vms),
            "dirty": (vms, NUM_GROUPS, NUM_DIRTY),
            "power_w": (hosts, CURVE_POINTS),
        }
        for each in fields(self):
            value: Any = getattr(self, each.name)
            if isinstance(value, np.ndarray):
                usual = (hosts,) if each.name in _PER_HOST else (vms,)
                expected = shapes.get(each.name, usual)
                if value.shape != expected:
                    raise ScenarioError(
                        f"{self.name}: {each.name} has shape {value.shape}, not {expected}"
                    )

    def _check_values(self) -> None:
        if not self.exists.any() or not self.present.any():
            raise ScenarioError(f"{self.name}: has no host or no VM; mark one in exists, present")
        if not 0 < self.knot_s < np.inf:
            raise ScenarioError(f"{self.name}: knot_s is {self.knot_s}; give seconds above 0")
        for names, lowest, rule in (
            (_ABOVE_ZERO, np.nextafter(0.0, 1.0), "give finite values above 0"),
            (_NOT_NEGATIVE, 0.0, "give finite values, none negative"),
        ):
            for name in names:
                value = getattr(self, name)
                here = self.exists if name in _PER_HOST else self.present
                fine = (value >= lowest) & (value < np.inf)
                self._require(name, fine.reshape(here.size, -1).all(axis=1) | ~here, rule)
        one_core = self.core_mips <= self.cpu_mips
        self._require("core_mips", one_core | ~self.exists, "lower it to cpu_mips or less")
        size = self.dirty[:, :, SIZE]
        fits = (size >= 0).all(axis=1) & (size.sum(axis=1) <= self.vm_memory_bytes * (1 + 1e-9))
        self._require("dirty", fits | ~self.present, "keep its bytes in 0..vm_memory_bytes")
        tau = (self.dirty[:, :, TAU] > 0).all(axis=1)
        self._require("dirty", tau | ~self.present, "give time constants above 0")
        wanted = ((self.demand >= 0) & (self.demand <= 1)).all(axis=0)
        self._require("demand", wanted, "it is a part of vm_mips: keep it in [0, 1]")
        stays = (self.arrive_s >= 0) & (self.arrive_s < self.leave_s)
        self._require(
            "leave_s", stays | ~self.present, "put it after arrive_s, and that at 0 or on"
        )
        if self.migration.rule == "until_told" and self.migration.method == "precopy":
            raise ScenarioError(
                f"{self.name}: migration {self.migration.name!r} only ends when told, and nobody "
                "tells it here; choose another rule"
            )

    def _check_start(self) -> None:
        """VMs that start on a host: it is on, and has the memory."""
        known = (self.host_of >= NOWHERE) & (self.host_of < self.num_hosts)
        self._require("host_of", known, f"name a host below {self.num_hosts}, or NOWHERE (-1)")
        placed = self.present & (self.host_of != NOWHERE)
        runs = (self.exists & ~self.asleep)[self.host_of] & (self.arrive_s == 0)
        self._require(
            "host_of", runs | ~placed, "such a VM is there from the beginning, on a host that is on"
        )
        held = np.zeros(self.num_hosts)
        np.add.at(held, self.host_of[placed], self.vm_memory_bytes[placed])
        self._require(
            "memory_bytes", (held <= self.memory_bytes) | ~self.exists,
            "the VMs that start there have more; move one or give more",
        )  # fmt: skip

    def _require(self, name: str, fine: Any, rule: str) -> None:
        """Name the first row of a field in which it breaks a rule."""
        if fine.all():
            return
        row = int(np.flatnonzero(~fine)[0])
        kind = "host" if name in _PER_HOST else "VM"
        worst = np.argmax(np.abs(self.demand[:, row] - 0.5))
        value = self.demand[worst, row] if name == "demand" else getattr(self, name)[row].tolist()
        raise ScenarioError(f"{self.name}: {name} of {kind} {row} is {value}; {rule}")


_PER_HOST = (
    "exists", "asleep", "cpu_mips", "core_mips", "memory_bytes", "nic_bytes_s", "power_w",
    "sleep_w", "suspend_s", "wake_s", "wake_w",
)  # fmt: skip
_ABOVE_ZERO = (
    "cpu_mips", "core_mips", "memory_bytes", "nic_bytes_s", "vm_mips", "vcpus", "vm_memory_bytes",
    "shares",
)  # fmt: skip
_NOT_NEGATIVE = ("power_w", "sleep_w", "suspend_s", "wake_s", "wake_w")
