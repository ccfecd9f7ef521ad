"""What the VMs of a data centre run, and what they share on their hosts beside CPU time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.llc_profiles import LlcProfile
from gymbal_envs.scenarios.draws import Floats, Range, in_slots, log_uniform
from gymbal_envs.scenarios.machine import (
    HINT_PART,
    XEN_SLICE_S,
    behaviour_of,
    sensitive_programs,
)
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.simulator.cache import LINE_BYTES
from gymbal_envs.simulator.layout import NUM_LLC_SEGMENTS
from gymbal_envs.simulator.params import MIB

HARDLY_FASTER = 0.05
"""Part of what the whole cache spares in cycles that may be missing at the working set's size, as
for pages (models.md 1.2)."""
HINT_HZ = 3e9
"""Clock at which traffic of static profiles is stated, cycles/s."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CentrePrograms:
    """Programs of V VMs and what H hosts have for them.

    Attributes:
        llc_bytes: last-level cache that the VMs of a host share, of every host; 0: not simulated.
        cpu_slice_s: the schedulers' time slice; 0: waiting for a core costs nothing.
        memory_bandwidth_bytes_s: (H,) of all sockets.
        device_bytes_s: (H,) bandwidth of the I/O device.
        mpi: (V, NUM_LLC_SEGMENTS + 1) LLC misses per instruction at j segments.
        cpi_base: (V,) cycles per instruction without misses.
        penalty_cycles: (V,) cycles per miss with unloaded memory.
        io_bytes_s: (V,) wanted when all its MIPS are in use, in proportion below.
        io_weight: (V,) part of the progress that needs the device.
        wakeups: (V,) slices waited per slice of progress: how interactive it is.
        hint_slowdown: (V,) static profile: time with 1/12 of the cache over time with all of it;
            NaN: there is none, like the others.
        hint_traffic_bytes_s: (V,) static profile: fetched with 1/12 of the cache by a busy core.
        hint_cache_bytes: (V,) static profile: beyond so much cache it hardly gets faster.

    Raises:
        ScenarioError: from `check_fits`, naming the field.
    """

    llc_bytes: float
    cpu_slice_s: float
    memory_bandwidth_bytes_s: Floats
    device_bytes_s: Floats
    mpi: Floats
    cpi_base: Floats
    penalty_cycles: Floats
    io_bytes_s: Floats
    io_weight: Floats
    wakeups: Floats
    hint_slowdown: Floats
    hint_traffic_bytes_s: Floats
    hint_cache_bytes: Floats

    def check_fits(self, name: str, exists: NDArray[np.bool_], present: NDArray[np.bool_]) -> None:
        """Refuse what does not belong to a centre of these hosts (H,) and VMs (V,).

        Raises:
            ScenarioError: a field has the wrong shape or an impossible value.
        """
        for number in ("llc_bytes", "cpu_slice_s"):
            if not 0 <= getattr(self, number) < np.inf:
                raise ScenarioError(f"{name}: {number} is {getattr(self, number)}; give 0 or more")
        for field_name in self.__dataclass_fields__:
            value: Any = getattr(self, field_name)
            if not isinstance(value, np.ndarray):
                continue
            here = exists if field_name in _PER_HOST else present
            more = (NUM_LLC_SEGMENTS + 1,) if field_name == "mpi" else ()
            if value.shape != (here.size, *more):
                raise ScenarioError(
                    f"{name}: {field_name} has shape {value.shape}, not {(here.size, *more)}"
                )
            known = value[here]
            if field_name.startswith("hint_"):
                known = known[~np.isnan(known)]
            least = np.nextafter(0.0, 1.0) if field_name in _ABOVE_ZERO else 0.0
            if not np.all((known >= least) & (known < np.inf)):
                raise ScenarioError(
                    f"{name}: {field_name} must be finite and "
                    + ("above 0" if field_name in _ABOVE_ZERO else "not negative")
                )
        if np.any(self.io_weight[present] > 1):
            raise ScenarioError(f"{name}: io_weight is a part of the progress: keep it in 0..1")
        if np.any(np.diff(self.mpi[present], axis=1) > 1e-12):
            raise ScenarioError(f"{name}: mpi must not rise with the size of the cache")


