"""I/O devices: emulated ones tax the host, passthrough ones are few and pin the VM's memory."""

from __future__ import annotations

from gymbal_envs.simulator.compile import Floats, lean_kernel
from gymbal_envs.simulator.layout import (
    C_EMULATED_LIMIT,
    C_EMULATED_TAX,
    C_PASSTHROUGH_TAX,
    C_SWITCH,
    C_TICK,
    DEVICE_BANDWIDTH,
    DEVICE_MODE,
    DEVICE_SLOTS,
    IO_RATE,
    IO_SPEED,
    IO_TAX,
    IO_WANTED,
    IO_WEIGHT,
    OUTAGE_S,
    PRESENT,
    SUM_IO,
    SUM_IO_WANTED,
)
from gymbal_envs.simulator.max_min import share_max_min


@lean_kernel
def serve_io(
    world_vm: Floats, world_host: Floats, constants: Floats, vm: Floats, host: Floats, wants: Floats
) -> None:
    """One tick of I/O; ``wants`` (3, V) is scratch.

    The device's bandwidth is shared max-min, with equal weights; one emulated device moves at most
    C_EMULATED_LIMIT. Of a VM's progress the part IO_WEIGHT needs its device: with a fraction f of
    the wanted bytes served it is ``1 - IO_WEIGHT (1 - f)``. Nothing is served during a switch.
    """
    tick = constants[C_TICK]
    for v in range(vm.shape[1]):
        wants[0, v] = 0.0
        wants[1, v] = world_vm[PRESENT, v]
        if world_vm[PRESENT, v] > 0.0:
            limit = world_host[DEVICE_BANDWIDTH]
            if vm[DEVICE_MODE, v] == 0.0:
                limit = constants[C_EMULATED_LIMIT]
            working = max(1.0 - vm[OUTAGE_S, v] / tick, 0.0)  # part of this tick
            wants[0, v] = min(vm[IO_WANTED, v], limit) * working
            vm[OUTAGE_S, v] = max(vm[OUTAGE_S, v] - tick, 0.0)
    share_max_min(wants[0], wants[1], world_host[DEVICE_BANDWIDTH], vm[IO_RATE])
    tax = 0.0
    for v in range(vm.shape[1]):
        if world_vm[PRESENT, v] == 0.0:
            continue
        emulated = vm[DEVICE_MODE, v] == 0.0
        per_byte = constants[C_EMULATED_TAX] if emulated else constants[C_PASSTHROUGH_TAX]
        tax += vm[IO_RATE, v] * per_byte
        missing = 0.0
        if vm[IO_WANTED, v] > 0.0:
            missing = 1.0 - vm[IO_RATE, v] / vm[IO_WANTED, v]
        vm[IO_SPEED, v] = 1.0 - world_vm[IO_WEIGHT, v] * missing
        vm[SUM_IO, v] += vm[IO_RATE, v] * tick
        vm[SUM_IO_WANTED, v] += vm[IO_WANTED, v] * tick
    host[IO_TAX] = tax


@lean_kernel
def switch_devices(
    world_vm: Floats, world_host: Floats, constants: Floats, modes: Floats, vm: Floats
) -> None:
    """Change device modes as told: (V,) 0 emulated, 1 passthrough, NaN as it is.

    Devices are taken back before they are handed out; a VM for which none is left keeps its
    emulated one.
    """
    if world_host[DEVICE_BANDWIDTH] <= 0.0:
        return
    used = 0.0
    for v in range(vm.shape[1]):
        if vm[DEVICE_MODE, v] == 1.0 and modes[v] == 0.0:
            vm[DEVICE_MODE, v] = 0.0
            vm[OUTAGE_S, v] = constants[C_SWITCH]
        used += vm[DEVICE_MODE, v]
    for v in range(vm.shape[1]):
        wanted = world_vm[PRESENT, v] > 0.0 and modes[v] == 1.0 and vm[DEVICE_MODE, v] == 0.0
        if wanted and used + 1.0 <= world_host[DEVICE_SLOTS]:
            vm[DEVICE_MODE, v] = 1.0
            vm[OUTAGE_S, v] = constants[C_SWITCH]
            used += 1.0
