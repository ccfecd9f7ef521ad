"""Names of consolidation policies, as the literature writes them: LR-MMT-1.2, DVFS, NPA."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gymbal_runtime.centre.rules.detection import DETECTORS, Rule
from gymbal_runtime.centre.rules.selection import SELECTORS

STATIC = ("NPA", "DVFS")
"""Policies without migrations: hosts always draw full power, or power that follows the load."""

PARAMETERS = {"THR": 0.8, "MAD": 2.5, "IQR": 1.5, "LR": 1.2, "LRR": 1.2}
"""Defaults of CloudSim's examples."""


@dataclass(frozen=True)
class Policy:
    """Detector of overloads, selector of victims and the detector's parameter.

    Raises:
        ValueError: naming the field, the value and what is accepted.
    """

    detector: str  # one of DETECTORS, or of STATIC
    selector: str = ""  # one of SELECTORS; none with STATIC
    parameter: float = 0.0  # threshold (THR), weight of the spread (MAD, IQR), safety (LR, LRR)

    def __post_init__(self) -> None:
        """Check names and range."""
        if self.detector in STATIC:
            if self.selector:
                raise ValueError(
                    f"selector is {self.selector!r}, but {self.detector} migrates nothing; drop it"
                )
            return
        if self.detector not in DETECTORS:
            known = ", ".join((*DETECTORS, *STATIC))
            raise ValueError(f"detector is {self.detector!r}; choose one of {known}")
        if self.selector not in SELECTORS:
            known = ", ".join(SELECTORS)
            raise ValueError(f"selector is {self.selector!r}; choose one of {known}")
        if not (math.isfinite(self.parameter) and self.parameter >= 0.0):
            raise ValueError(f"parameter is {self.parameter}; choose a number of 0 or more")

    @classmethod
    def parse(cls, name: str) -> Policy:
        """Read ``LR-MMT-1.2``, ``LR-MMT`` (CloudSim's parameter), ``DVFS`` or ``NPA``.

        Raises:
            ValueError: saying what is not understood.
        """
        words = name.upper().split("-")
        if len(words) == 1 and words[0] in STATIC:
            return cls(words[0])
        if len(words) not in (2, 3):
            raise ValueError(
                f"policy {name!r} is not understood; write DETECTOR-SELECTOR-PARAMETER as in "
                f"LR-MMT-1.2, or {' or '.join(STATIC)}"
            )
        if len(words) == 2:
            return cls(words[0], words[1], PARAMETERS.get(words[0], 0.0))
        try:
            return cls(words[0], words[1], float(words[2]))
        except ValueError as error:
            raise ValueError(f"policy {name!r}: {error}") from error

    @property
    def name(self) -> str:
        """The policy's name in the literature."""
        if not self.migrates:
            return self.detector
        return f"{self.detector}-{self.selector}-{self.parameter:g}"

    @property
    def migrates(self) -> bool:
        """Whether it moves VMs at all."""
        return self.detector not in STATIC

    def rule(self, horizon: float) -> Rule:
        """For kernels.

        Args:
            horizon: scheduling intervals until a migration that starts now has ended.

        Raises:
            ValueError: the policy migrates nothing.
        """
        if not self.migrates:
            raise ValueError(f"{self.name} migrates nothing, so it has no rule")
        return Rule(
            DETECTORS[self.detector], float(self.parameter), SELECTORS[self.selector], horizon
        )
