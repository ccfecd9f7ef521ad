"""The Gymnasium environment ``gymbal/Balloon-v0``: one host."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.source import ScenarioConfig, ScenarioSource, make_source
from gymbal_envs.scenarios.split import SplitName
from gymbal_envs.tasks.balloon.spaces import action_space, observation_space
from gymbal_envs.tasks.balloon.viewer import BalloonViewer
from gymbal_envs.tasks.balloon.worlds import BalloonConfig, BalloonWorlds
from gymbal_runtime.codec import Observation, as_dict

HostObservation = dict[str, NDArray[np.float32]]


class BalloonEnv(gymnasium.Env[HostObservation, NDArray[np.float32]]):
    """Divide one overcommitted host's memory between its virtual machines.

    ## Description
    Every VM has a working set that changes from second to second and a program that slows down when
    a part of it is not resident. The host has less memory than the VMs may want together. Every
    ``control_interval_s`` (10 s) the agent sets each VM's balloon. Memory moves at a balloon's
    finite speed, is granted only once another VM has really given it up, and a VM that gets its
    memory back still has to fault its pages in from the swap tier that all VMs of the host share.
    The demand comes from a trace (synthetic by default), the program's behaviour from a profile;
    both change with every episode. The working set itself is not visible, only what a hypervisor
    sees.

    ## Action Space
    `Box(-1, 1, (V,), float32)`: a *correction* per VM slot to the split that a named heuristic
    (Senpai with tuned options by default) proposes. 0 is exactly the heuristic. +1 asks for half of the mean of the
    proposal and the fair share on top. The result is projected on what is feasible, so every action
    is legal; corrections of empty slots are ignored.

    ## Observation Space
    `Dict`, from telemetry only, through the codec that the controller runs too. Bounds, units and
    sources of each number: ``gymbal_runtime.quantities``.

    | Key | Shape | Min | Max | Meaning |
    |---|---|---|---|---|
    | `vms` | `(V, 46)` | per column | per column | 31 features of each VM now (sizes relative to the host, rates, pressure, LRU histogram, the heuristic's proposal) and 5 changes against each of the last 3 decisions |
    | `host` | `(6,)` | per column | per column | free memory, working sets and provisioned memory relative to the budget, swap latency, pressure, number of VMs |
    | `present` | `(V,)` | 0 | 1 | 1 where a slot holds a VM; the rows of the others are 0 |

    ## Rewards
    Minus the weighted sum of three terms, each in ``info["reward_terms"]`` (unweighted):

    | Term | Unit | Default weight |
    |---|---|---|
    | `progress_lost` | fraction of the wanted progress of the interval, weighted by the VMs' shares | 1 |
    | `balloon_traffic` | bytes moved in or out of balloons / host memory | 0.02 |
    | `processes_killed` | share-weighted fraction of VMs where the balloon went below what cannot be paged out | 1 |

    ## Starting State
    A fresh scenario: 4 to 8 VMs, a window of the trace, programs, weights, swap tier and
    overcommitment drawn at random; memory divided equally above each VM's floor. Scenario number
    and split are in ``info["scenario"]``.

    ## Episode End
    Termination: never. Truncation: after ``episode_steps`` decisions (180: half an hour).

    ## Arguments
    * ``scenario``: a `ScenarioConfig` (trace, ranges to draw from, toy scenarios).
    * ``config``: a `BalloonConfig` (heuristic, reward weights, physics, guard).
    * ``split``: ``train``, ``validation`` or ``test``: disjoint in VMs and in time.
    * ``episode_steps``: decisions in an episode; by default the scenario's length.
    * ``render_mode``: ``rgb_array`` or None.

    ## Version History
    * v0: initial version.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        scenario: ScenarioConfig | None = None,
        config: BalloonConfig | None = None,
        split: SplitName = "train",
        episode_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be rgb_array or None, not {render_mode!r}")
        self.scenario = scenario or ScenarioConfig()
        self.config = config or BalloonConfig()
        self.split: SplitName = split
        self.render_mode = render_mode
        interval = self.config.physics.clock.control_interval_s
        self.episode_steps = episode_steps or self.scenario.episode_steps(interval)
        self.observation_space = observation_space(self.scenario.num_vms)  # type: ignore[assignment]
        self.action_space = action_space(self.scenario.num_vms)  # type: ignore[assignment]
        self.worlds: BalloonWorlds | None = None
        self._viewer: BalloonViewer | None = None
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[HostObservation, dict[str, Any]]:
        """Start a new scenario.

        Args:
            seed: of the draw of this and all later scenarios.
            options: ``{"scenario": n}`` plays scenario number n of the seed.
        """
        super().reset(seed=seed)
        if self.worlds is None or seed is not None:
            drawn = seed if seed is not None else int(self.np_random.integers(2**31))
            source = make_source(self.scenario, self.split, drawn)
            self.worlds = self._new_worlds(source)
            self._next = 0
        self._next = int((options or {}).get("scenario", self._next))
        observation = self.worlds.reset(self._next)
        self._next += 1
        if self.render_mode == "rgb_array":
            self._viewer = BalloonViewer(self.worlds)
        self._running = True
        return _single(observation), {"scenario": self._next - 1, "split": self.split}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[HostObservation, float, bool, bool, dict[str, Any]]:
        """Apply the correction and let one control interval pass.

        Raises:
            gymnasium.error.ResetNeeded: before ``reset`` and after the episode's end.
        """
        if self.worlds is None or not self._running:
            raise gymnasium.error.ResetNeeded("call reset() before step()")
        result = self.worlds.step(np.asarray(action)[None])
        if self._viewer is not None:
            self._viewer.record()
        truncated = bool(result.ended[0])
        self._running = not truncated
        seen = result.final if result.final is not None else result.observation
        terms = {name: float(value[0]) for name, value in result.terms.items()}
        return _single(seen), float(result.reward[0]), False, truncated, {"reward_terms": terms}

    def render(self) -> NDArray[np.uint8] | None:
        """Picture of the episode so far: who holds what, who suffers."""
        return None if self._viewer is None else self._viewer.image()

    def close(self) -> None:
        """Forget the picture."""
        self._viewer = None

    def _new_worlds(self, source: ScenarioSource) -> BalloonWorlds:
        return BalloonWorlds(
            source,
            num_worlds=1,
            episode_steps=self.episode_steps,
            num_vms=self.scenario.num_vms,
            num_knots=self.scenario.num_knots,
            config=self.config,
        )


def _single(observation: Observation) -> HostObservation:
    """One host's part of a batch of one."""
    return {key: value[0] for key, value in as_dict(observation).items()}
