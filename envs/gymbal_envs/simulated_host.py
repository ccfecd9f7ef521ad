"""A simulated host behind the controller's own protocol: the same loop, no hypervisor."""

from __future__ import annotations

from dataclasses import replace

from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.scenarios.source import default_scenario, make_source
from gymbal_envs.scenarios.split import SplitName
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_envs.simulator.params import PhysicsParams
from gymbal_envs.tasks.config import default_task
from gymbal_envs.tasks.reward import share_weighted
from gymbal_runtime.command import FIELDS, Command
from gymbal_runtime.tasks import BALLOON
from gymbal_runtime.telemetry import Telemetry


class SimulatedHost:
    """One host of the simulator; reading it lets one control interval pass.

    Time moves with ``telemetry()`` and not with ``apply()``, because a host goes on living whether
    or not it is told something (in observe and advise mode it never is).

    Args:
        scenario: what happens on it. It ends with the scenario's demand standing still.
        physics: constants and clocks.

    Attributes:
        capabilities: every field of a command but caps on CPU time, which are not simulated.
    """

    capabilities = frozenset(FIELDS) - {"cpu_cap_cores"}

    def __init__(self, scenario: Scenario, physics: PhysicsParams | None = None) -> None:
        self.name = scenario.name
        self.vm_names = tuple(f"vm{v}" if here else "" for v, here in enumerate(scenario.present))
        self.engine = Engine(1, scenario.num_vms, scenario.num_knots, physics)
        self.engine.load([0], [scenario])
        self.progress_lost: list[float] = []
        self._command = Command.no_change(1, scenario.num_vms)
        self._begun = False

    def telemetry(self) -> Telemetry:
        """What the sensors show after one more control interval (at first: at the start)."""
        if self._begun:
            self.engine.step(self._command)
            interval_s = self.engine.params.clock.control_interval_s
            lost = share_weighted(self.engine, at.LOST)[0] / interval_s
            self.progress_lost.append(float(lost))
        self._begun = True
        return self.engine.telemetry()

    def apply(self, command: Command) -> None:
        """Carry out a command in the coming interval; it stays in force."""
        self._command = command

    def close(self) -> None:
        """Nothing to release."""


def open_host(
    scenario: str = "0",
    seed: str = "0",
    split: str = "test",
    trace: str = "synthetic",
    toy: str = "",
    task: str = BALLOON,
) -> SimulatedHost:
    """A simulated host for ``gymbal-control run --host simulated --host-option key=value``.

    Args:
        scenario: number of the scenario.
        seed: of the draw.
        split: train, validation or test.
        trace: ``synthetic`` or the path of a trace file.
        toy: name of a hand-written scenario, such as ``opposite-peaks``.
        task: id of the task whose hosts, programs and control interval it takes.

    Raises:
        ValueError: for a number that is none, an unknown split, toy, trace or task.
    """
    parts: dict[str, SplitName] = {"train": "train", "validation": "validation", "test": "test"}
    if split not in parts:
        raise ValueError(f"split must be one of {', '.join(parts)}, not {split!r}")
    physics = default_task(task).physics
    config = replace(default_scenario(task), trace=trace, toy=toy)
    return SimulatedHost(make_source(config, parts[split], int(seed))(int(scenario)), physics)
