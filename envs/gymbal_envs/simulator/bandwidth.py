"""Cycles per instruction, and the memory bandwidth that all programs of a host share."""

from __future__ import annotations

from gymbal_envs.simulator.cache import CURVE, LINE_BYTES
from gymbal_envs.simulator.compile import Floats, lean_kernel
from gymbal_envs.simulator.layout import (
    C_PAGE_MOVE,
    C_QUEUE,
    C_TICK,
    C_WRITE_BACK,
    CACHE_SPEED,
    CPI,
    CPI_BASE,
    FREQUENCY,
    GRANTED_CORES,
    LATENCY_FACTOR,
    MEMORY_BANDWIDTH,
    MPI,
    NUM_LLC_SEGMENTS,
    PENALTY,
    PRESENT,
    RATE,
    SPEED,
    STALL_S,
    SUM_CYCLES,
    SUM_INSTRUCTIONS,
    SUM_MISSES,
    SUM_REFERENCES,
    SUM_STALL_CYCLES,
)

NEWTON_ROUNDS = 8
SETTLED = 1e-6
LONGEST_LATENCY = 1e3
"""In units of the unloaded one. Only programs that no miss delays could raise it further."""


@lean_kernel
def cycles_per_s(world_host: Floats, vm: Floats, v: int) -> float:
    """Cycles that VM ``v`` executes: granted cores that do not wait for pages."""
    speed = 0.0 if vm[STALL_S, v] > 0.0 else vm[SPEED, v]
    return world_host[FREQUENCY] * vm[GRANTED_CORES, v] * speed


@lean_kernel
def settle_latency(
    world_vm: Floats, world_host: Floats, active: Floats, constants: Floats, vm: Floats,
    host: Floats, wants: Floats,
) -> None:  # fmt: skip
    """Solve the memory latency L (in units of the unloaded one) and every VM's instruction rate.

    ``CPI = CPI_base + MPI penalty L``, traffic ``b = rate MPI 64 (1 + write_back)`` and
    ``L = 1 + kappa rho / (1 - rho)`` with ``rho = sum b / bandwidth`` (models.md 1.5). Solved as
    ``rho(L) = (L - 1) / (L - 1 + kappa)``: the left side falls, the right one rises and is concave,
    so Newton's method converges; the previous tick's latency is where it starts. Demand beyond the
    bandwidth raises L until it fits, so that no further throttling is needed (up to
    `LONGEST_LATENCY`).
    """
    kappa = constants[C_QUEUE]
    per_miss = LINE_BYTES * (1.0 + constants[C_WRITE_BACK]) / world_host[MEMORY_BANDWIDTH]
    for v in range(vm.shape[1]):
        wants[0, v] = wants[1, v] = wants[2, v] = 0.0
        if world_vm[PRESENT, v] > 0.0:
            wants[0, v] = cycles_per_s(world_host, vm, v)
            wants[1, v] = vm[MPI, v] * active[v, PENALTY]
            wants[2, v] = wants[0, v] * vm[MPI, v] * per_miss
    latency = host[LATENCY_FACTOR]
    for _ in range(NEWTON_ROUNDS):
        queued = latency - 1.0
        value = -queued / (queued + kappa)
        slope = -kappa / ((queued + kappa) * (queued + kappa))
        for v in range(vm.shape[1]):
            if wants[2, v] > 0.0:
                rate = 1.0 / (active[v, CPI_BASE] + wants[1, v] * latency)
                value += wants[2, v] * rate
                slope -= wants[2, v] * rate * rate * wants[1, v]
        before = latency
        latency = min(max(latency - value / slope, 1.0), LONGEST_LATENCY)
        if abs(latency - before) <= SETTLED * latency:
            break
    host[LATENCY_FACTOR] = latency
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] > 0.0:
            vm[CPI, v] = active[v, CPI_BASE] + wants[1, v] * latency
            vm[RATE, v] = wants[0, v] / vm[CPI, v]


@lean_kernel
def progress_of_programs(
    world_vm: Floats, active: Floats, constants: Floats, vm: Floats, moved: Floats
) -> None:
    """Speed against the whole cache alone, and the counters; ``moved`` (V,) pages recoloured."""
    tick = constants[C_TICK]
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0:
            continue
        alone = active[v, CURVE + NUM_LLC_SEGMENTS] * active[v, PENALTY] + active[v, CPI_BASE]
        copying = moved[v] * constants[C_PAGE_MOVE] / tick
        vm[CACHE_SPEED, v] = min(alone / vm[CPI, v], 1.0) * (1.0 - min(copying, 1.0))
        cycles = vm[RATE, v] * vm[CPI, v] * tick
        executed = vm[RATE, v] * (1.0 - min(copying, 1.0)) * tick
        vm[SUM_INSTRUCTIONS, v] += executed
        vm[SUM_CYCLES, v] += cycles
        vm[SUM_STALL_CYCLES, v] += cycles * (1.0 - active[v, CPI_BASE] / vm[CPI, v])
        vm[SUM_REFERENCES, v] += executed * active[v, CURVE]
        vm[SUM_MISSES, v] += executed * vm[MPI, v]
