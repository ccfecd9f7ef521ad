"""A hand-written cache scenario whose best division can be worked out on paper."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gymbal_envs.scenarios.resources import Resources
from gymbal_envs.scenarios.scenario import Scenario
from gymbal_envs.scenarios.toy import OppositePeaks
from gymbal_envs.simulator.layout import NUM_LLC_SEGMENTS, NUM_PHASES
from gymbal_envs.simulator.params import GIB, MIB


@dataclass(frozen=True)
class StreamAndLoop:
    """A streaming program and one that loops over most of the cache, who change places.

    One VM streams: 20 misses per kilo-instruction whatever it holds, at 10 cycles each. The other
    loops over 10 of the 16 MiB: with all 10 it never misses, with less 20 of 1000 instructions
    miss (LRU on a loop), at 50 cycles each. So the optimum is worked out at once: **the looping VM
    gets 10 ways or more of 1 MiB, the streaming one the rest**, and neither loses anything: the
    stream's misses are its own. Shared, the stream flushes the loop: it then executes
    ``1 / (0.5 + 0.02 50) = 0.67`` instructions per cycle instead of 2, a third of its speed. Every
    ``phase_s`` they change programs.
    """

    phase_s: float = 300.0
    num_phases: int = 3
    knot_s: float = 10.0
    recolours: bool = False

    def __call__(self) -> Scenario:
        """The scenario; memory is ample, and there is no chance in it but the sensors' noise."""
        knots = int(self.phase_s * self.num_phases / self.knot_s) + 1
        turn = (np.arange(knots) * self.knot_s // self.phase_s).astype(int) % 2
        resources = Resources(
            llc_bytes=16 * MIB,
            llc_units=16,
            llc_classes=4,
            llc_min_units=1,
            llc_recolours=self.recolours,
            memory_bandwidth_bytes_s=60e9,
            frequency_hz=2e9,
            device_bytes_s=0.0,
            device_slots=0,
            cpu_slice_s=0.0,
            mpi=np.stack([_programs(first=0), _programs(first=1)]),
            cpi_base=np.full((2, NUM_PHASES), 0.5),
            penalty_cycles=np.array([[10.0, 50.0, 10.0], [50.0, 10.0, 50.0]]),
            phase=np.repeat(turn[:, None], 2, axis=1).astype(np.float32),
            io_bytes_s=np.zeros((knots, 2), dtype=np.float32),
            cap_cores=np.full(2, 2.0),
            wakeups=np.zeros(2),
            io_weight=np.zeros(2),
            recolour_frac=np.full(2, 0.1),
            hint_slowdown=np.full(2, np.nan),
            hint_footprint_bytes=np.full(2, np.nan),
        )
        memory = OppositePeaks(
            phase_s=self.phase_s, num_phases=self.num_phases, knot_s=self.knot_s,
            high_bytes=0.5 * GIB, low_bytes=0.5 * GIB,
        )()  # fmt: skip
        return replace(memory, name="stream-and-loop", resources=resources)


def _programs(first: int) -> np.ndarray:
    """(NUM_PHASES, NUM_LLC_SEGMENTS + 1) misses per instruction; phase ``first`` is the stream."""
    size_mib = np.linspace(0, 16, NUM_LLC_SEGMENTS + 1)
    stream = np.full(size_mib.shape, 0.02)
    loop = np.where(size_mib < 10, 0.02, 0.0)
    kinds = [stream, loop] if first == 0 else [loop, stream]
    return np.stack([kinds[phase % 2] for phase in range(NUM_PHASES)])