_PER_HOST = ("memory_bandwidth_bytes_s", "device_bytes_s")
_ABOVE_ZERO = ("memory_bandwidth_bytes_s", "device_bytes_s", "cpi_base")


@dataclass(frozen=True)
class ProgramsConfig:
    """From what programs are drawn; null in a configuration: VMs want CPU time and nothing else.

    Ranges are uniform, or log-uniform where said. All hosts of a centre have the same cache; hosts
    of one kind have the same memory and device.

    Attributes:
        llc_mib: last-level cache of a host.
        bandwidth_gb_s: its memory bandwidth, 1e9 bytes/s.
        device_gb_s: bandwidth of its I/O device.
        sensitive_frac: part of the VMs that run programs which suffer when short of cache
            (`machine.SENSITIVE_SLOWDOWN`); the others run any.
        io_frac: part of the VMs that need their device.
        io_mb_s: what those want at full use, log-uniform, 1e6 bytes/s.
        io_weight: part of their progress that needs it.
        interactive_frac: part of the VMs that wake up often.
        wakeups: slices waited per slice of progress of those.
        hint_frac: part of the VMs with a static profile.
        hint_noise: standard deviation of the logarithm of what a static profile says.
        program_jitter: in training, as `machine.MachineConfig` has it.

    Raises:
        ScenarioError: names the field that makes no sense.
    """

    llc_mib: Range = (16.0, 32.0)
    bandwidth_gb_s: Range = (25.0, 80.0)
    device_gb_s: Range = (0.5, 1.5)
    sensitive_frac: float = 0.5
    io_frac: float = 0.4
    io_mb_s: Range = (100.0, 1500.0)
    io_weight: Range = (0.1, 0.6)
    interactive_frac: float = 0.3
    wakeups: Range = (0.05, 0.5)
    hint_frac: float = 0.8
    hint_noise: float = 0.1
    program_jitter: float = 1.5

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        for name in ("llc_mib", "bandwidth_gb_s", "device_gb_s", "io_mb_s"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ScenarioError(
                    f"programs.{name} ({low}, {high}) must be a rising pair above 0"
                )
        for name in ("sensitive_frac", "io_frac", "interactive_frac", "hint_frac"):
            if not 0 <= getattr(self, name) <= 1:
                raise ScenarioError(f"programs.{name} ({getattr(self, name)}) must lie in 0..1")
        if not 0 <= self.hint_noise <= 1:
            raise ScenarioError(f"programs.hint_noise ({self.hint_noise}) must lie in 0..1")
        if not 1 <= self.program_jitter < np.inf:
            raise ScenarioError(f"program_jitter ({self.program_jitter}) must be at least 1")


@dataclass(frozen=True)
class ProgramsDraw:
    """Draws what the VMs of a centre run.

    Attributes:
        config: what to draw from.
        programs: that VMs may run.
        varied: scale programs by ``program_jitter``.
    """

    config: ProgramsConfig
    programs: tuple[LlcProfile, ...]
    varied: bool = False
    _sensitive: tuple[LlcProfile, ...] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        """Sort the programs once."""
        most = max(self.config.llc_mib) * MIB
        object.__setattr__(self, "_sensitive", sensitive_programs(self.programs, most))

    def __call__(
        self,
        rng: np.random.Generator,
        kinds: Ints,
        places: Ints,
        num_places: int,
        slots: Ints,
        num_slots: int,
    ) -> CentrePrograms:
        """Draw programs of the VMs in ``slots`` and hardware of the hosts in ``places``.

        Args:
            rng: of this centre's programs.
            kinds: (h,) kind of each host; those of one kind are alike.
            places: (h,) where they are.
            num_places: H.
            slots: (n,) where VMs are.
            num_slots: V.
        """
        cfg, n = self.config, slots.size
        llc = float(rng.uniform(*cfg.llc_mib)) * MIB
        bandwidth = rng.uniform(*cfg.bandwidth_gb_s, kinds.max() + 1)[kinds] * 1e9
        device = rng.uniform(*cfg.device_gb_s, kinds.max() + 1)[kinds] * 1e9
        chosen = [self._program(rng) for _ in range(n)]
        jitter = cfg.program_jitter if self.varied else 1.0
        rows = {
            name: values[:, 0]
            for name, values in behaviour_of(rng, [[p] for p in chosen], llc, jitter).items()
        }
        has_io = rng.random(n) < cfg.io_frac
        rows["io_bytes_s"] = log_uniform(rng, cfg.io_mb_s, n) * 1e6 * has_io
        rows["io_weight"] = rng.uniform(*cfg.io_weight, n) * has_io
        rows["wakeups"] = rng.uniform(*cfg.wakeups, n) * (rng.random(n) < cfg.interactive_frac)
        rows |= self._hints(rng, rows, llc)
        return CentrePrograms(
            llc_bytes=llc,
            cpu_slice_s=XEN_SLICE_S,
            memory_bandwidth_bytes_s=in_slots(bandwidth, places, num_places),
            device_bytes_s=in_slots(device, places, num_places),
            **{name: in_slots(values, slots, num_slots) for name, values in rows.items()},
        )

    def _program(self, rng: np.random.Generator) -> LlcProfile:
        sensitive = self._sensitive and rng.random() < self.config.sensitive_frac
        pool = self._sensitive if sensitive else self.programs
        return pool[int(rng.integers(len(pool)))]

    def _hints(
        self, rng: np.random.Generator, rows: dict[str, Floats], llc: float
    ) -> dict[str, Floats]:
        """Static profiles, as somebody measured them who had the programs alone; NaN: nobody."""
        n = rows["cpi_base"].size
        hints = static_profile(rows["mpi"], rows["cpi_base"], rows["penalty_cycles"], llc)
        noise = np.exp(self.config.hint_noise * rng.standard_normal((len(hints), n)))
        hinted = rng.random(n) < self.config.hint_frac
        noisy = {name: hints[name] * noise[i] for i, name in enumerate(hints)}
        noisy["hint_slowdown"] = 1.0 + (hints["hint_slowdown"] - 1.0) * noise[0]
        return {name: np.where(hinted, values, np.nan) for name, values in noisy.items()}


def static_profile(
    mpi: Floats, cpi_base: Floats, penalty_cycles: Floats, llc_bytes: float
) -> dict[str, Floats]:
    """What is known of programs that were measured alone, (n,) each: `CentrePrograms.hint_*`.

    Args:
        mpi: (n, NUM_LLC_SEGMENTS + 1).
        cpi_base: (n,).
        penalty_cycles: (n,).
        llc_bytes: of the cache.
    """
    cpi = cpi_base[:, None] + penalty_cycles[:, None] * mpi  # (n, G + 1)
    grid = np.linspace(0.0, 1.0, NUM_LLC_SEGMENTS + 1)
    few = np.array([np.interp(HINT_PART, grid, row) for row in mpi]).reshape(len(mpi))
    short = cpi_base + penalty_cycles * few
    gain = cpi[:, :1] - cpi[:, -1:]
    enough = cpi - cpi[:, -1:] <= HARDLY_FASTER * gain + 1e-12
    return {
        "hint_slowdown": short / cpi[:, -1],
        "hint_traffic_bytes_s": HINT_HZ / short * few * LINE_BYTES,
        "hint_cache_bytes": grid[enough.argmax(axis=1)] * llc_bytes,
    }
