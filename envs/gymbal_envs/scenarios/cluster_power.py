"""What the hosts of a cluster draw, and how they sleep."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from gymbal_envs.scenarios.centre_types import SLEEP_TYPES
from gymbal_envs.scenarios.draws import Floats
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_runtime.centre.rules.power import NUM_LEVELS, POWER_CURVES, watts_table


@dataclass(frozen=True, eq=False)
class PowerScenario:
    """H places for hosts, all of them on at first; what empty places say does not matter.

    Attributes:
        power_w: (H, NUM_LEVELS) W at 0, 10, ..., 100 % utilisation.
        sleep_w: (H,) W asleep.
        suspend_s: (H,) from the order (of an empty host) until it sleeps; at the watts of idling.
        wake_s: (H,) from the order until it is on.
        wake_w: (H,) W meanwhile.

    Raises:
        ScenarioError: a field has the wrong shape or an impossible value.
    """

    power_w: Floats
    sleep_w: Floats
    suspend_s: Floats
    wake_s: Floats
    wake_w: Floats

    @property
    def num_hosts(self) -> int:
        """Places for hosts, H."""
        return int(self.sleep_w.size)

    def __post_init__(self) -> None:
        """Check shapes, then values."""
        h = self.num_hosts
        for each in fields(self):
            value = getattr(self, each.name)
            shape = (h, NUM_LEVELS) if each.name == "power_w" else (h,)
            if value.shape != shape:
                raise ScenarioError(f"power.{each.name} has shape {value.shape}, not {shape}")
            if not ((value >= 0) & (value < np.inf)).all():
                raise ScenarioError(f"power.{each.name} {value} must be finite and not negative")


@dataclass(frozen=True)
class PowerConfig:
    """From what the hosts of a cluster are drawn, as far as their power is concerned.

    Attributes:
        curves: names of `gymbal_runtime.centre.rules.power.POWER_CURVES`, one for a cluster. They
            are of servers of other sizes, and count as parts of their power at full use.
        sleep_types: names of `gymbal_envs.scenarios.centre_types.SLEEP_TYPES`, one for a cluster.

    Raises:
        ScenarioError: names the field that makes no sense.
    """

    curves: tuple[str, ...] = ("ml110_g5", "x3250_x3470", "x3550_x5675")
    sleep_types: tuple[str, ...] = ("s3", "off")

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        for name, known in (("curves", POWER_CURVES), ("sleep_types", SLEEP_TYPES)):
            unknown = [each for each in getattr(self, name) if each not in known]
            if unknown or not getattr(self, name):
                raise ScenarioError(
                    f"power.{name} {unknown or '()'} unknown; there are {sorted(known)}"
                )


def draw_power(rng: np.random.Generator, config: PowerConfig, num_hosts: int) -> PowerScenario:
    """One kind of hosts and one kind of sleep for a cluster of H places."""
    watts = watts_table([config.curves[int(rng.integers(len(config.curves)))]])
    sleep = SLEEP_TYPES[config.sleep_types[int(rng.integers(len(config.sleep_types)))]]
    return PowerScenario(
        power_w=np.repeat(watts, num_hosts, axis=0),
        sleep_w=np.full(num_hosts, rng.uniform(*sleep.sleep_w)),
        suspend_s=np.full(num_hosts, rng.uniform(*sleep.suspend_s)),
        wake_s=np.full(num_hosts, rng.uniform(*sleep.wake_s)),
        wake_w=np.full(num_hosts, watts.max() * rng.uniform(*sleep.wake_frac)),
    )
