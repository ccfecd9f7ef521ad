"""What changes in a cluster during an episode: VMs that come and go, and the hour of the day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.scenarios.centre_config import Arrivals
from gymbal_envs.scenarios.draws import Floats, Range, log_uniform
from gymbal_envs.scenarios.scenario import Scenario

DAY_S = 86400.0
Ints = NDArray[np.int64]
DrawVms = Callable[[Ints, Ints], Scenario]
"""From rows of a trace (n,) and the samples at which they are played (n, window) to VMs."""


@dataclass(frozen=True, eq=False)
class Lobby:
    """VMs that come during an episode.

    Attributes:
        vms: all that they are, as a host of theirs; their first memory is what they use when they
            come.
        arrives_s: (V,) when each asks for a host; inf where no VM is.
        stops_s: (V,) when each ends; inf: never.
    """

    vms: Scenario
    arrives_s: Floats
    stops_s: Floats

    @property
    def wanted_bytes(self) -> Floats:
        """(K,) working sets of those that are there."""
        time_s = np.arange(self.vms.num_knots)[:, None] * self.vms.knot_s
        here = (time_s >= self.arrives_s) & (time_s < self.stops_s)
        wanted: Floats = np.where(here, self.vms.working_set_bytes, 0.0).sum(axis=1)
        return wanted


def draw_lobby(
    rng: np.random.Generator,
    config: Arrivals,
    rows: Ints,
    samples: tuple[int, int, int],
    most: int,
    draw_vms: DrawVms,
) -> Lobby:
    """Draw the VMs that come: such as are there, at other times of the trace.

    Args:
        rng: of this lobby.
        config: who comes and goes.
        rows: (n,) VMs of the trace that are there from the beginning.
        samples: first one that may be played, one past the last, how many an episode takes.
        most: places for them.
        draw_vms: makes VMs of rows and samples.
    """
    first, last, window = samples
    late = round(rows.size * config.frac / max(1.0 - config.frac, 1e-9))
    n = int(np.clip(late, 1, most))
    start = rng.integers(0, last - first, n)
    played = first + (start[:, None] + np.arange(window)) % (last - first)
    vms = draw_vms(rng.choice(rows, size=n), np.asarray(played, dtype=np.int64))
    until_s = (vms.num_knots - 1) * vms.knot_s
    arrives = np.where(vms.present, rng.uniform(0.0, until_s, vms.num_vms), np.inf)
    stops = arrives + draw_stays(rng, config, arrives.shape)
    return Lobby(as_they_come(vms, arrives), arrives, np.where(vms.present, stops, np.inf))


def draw_stays(rng: np.random.Generator, config: Arrivals, shape: tuple[int, ...]) -> Floats:
    """How long VMs stay, s; inf for those that stay until the end."""
    stays = log_uniform(rng, config.stay_s, int(np.prod(shape))).reshape(shape)
    return np.where(rng.random(shape) < config.forever_frac, np.inf, stays)


def as_they_come(vms: Scenario, arrives_s: Floats) -> Scenario:
    """The VMs with as much memory as each uses when it comes, on a host of just that."""
    last = vms.num_knots - 1
    knot = np.minimum(np.nan_to_num(arrives_s / vms.knot_s, posinf=last), last).astype(np.int64)
    used = vms.footprint_bytes[knot, np.arange(vms.num_vms)].astype(np.float64)
    held = np.clip(vms.kernel_bytes + 1.05 * used, vms.memory_min_bytes, vms.memory_max_bytes)
    initial = np.where(vms.present, held, 0.0)
    return replace(vms, initial_bytes=initial, capacity_bytes=float(initial.sum()))


def daily_course(rng: np.random.Generator, swing: Range, num_knots: int, knot_s: float) -> Floats:
    """(K,) factors on what VMs want, 1 at the busiest hour of the day."""
    depth, busiest_s = rng.uniform(*swing), rng.uniform(0.0, DAY_S)
    phase = 2.0 * np.pi * (np.arange(num_knots) * knot_s - busiest_s) / DAY_S
    course: Floats = 1.0 - 0.5 * depth * (1.0 - np.cos(phase))
    return course


def in_course(vms: Scenario, course: Floats) -> Scenario:
    """The VMs with demand that follows a course (K,)."""
    factor = course[:, None].astype(np.float32)
    return replace(
        vms,
        working_set_bytes=vms.working_set_bytes * factor,
        footprint_bytes=vms.footprint_bytes * factor,
        cores=vms.cores * factor,
    )
