"""From a few plain settings to a source of scenarios.

The one place that environments, training and evaluation get theirs from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from gymbal_envs.demand.open import open_trace
from gymbal_envs.demand.synthetic import SyntheticFleet
from gymbal_envs.demand.trace import Trace
from gymbal_envs.scenarios.fleet import FleetConfig, FleetScenarios
from gymbal_envs.scenarios.machine import MachineConfig, MachineDraw, programs_of
from gymbal_envs.scenarios.machine_toy import StreamAndLoop
from gymbal_envs.scenarios.scenario import Scenario, ScenarioError
from gymbal_envs.scenarios.split import SplitName
from gymbal_envs.scenarios.toy import OppositePeaks
from gymbal_runtime.tasks import CACHE, HOST, check_task

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
        toy: play this hand-written scenario instead: "", ``opposite-peaks`` or ``stream-and-loop``.
        fleet: what is drawn from the trace.
        machine: what else is drawn; null for hosts of memory and CPU time only.
        profiles: programs' cache behaviour: "" for the shipped table (test programs are never seen
            in training), or the path of a table of measured programs, all of which are played.
    """

    trace: str | tuple[str, ...] = "synthetic"
    repair: bool = False
    toy: str = ""
    fleet: FleetConfig = field(default_factory=FleetConfig)
    machine: MachineConfig | None = None
    profiles: str = ""

    @property
    def traces(self) -> tuple[str, ...]:
        """The traces, one or several."""
        return (self.trace,) if isinstance(self.trace, str) else self.trace

    @property
    def num_vms(self) -> int:
        """VM slots of every scenario."""
        return 2 if self.toy else self.fleet.max_vms

    @property
    def num_hosts(self) -> int:
        """Hosts of every scenario."""
        return 1

    @property
    def num_knots(self) -> int:
        """Demand knots of every scenario."""
        if self.toy:
            return toy_scenario(self.toy).num_knots
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
        scenario = toy_scenario(config.toy)
        return lambda index: scenario
    if not config.traces:
        raise ScenarioError("trace names no trace: say synthetic, a path, or a list of them")
    machine = None
    if config.machine is not None:
        machine = MachineDraw(
            config.machine,
            programs_of(config.profiles, split),
            config.fleet.max_vms,
            config.num_knots,
            config.fleet.knot_s,
            varied=split == "train",
        )
    drawn = [
        FleetScenarios(load_trace(trace, config.repair), config.fleet, split, seed, machine)
        for trace in config.traces
    ]
    if len(drawn) == 1:
        return drawn[0]
    return lambda index: drawn[index % len(drawn)](index // len(drawn))


def default_scenario(task: str) -> ScenarioConfig:
    """The scenarios that a task is trained and judged on unless told otherwise.

    ``Cache-v0``: ample memory and cores, half of the hosts with ways, half with page colours.
    ``Host-v0``: everything is scarce.

    Raises:
        ValueError: no such task.
    """
    check_task(task)
    if task == CACHE:
        fleet = FleetConfig(load=(0.5, 0.7), cpu_overcommit=(0.6, 1.0), episode_s=900.0)
        return ScenarioConfig(fleet=fleet, machine=MachineConfig())
    if task == HOST:
        machine = MachineConfig(devices=True, wake_ups=True, busy=(0.1, 0.9))
        fleet = FleetConfig(load=(0.8, 1.3), cpu_overcommit=(1.5, 3.0), monitor=1)
        return ScenarioConfig(fleet=fleet, machine=machine)
    return ScenarioConfig()


def toy_scenario(name: str) -> Scenario:
    """A hand-written scenario.

    Raises:
        ScenarioError: for an unknown name.
    """
    toys: dict[str, Callable[[], Scenario]] = {
        "opposite-peaks": OppositePeaks(),
        "stream-and-loop": StreamAndLoop(),
    }
    if name not in toys:
        raise ScenarioError(f"toy {name!r} unknown; there are {', '.join(toys)}")
    return toys[name]()


def load_trace(trace: str, repair: bool = False) -> Trace:
    """The named trace; read or generated once per process."""
    return _load_once(trace, repair)


@lru_cache(maxsize=4)
def _load_once(trace: str, repair: bool) -> Trace:
    if trace == "synthetic":
        return SyntheticFleet().generate(SYNTHETIC_VMS, SYNTHETIC_SAMPLES, SYNTHETIC_SEED)
    return open_trace(trace, repair=repair)
