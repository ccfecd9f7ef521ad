"""Plans for a whole host: memory by window, with the best found for everything else."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gymbal_agents.oracles.part_plans import best_parts
from gymbal_agents.oracles.plan import Floats, Window
from gymbal_agents.oracles.split_plans import SplitPlans
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.engine import Engine
from gymbal_runtime.command import Command


@dataclass(frozen=True)
class HostPlans:
    """All resources at once: memory by window, with the cache's optimum, and devices as they are.

    Weights favour the VMs whose progress costs the fewest cores, within a quarter and four times
    the owner's; the last plans differ in who has a device. Monitors are off: it knows everything.
    """

    split: SplitPlans = field(
        default_factory=lambda: SplitPlans(((0.0, 10.0), (0.0, 60.0), (0.0, 600.0)))
    )
    part_window: Window = (0.0, 30.0)

    @property
    def num_plans(self) -> int:
        """Each split plan three times: devices as they are, owners' weights, other devices."""
        return 3 * self.split.num_plans

    def __call__(self, engine: Engine, num_worlds: int, step: int = 0) -> Command:
        """The command of every plan for every world."""
        third = self.split.num_plans * num_worlds
        total = 3 * third
        thirds = [slice(n * third, (n + 1) * third) for n in range(3)]
        classes, units = best_parts(
            engine, np.full(total, self.part_window[0]), np.full(total, self.part_window[1])
        )
        weights = efficient_weights(engine)
        weights[thirds[1]] = engine.world_vm[thirds[1], at.SHARES]
        modes = np.full((total, engine.num_vms), np.nan)
        modes[thirds[2]] = best_modes(engine)[thirds[2]]
        return Command(
            balloon_bytes=np.concatenate(
                [self.split.targets(engine, num_worlds, worlds) for worlds in thirds]
            ),
            llc_class=classes,
            llc_units=units,
            cpu_weight=np.where(weights > 0, weights, np.nan),
            device_mode=modes,
            monitor_level=np.where(engine.world_vm[:, at.PRESENT] > 0, 0.0, np.nan),
        )


def efficient_weights(engine: Engine) -> Floats:
    """(B, V) weights that favour progress per core: owner's shares by shares per wanted core."""
    shares, wanted = engine.world_vm[:, at.SHARES], engine.vm[:, at.WANTED_CORES]
    present = engine.world_vm[:, at.PRESENT] > 0
    worth = np.where(present, shares / np.maximum(wanted, 1e-6), np.nan)
    with np.errstate(all="ignore"):
        relative = worth / np.nanmedian(worth, axis=1, keepdims=True)
    weights: Floats = shares * np.clip(np.where(present, relative, 1.0), 0.25, 4.0)
    return weights


def best_modes(engine: Engine) -> Floats:
    """(B, V) device modes: slots to those who lose most of their owner's progress without."""
    wanted = engine.vm[:, at.IO_WANTED]
    limit = engine.params.devices.emulated_bytes_s
    missing = 1.0 - np.minimum(limit / np.maximum(wanted, 1.0), 1.0)
    score = engine.world_vm[:, at.SHARES] * (
        engine.world_vm[:, at.IO_WEIGHT] * missing + 1e-12 * wanted
    )
    order = np.argsort(np.argsort(-score, axis=1, kind="stable"), axis=1, kind="stable")
    granted = (order < engine.world_host[:, at.DEVICE_SLOTS, None]) & (score > 0)
    return np.where(engine.world_vm[:, at.PRESENT] > 0, granted.astype(np.float64), np.nan)
