"""How the simulator's kernels are compiled: as those of the runtime are, see there."""

from gymbal_runtime.machine_code import Demand, Floats, Ints, Streams, kernel, lean_kernel

__all__ = ["Demand", "Floats", "Ints", "Streams", "kernel", "lean_kernel"]
