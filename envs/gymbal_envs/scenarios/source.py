"""From a few plain settings to a source of scenarios.

The one place that environments, training and evaluation get theirs from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from gymbal_envs.demand.open import open_trace
from gymbal_envs.demand.synthetic import SyntheticFleet
from gymbal_envs.demand.trace import Trace
from gymbal_envs.scenarios.fleet import FleetConfig, FleetScenarios
from gymbal_envs.scenarios.scenario import Scenario, ScenarioError
from gymbal_envs.scenarios.split import SplitName
from gymbal_envs.scenarios.toy import OppositePeaks

SYNTHETIC_VMS = 400
SYNTHETIC_SAMPLES = 4320  # 15 days of 5 minutes
SYNTHETIC_SEED = 7


class ScenarioSource(Protocol):
    """Scenario number ``index``, and how large they get."""

    def __call__(self, index: int) -> Scenario:
        """Draw it."""
        ...


@dataclass(frozen=True)
class ScenarioConfig:
    """Where scenarios come from.

    Attributes:
        trace: ``synthetic`` (embedded generator) or the path of a file that the readers take;
            several of them take turns.
        repair: let the reader repair a damaged trace (it says what it did).
        toy: play this hand-written scenario instead: "" or ``opposite-peaks``.
        fleet: what is drawn from the trace.
    """

    trace: str | tuple[str, ...] = "synthetic"
    repair: bool = False
    toy: str = ""
    fleet: FleetConfig = field(default_factory=FleetConfig)

    @property
    def traces(self) -> tuple[str, ...]:
        """The traces, one or several."""
        return (self.trace,) if isinstance(self.trace, str) else self.trace

    @property
    def num_vms(self) -> int:
        """VM slots of every scenario."""
        return 2 if self.toy else self.fleet.max_vms

    @property
    def num_knots(self) -> int:
        """Demand knots of every scenario."""
        if self.toy:
            return OppositePeaks()().num_knots
        return round(self.fleet.episode_s / self.fleet.knot_s) + 1

    def episode_steps(self, control_interval_s: float) -> int:
        """Decisions in an episode."""
        seconds = (self.num_knots - 1) * self.fleet.knot_s
        return max(int(seconds / control_interval_s), 1)


def make_source(config: ScenarioConfig, split: SplitName, seed: int) -> ScenarioSource:
    """Scenarios of one split.

    Raises:
        ScenarioError: for an unknown toy.
        TraceError: if the trace cannot be read.
    """
    if config.toy:
        if config.toy != "opposite-peaks":
            raise ScenarioError(f"toy {config.toy!r} unknown; there is 'opposite-peaks'")
        scenario = OppositePeaks()()
        return lambda index: scenario
    if not config.traces:
        raise ScenarioError("trace names no trace: say synthetic, a path, or a list of them")
    drawn = [
        FleetScenarios(load_trace(trace, config.repair), config.fleet, split, seed)
        for trace in config.traces
    ]
    if len(drawn) == 1:
        return drawn[0]
    return lambda index: drawn[index % len(drawn)](index // len(drawn))


def load_trace(trace: str, repair: bool = False) -> Trace:
    """The named trace; read or generated once per process."""
    return _load_once(trace, repair)


@lru_cache(maxsize=4)
def _load_once(trace: str, repair: bool) -> Trace:
    if trace == "synthetic":
        return SyntheticFleet().generate(SYNTHETIC_VMS, SYNTHETIC_SAMPLES, SYNTHETIC_SEED)
    return open_trace(trace, repair=repair)
