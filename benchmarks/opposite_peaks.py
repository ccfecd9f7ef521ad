"""Two VMs with opposite peaks, the seed paper's own example, played as *fixed work*.

    python benchmarks/opposite_peaks.py

`OppositePeaks` gives its VMs new demand by the clock, so a program that a slow disk holds up just
skips its work, and averaging over the two VMs can never gain more than a factor of two. Published
speed-ups are completion times. So here programs move on by their *progress*: each does
``PHASE_WORK_S`` (10 min at full speed) with 2.9 GiB, the same with 0.9 GiB, and all that ``CYCLES``
(2) times; the other VM begins with 0.9 GiB; who is done stays at 0.9 GiB. Two rules of moving on:

* ``alone``: each as soon as its own work of the phase is done. What a program loses it loses once,
  but then the peaks do not stay opposite: for some seconds both VMs want 2.9 GiB, and how to divide
  4 GiB then has no short-sighted best answer.
* ``together``: both when both are done, so that the peaks stay opposite as in the paper and giving
  each what it wants now is optimal.

The speed-up is the geometric mean over the VMs of completion time (static) / completion time. The
mean-rate gain is the ratio of mean progress when the phases follow the clock instead.

Host 4 GiB, no priorities, miss-ratio curve 1 - x^0.4, decisions every 10 s through the guard, half
of a read-ahead of 8 pages is useful (so a disk fault brings 4 wanted pages), half of the pages are
dirty. Each heuristic pays for its own monitor: MEB's histogram 2 % of CPU, ESX's sampler 0.0007 %,
static and the oracle none. The oracle tries plans in exact copies of the host and looks three
minutes ahead; when a program will move on it cannot know, since that depends on what it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gymbal_agents.oracles.lookahead import HorizonOracle
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.scenarios.toy import OppositePeaks
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.params import TIERS
from gymbal_envs.tasks.batch import WorldShape
from gymbal_envs.tasks.worlds import HostWorlds
from gymbal_runtime.agent import Agent
from gymbal_runtime.heuristics import make_heuristic

PHASE_WORK_S, CYCLES = 600.0, 2
MAX_DECISIONS = 20_000
CASES = (
    ("hdd", 2_000.0), ("hdd", 5_000.0), ("hdd", 10_000.0), ("nvme", 10_000.0), ("rdma", 10_000.0),
)  # fmt: skip
MONITOR = {"static": 0, "esx": 1, "meb": 2, "oracle": 0}
HIGH, LOW = OppositePeaks().high_bytes, OppositePeaks().low_bytes


@dataclass(frozen=True)
class Gains:
    """Of each agent over the static split, on one tier at one fault pressure."""

    tier: str
    touch_rate: float
    alone: dict[str, float]
    together: dict[str, float]
    mean_rate: dict[str, float]


def gains_over_static() -> list[Gains]:
    """All cases, every agent."""
    alone = {name: completion_times(name, move_on_alone) for name in MONITOR}
    together = {name: completion_times(name, move_on_together) for name in MONITOR}
    rates = {name: mean_rates(name) for name in MONITOR}
    return [
        Gains(
            tier,
            touch_rate,
            {n: speed_up(alone["static"][i], alone[n][i]) for n in MONITOR},
            {n: speed_up(together["static"][i], together[n][i]) for n in MONITOR},
            {n: float(rates[n][i] / rates["static"][i]) for n in MONITOR},
        )
        for i, (tier, touch_rate) in enumerate(CASES)
    ]


def speed_up(before_s: np.ndarray, after_s: np.ndarray) -> float:
    """Geometric mean over the VMs."""
    return float(np.exp(np.log(before_s / after_s).mean()))


def scenarios(agent: str) -> list[Scenario]:
    """One host per case; both VMs start resident and small."""
    toys = [
        OppositePeaks(
            tier=TIERS[tier], touch_rate_hz=rate, phase_s=600.0, high_bytes=LOW,
            monitor=MONITOR[agent],
        )
        for tier, rate in CASES
    ]  # fmt: skip
    return [replace(toy(), name=f"opposite-peaks/{toy.tier.name}") for toy in toys]


def start(agent: str) -> tuple[HostWorlds, Agent]:
    """The hosts and who divides them."""
    drawn = scenarios(agent)
    shape = WorldShape(2, drawn[0].num_knots, MAX_DECISIONS + 1)
    worlds = HostWorlds(lambda index: drawn[index], len(drawn), shape)
    worlds.reset()
    decides: Agent = HorizonOracle(worlds.engine) if agent == "oracle" else make_heuristic(agent)
    decides.reset(len(drawn), 2)
    return worlds, decides


def play(
    agent: str, phases: Callable[[float, np.ndarray], np.ndarray], num_decisions: int
) -> np.ndarray:
    """Progress of each VM in seconds of full speed after each decision, (T, cases, 2).

    Args:
        agent: who decides.
        phases: from the time and the progress so far (cases, 2), the phase that each VM is in.
        num_decisions: at most; the play ends when every program is done.
    """
    worlds, decides = start(agent)
    interval = worlds.engine.params.clock.control_interval_s
    progress = [np.zeros((len(CASES), 2))]
    for step in range(num_decisions):
        phase = phases(step * interval, progress[-1])
        busy = (phase % 2 == np.array([0, 1])) & (phase < 2 * CYCLES)
        size = np.where(busy, HIGH, LOW)
        worlds.engine.demand[:, :, at.WANT_WORKING_SET] = size[:, None]
        worlds.engine.demand[:, :, at.WANT_FOOTPRINT] = size[:, None]
        worlds.apply(decides.act(worlds.telemetry))
        done = progress[-1] + interval - worlds.engine.outcome[:, at.LOST]
        if phases is move_on_together:  # who is done waits for the other
            done = np.minimum(done, (phase + 1) * PHASE_WORK_S)
        progress.append(done)
        if (progress[-1] >= 2 * CYCLES * PHASE_WORK_S).all():
            break
    return np.array(progress)


def move_on_alone(_: float, progress: np.ndarray) -> np.ndarray:
    """Each program when its own work of the phase is done."""
    return (progress // PHASE_WORK_S).astype(int)


def move_on_together(_: float, progress: np.ndarray) -> np.ndarray:
    """Both programs when both are done."""
    slower = progress.min(axis=1, keepdims=True)
    return np.broadcast_to((slower // PHASE_WORK_S).astype(int), progress.shape)


def by_clock(now_s: float, progress: np.ndarray) -> np.ndarray:
    """Both programs every ten minutes, whatever they got done."""
    return np.full(progress.shape, int(now_s // PHASE_WORK_S))


def completion_times(agent: str, phases: Callable[[float, np.ndarray], np.ndarray]) -> np.ndarray:
    """Seconds until each VM has done its fixed work, (cases, 2)."""
    progress = play(agent, phases, MAX_DECISIONS)
    work = 2 * CYCLES * PHASE_WORK_S
    assert (progress[-1] >= work).all(), f"{agent} does not finish in {MAX_DECISIONS} decisions"
    times = np.arange(progress.shape[0]) * 10.0
    return np.array(
        [[np.interp(work, progress[:, i, v], times) for v in (0, 1)] for i in range(len(CASES))]
    )


def mean_rates(agent: str) -> np.ndarray:
    """Mean progress per second over two cycles by the clock, (cases,)."""
    num_decisions = int(2 * CYCLES * PHASE_WORK_S / 10.0)
    return play(agent, by_clock, num_decisions)[-1].mean(axis=1) / (num_decisions * 10.0)


def main() -> None:
    for gains in gains_over_static():
        for kind in ("alone", "together", "mean_rate"):
            told = ", ".join(f"{n} {g:.3f}" for n, g in getattr(gains, kind).items())
            print(f"{gains.tier:>5} {gains.touch_rate:>7g}/s  {kind:<10}  {told}")


if __name__ == "__main__":
    main()
