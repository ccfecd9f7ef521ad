"""Draws the rest of a host: its cache and devices, and the programs that its VMs run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.llc_profiles import LlcProfile, load_llc_profiles, read_llc_profiles
from gymbal_envs.scenarios.draws import Floats, Range, in_slots, log_uniform
from gymbal_envs.scenarios.resources import Resources
from gymbal_envs.scenarios.scenario import ScenarioError
from gymbal_envs.scenarios.split import VM_FRACTIONS, SplitName, part_edges
from gymbal_envs.simulator.layout import NUM_LLC_SEGMENTS, NUM_PHASES
from gymbal_envs.simulator.params import MIB

SENSITIVE_SLOWDOWN = 1.1
"""With 1/11 of the cache; of the 40 measured SPEC programs about a third are slower than that."""
HINT_PART = 1 / 12
XEN_SLICE_S = 0.03
"""Time slice of Xen's credit scheduler (models.md 9)."""
_SHUFFLE_KEY = 20120601


@dataclass(frozen=True)
class MachineConfig:
    """From what the rest of a host is drawn. Ranges are uniform, or log-uniform where said.

    Attributes:
        cache: simulate the last-level cache and memory bandwidth.
        devices: simulate I/O devices.
        wake_ups: simulate waiting for a core.
        llc_mib: size of the last-level cache.
        ways: numbers of ways to draw from.
        colours: numbers of page colours to draw from, on the hosts without way partitioning.
        colour_hosts: part of the hosts that partition by page colour.
        classes: classes of service to draw from, on hosts with ways (colours have no such limit).
        min_ways: fewest ways of a class.
        bandwidth_gb_s: memory bandwidth of the socket, 1e9 bytes/s.
        frequency_ghz: of a core.
        sensitive_frac: part of the VMs that run programs with a slowdown of at least
            `SENSITIVE_SLOWDOWN` when short of cache; the others run any.
        phase_s: mean seconds that a program stays in a phase, log-uniform over VMs.
        vcpus: cores of each VM, replacing the trace's.
        busy: CPU use while busy, as a fraction of ``vcpus``; the trace's shape is laid on top.
        io_frac: part of the VMs that need their device.
        io_mb_s: wanted I/O of those, log-uniform, 1e6 bytes/s.
        io_weight: part of their progress that needs it.
        device_gb_s: bandwidth of the host's device.
        slots: functions that can be handed through.
        interactive_frac: part of the VMs that wake up often.
        wakeups: slices waited per slice of progress of those.
        recolour_frac: part of the working set that is hot enough to be recoloured.
        hint_frac: part of the VMs with a static profile.
        program_jitter: in training, sizes, misses, penalties and base cycles of a program are each
            scaled by a factor of up to this (log-uniform, either way): measured programs are few,
            and a policy shall not learn them by heart. 1 is the programs as measured.
    """

    cache: bool = True
    devices: bool = False
    wake_ups: bool = False
    llc_mib: Range = (16.0, 32.0)
    ways: tuple[int, ...] = (11, 12, 16, 20)
    colours: tuple[int, ...] = (32, 64)
    colour_hosts: float = 0.5
    classes: tuple[int, ...] = (4, 8, 16)
    min_ways: tuple[int, ...] = (1, 2)
    bandwidth_gb_s: Range = (25.0, 80.0)
    frequency_ghz: Range = (2.1, 3.2)
    sensitive_frac: float = 0.5
    phase_s: Range = (60.0, 600.0)
    vcpus: tuple[int, ...] = (1, 2, 4)
    busy: Range = (0.3, 1.0)
    io_frac: float = 0.5
    io_mb_s: Range = (50.0, 2000.0)
    io_weight: Range = (0.1, 0.6)
    device_gb_s: float = 6.0
    slots: tuple[int, int] = (1, 3)
    interactive_frac: float = 0.4
    wakeups: Range = (0.05, 0.5)
    recolour_frac: Range = (0.05, 0.3)
    hint_frac: float = 0.5
    program_jitter: float = 2.0

    def __post_init__(self) -> None:
        """Name the field that makes no sense."""
        for name in ("llc_mib", "bandwidth_gb_s", "frequency_ghz", "phase_s", "busy", "io_mb_s"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ScenarioError(f"{name} ({low}, {high}) must be a rising pair above 0")
        for name in ("colour_hosts", "sensitive_frac", "io_frac", "interactive_frac", "hint_frac"):
            if not 0 <= getattr(self, name) <= 1:
                raise ScenarioError(f"{name} ({getattr(self, name)}) must lie in 0..1")
        if not 1 <= self.program_jitter < np.inf:
            raise ScenarioError(f"program_jitter ({self.program_jitter}) must be at least 1")
        for name in ("ways", "colours", "classes", "min_ways", "vcpus"):
            if not getattr(self, name) or min(getattr(self, name)) < 1:
                raise ScenarioError(f"{name} {getattr(self, name)} must be numbers of at least 1")


def split_programs(profiles: tuple[LlcProfile, ...], split: SplitName) -> tuple[LlcProfile, ...]:
    """The programs that one split may run: train, validation and test share none.

    Programs whose speed was measured are divided between the splits; those of which only the misses
    are known come in the test alone, so that it has a whole table that training never saw.
    """
    timed = [p for p in profiles if np.isfinite(p.residual)]
    order = np.random.Generator(np.random.Philox(key=_SHUFFLE_KEY)).permutation(len(timed))
    first, last = part_edges(len(timed), VM_FRACTIONS)[split]
    chosen = [timed[i] for i in np.sort(order[first:last])]
    if split == "test":
        chosen += [p for p in profiles if not np.isfinite(p.residual)]
    return tuple(chosen)


def programs_of(path: str, split: SplitName) -> tuple[LlcProfile, ...]:
    """Programs from the shipped table ("") or from a file or folder of the user's own.

    The user's own programs are all played, whatever the split.

    Raises:
        CurveError: if the file breaks its format.
    """
    if path:
        return read_llc_profiles(path)
    return split_programs(load_llc_profiles(), split)


def sensitive_programs(
    programs: tuple[LlcProfile, ...], llc_bytes: float
) -> tuple[LlcProfile, ...]:
    """Those of which a small part of such a cache makes `SENSITIVE_SLOWDOWN`."""
    return tuple(
        p for p in programs if p.slowdown(llc_bytes * HINT_PART, llc_bytes) >= SENSITIVE_SLOWDOWN
    )


def behaviour_of(
    rng: np.random.Generator, chosen: list[list[LlcProfile]], llc: float, jitter: float
) -> dict[str, Floats]:
    """Misses and cycles of every VM's programs, (n, P, ...), P for each VM.

    Args:
        rng: of these programs.
        chosen: P programs of each of n VMs.
        llc: bytes of the cache that misses are stated for.
        jitter: factor by which sizes, misses, cycles and penalties vary, at most.
    """
    most = np.log(jitter)
    scale = np.exp(rng.uniform(-most, most, (4, len(chosen), len(chosen[0]))))
    sizes = zip(chosen, llc * scale[0], strict=True)
    mpi = np.array(
        [
            [p.on_grid(size, NUM_LLC_SEGMENTS) for p, size in zip(ps, of_vm, strict=True)]
            for ps, of_vm in sizes
        ]
    )
    return {
        "mpi": mpi * scale[1][..., None],
        "cpi_base": np.array([[p.cpi0 for p in ps] for ps in chosen]) * scale[2],
        "penalty_cycles": np.array([[p.penalty_cycles for p in ps] for ps in chosen]) * scale[3],
    }


class MachineDraw:
    """Draws `Resources` for hosts of some programs.

    Args:
        config: what to draw from.
        programs: that VMs may run.
        max_vms: slots of a host.
        num_knots: of the demand.
        knot_s: seconds between them.
        varied: scale programs by ``program_jitter``.
    """

    def __init__(
        self,
        config: MachineConfig,
        programs: tuple[LlcProfile, ...],
        max_vms: int,
        num_knots: int,
        knot_s: float,
        varied: bool = False,
    ) -> None:
        self.config, self.programs, self.varied = config, programs, varied
        self.max_vms, self.num_knots, self.knot_s = max_vms, num_knots, knot_s
        most = max(config.llc_mib) * MIB
        self._sensitive = sensitive_programs(programs, most)

    def vcpus(self, rng: np.random.Generator, n: int) -> Floats:
        """Cores of n VMs."""
        drawn: Floats = rng.choice(self.config.vcpus, size=n).astype(np.float64)
        return drawn

    def cores(self, rng: np.random.Generator, shape: Floats, vcpus: Floats) -> NDArray[np.float32]:
        """Wanted cores (K, n) from the trace's CPU fractions (K, n): busier, with its ups.

        A level drawn from ``busy`` for each VM, times the trace's value over its mean, tempered by
        a square root because the traces' peaks are many times their means.
        """
        level = rng.uniform(*self.config.busy, vcpus.size)
        relative = np.sqrt(shape / np.maximum(shape.mean(axis=0), 1e-6))
        wanted = np.clip(vcpus * level * relative, 0.02 * vcpus, vcpus)
        return np.asarray(wanted, dtype=np.float32)

    def __call__(
        self, rng: np.random.Generator, slots: NDArray[np.int64], vcpus: Floats, footprint: Floats
    ) -> Resources:
        """Draw the rest of a host.

        Args:
            rng: of this scenario's machine.
            slots: (n,) where its VMs are.
            vcpus: (n,) cores.
            footprint: (n,) bytes, for the static hint.
        """
        cfg, n = self.config, slots.size
        llc = float(rng.uniform(*cfg.llc_mib)) * MIB
        coloured = bool(rng.random() < cfg.colour_hosts)
        units = int(rng.choice(cfg.colours if coloured else cfg.ways))
        classes = self.max_vms if coloured else int(rng.choice(cfg.classes))
        min_units = 1 if coloured else int(rng.choice(cfg.min_ways))
        chosen = [self._programs_of_vm(rng) for _ in range(n)]
        phase = self._phases(rng, n)
        has_io = rng.random(n) < cfg.io_frac
        wanted = log_uniform(rng, (cfg.io_mb_s[0] * 1e6, cfg.io_mb_s[1] * 1e6), n) * has_io
        hinted = rng.random(n) < cfg.hint_frac
        slowdown = [programs[0].slowdown(llc * HINT_PART, llc) for programs in chosen]
        bursts = rng.uniform(0.2, 1.0, (NUM_PHASES, n))
        per_vm: dict[str, Any] = {
            "cap_cores": vcpus,
            "wakeups": rng.uniform(*cfg.wakeups, n) * (rng.random(n) < cfg.interactive_frac),
            "io_weight": rng.uniform(*cfg.io_weight, n) * has_io,
            "recolour_frac": rng.uniform(*cfg.recolour_frac, n),
            "hint_slowdown": np.where(hinted, np.asarray(slowdown, dtype=np.float64), np.nan),
            "hint_footprint_bytes": np.where(hinted, footprint, np.nan),
            **behaviour_of(rng, chosen, llc, self.config.program_jitter if self.varied else 1.0),
        }
        spread = {name: in_slots(value, slots, self.max_vms) for name, value in per_vm.items()}
        io = wanted * np.take_along_axis(bursts, phase.astype(np.int64), axis=0)
        return Resources(
            llc_bytes=llc if cfg.cache else 0.0,
            llc_units=units,
            llc_classes=classes,
            llc_min_units=min_units,
            llc_recolours=coloured,
            memory_bandwidth_bytes_s=float(rng.uniform(*cfg.bandwidth_gb_s)) * 1e9,
            frequency_hz=float(rng.uniform(*cfg.frequency_ghz)) * 1e9,
            device_bytes_s=cfg.device_gb_s * 1e9 if cfg.devices else 0.0,
            device_slots=int(rng.integers(cfg.slots[0], cfg.slots[1] + 1)),
            cpu_slice_s=XEN_SLICE_S if cfg.wake_ups else 0.0,
            phase=self._at_knots(phase, slots),
            io_bytes_s=self._at_knots(io, slots),
            **spread,
        )

    def _at_knots(self, values: Any, slots: NDArray[np.int64]) -> NDArray[np.float32]:
        """(K, n) of VMs to (K, V) of slots."""
        rows = np.zeros((self.num_knots, self.max_vms), dtype=np.float32)
        rows[:, slots] = values
        return rows

    def _programs_of_vm(self, rng: np.random.Generator) -> list[LlcProfile]:
        """What a VM runs in each of its phases: sensitive programs only, or any."""
        sensitive = self._sensitive and rng.random() < self.config.sensitive_frac
        pool = self._sensitive if sensitive else self.programs
        return [pool[int(i)] for i in rng.integers(len(pool), size=NUM_PHASES)]

    def _phases(self, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        """(K, n) phase at each knot: exponential stays, then one of the other phases."""
        knots = np.arange(self.num_knots)
        phase = np.zeros((self.num_knots, n), dtype=np.float32)
        stays = self.num_knots  # of at least one knot each: never too few
        means = log_uniform(rng, self.config.phase_s, n) / self.knot_s
        lengths = np.ceil(rng.exponential(means, (stays, n)))
        first = rng.integers(NUM_PHASES, size=n)
        follow = (first + rng.integers(1, NUM_PHASES, (stays, n)).cumsum(axis=0)) % NUM_PHASES
        for v in range(n):
            stay = np.searchsorted(lengths[:, v].cumsum(), knots, side="right")
            phase[:, v] = follow[stay, v]
        return phase
