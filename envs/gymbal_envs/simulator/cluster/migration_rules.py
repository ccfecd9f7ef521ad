"""How to move a VM: the rules of the hypervisors, every constant with its unit and source."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.simulator.cluster import migration_layout as at
from gymbal_envs.simulator.params import MIB

KIB = 1024.0
MBIT_S = 1e6 / 8.0
NO_LIMIT_BYTES_S = 12.5e9
"""100 Gb/s: as fast as the network lets it."""

METHODS = {
    "precopy": at.PRECOPY,
    "postcopy": at.POSTCOPY,
    "stop_and_copy": at.STOP_AND_COPY,
    "hybrid": at.HYBRID,
}
STOP_RULES = {
    "clark2005": at.CLARK2005,
    "xen2005": at.XEN2005,
    "xen_legacy": at.XEN_LEGACY,
    "xen_modern": at.XEN_MODERN,
    "qemu": at.QEMU,
    "vmotion": at.VMOTION,
    "until_told": at.UNTIL_TOLD,
}


@dataclass(frozen=True)
class MigrationRule:
    """Method, rates and stop rule of a move.

    Attributes:
        name: what it is called in scenarios and tables.
        method: a key of `METHODS`; "hybrid": pre-copy that turns into post-copy.
        rule: a key of `STOP_RULES`, the end of pre-copy.
        rate_start_bytes_s: own rate limit of the first pass, on the wire.
        rate_max_bytes_s: own rate limit of later passes at most, and of stop-and-copy.
        rate_step_bytes_s: rules "clark2005" and "xen2005" send that much faster than the VM writes.
        downtime_limit_s: rule "qemu": pause when what is pending takes no longer at the present
            rate.
        max_rounds: passes after which the VM is paused in any case.
        stop_bytes: pause when less is to be sent ("xen2005", "xen_legacy": was, in the last pass).
        skip: leave pages to the next pass that were written again in this one.
        auto_converge: rule "qemu": slow a VM down that writes too fast.
        line_rate_bytes_s: own rate limit of the last copy and of post-copy.
        resume_s: part of the downtime that does not depend on the bytes.
        overhead: bytes on the wire per byte of memory. QEMU: 8 bytes per page (and once a block
            name, which is left out).
        setup_s: from the order to the first byte.
        cancel_after_s: without any bandwidth for so long, the move is given up (pre-copy only).
        postcopy_after_s: method "hybrid": from the order to the switch.
        check_s: between two looks at what is left; QEMU: 0.1 s, its rate limit's window. 0: passes
            end on the spot.

    Raises:
        ValueError: if a field makes no sense, with its name.
    """

    name: str
    method: str = "precopy"
    rule: str = "qemu"
    rate_start_bytes_s: float = NO_LIMIT_BYTES_S
    rate_max_bytes_s: float = NO_LIMIT_BYTES_S
    rate_step_bytes_s: float = 0.0
    downtime_limit_s: float = 0.3
    max_rounds: float = np.inf
    stop_bytes: float = 0.0
    skip: bool = False
    auto_converge: bool = False
    line_rate_bytes_s: float = NO_LIMIT_BYTES_S
    resume_s: float = 0.005
    overhead: float = 1.0
    setup_s: float = 0.0
    cancel_after_s: float = np.inf
    postcopy_after_s: float = np.inf
    check_s: float = 0.0

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        if self.method not in METHODS:
            raise ValueError(f"method ({self.method!r}) must be one of {', '.join(METHODS)}")
        if self.rule not in STOP_RULES:
            raise ValueError(f"rule ({self.rule!r}) must be one of {', '.join(STOP_RULES)}")
        for name in ("rate_start_bytes_s", "rate_max_bytes_s", "line_rate_bytes_s"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} ({getattr(self, name)}) must be above 0 and finite")
        if self.overhead < 1:
            raise ValueError(f"overhead ({self.overhead}) must be at least 1")
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, str) and not value >= 0:
                raise ValueError(f"{field.name} ({value}) must not be negative")
        if self.rule in ("qemu", "until_told") and self.check_s <= 0:
            raise ValueError(f"check_s must be above 0 with rule {self.rule!r}")
        if self.rule not in ("qemu", "until_told") and self.stop_bytes < at.PAGE:
            raise ValueError(f"stop_bytes ({self.stop_bytes}) must be a page or more")

    def plan(self) -> NDArray[np.float64]:
        """(NUM_PLAN,) constants as the kernels take them: `migration_layout`."""
        values = {
            at.METHOD: METHODS[self.method],
            at.RULE: STOP_RULES[self.rule],
            at.RATE_START: min(self.rate_start_bytes_s, self.rate_max_bytes_s),
            at.RATE_MAX: self.rate_max_bytes_s,
            at.RATE_STEP: self.rate_step_bytes_s,
            at.DOWNTIME_LIMIT: self.downtime_limit_s,
            at.MAX_ROUNDS: self.max_rounds,
            at.STOP_BYTES: self.stop_bytes,
            at.SKIP: self.skip,
            at.AUTO_CONVERGE: self.auto_converge,
            at.LINE_RATE: self.line_rate_bytes_s,
            at.RESUME_S: self.resume_s,
            at.OVERHEAD: self.overhead,
            at.SETUP_S: self.setup_s,
            at.CANCEL_AFTER_S: self.cancel_after_s,
            at.POSTCOPY_AFTER_S: self.postcopy_after_s,
            at.CHECK_S: self.check_s,
        }
        return np.array([float(values[row]) for row in range(at.NUM_PLAN)])


QEMU_HEADER = 1.0 + 8.0 / at.PAGE
XEN_MIN, XEN_MAX, XEN_STEP = 100 * MBIT_S, 500 * MBIT_S, 50 * MBIT_S
FEW_PAGES = 50 * at.PAGE

_QEMU = MigrationRule(
    "qemu",
    rate_start_bytes_s=128 * MIB,
    rate_max_bytes_s=128 * MIB,
    overhead=QEMU_HEADER,
    check_s=0.1,
)
_XEN = MigrationRule(
    "xen2005",
    rule="xen2005",
    rate_start_bytes_s=XEN_MIN,
    rate_max_bytes_s=XEN_MAX,
    rate_step_bytes_s=XEN_STEP,
    max_rounds=29,
    stop_bytes=FEW_PAGES,
    skip=True,
    resume_s=0.01,
)
_UNTIL_TOLD = MigrationRule("until_told", rule="until_told", skip=True, check_s=0.1)

RULES: dict[str, MigrationRule] = {
    rule.name: rule
    for rule in (
        replace(_XEN, name="clark2005", rule="clark2005", max_rounds=30, stop_bytes=256 * KIB),
        _XEN,
        replace(
            _XEN, name="xen_legacy", rule="xen_legacy", rate_start_bytes_s=NO_LIMIT_BYTES_S,
            rate_max_bytes_s=NO_LIMIT_BYTES_S,
        ),
        MigrationRule("xen_modern", rule="xen_modern", stop_bytes=FEW_PAGES, max_rounds=5),
        MigrationRule("vmotion", rule="vmotion", stop_bytes=16 * MIB, max_rounds=30),
        _QEMU,
        replace(_QEMU, name="qemu_auto_converge", auto_converge=True),
        replace(_QEMU, name="postcopy", method="postcopy"),
        replace(_QEMU, name="hybrid", method="hybrid", postcopy_after_s=5.0),
        replace(_UNTIL_TOLD, name="stop_and_copy", method="stop_and_copy"),
        _UNTIL_TOLD,
    )
}  # fmt: skip
"""By name. Sources: models.md 6.2; real_hosts.md section 2 for QEMU (downtimes of 4 to 50 ms, last
copy at line rate). Clark et al. (NSDI 2005): 100 to 500 Mb/s, 256 KB; Xen's code of 2005 to 2013:
50 pages, 29 passes; today's: 5 passes and no skipping. The fixed 10 ms of Xen are fitted (models.md
6.3), the passes of "clark2005" and "vmotion" are limited by assumption."""
