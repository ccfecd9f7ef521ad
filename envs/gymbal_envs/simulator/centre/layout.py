"""Where each quantity of a data centre lives: rows of the tables that kernels read and write.

``C`` centres of ``H`` places for hosts and ``V`` for VMs. MIPS, bytes, seconds, watts, joules,
fractions. ``c`` is the centre, ``h`` the host, ``v`` the VM; a VM keeps its row wherever it runs.
"""

from __future__ import annotations

from gymbal_envs.simulator.host_power import (
    ACTIVE_S,
    ENERGY,
    FULL_S,
    LEFT_S,
    NUM_POWER_OUTCOME,
    NUM_STATES,
    SLEEPS,
    STATE,
    STATE_S,
    STATE_TIME,
    TOLD,
    WAKES,
)

__all__ = [  # of `host_power`, to be named as the other rows are
    "ACTIVE_S", "ENERGY", "FULL_S", "LEFT_S", "NUM_STATES", "SLEEPS", "STATE", "STATE_S",
    "STATE_TIME", "TOLD", "WAKES",
]  # fmt: skip

NOBODY = -1.0
"""Host of a VM that runs nowhere, target of one that does not move."""

# world (C, NUM_WORLD): the state of a centre
TICK = 0
MOVES = 1  # VMs on their way, at most
NEXT_CHANGE = 2  # s, when a VM arrives or leaves next
INTERVAL_S = 3  # s that the outcome is of
CONTENDS = 4  # 1 where VMs share caches, memory bandwidth and devices: `contention`
LLC_BYTES = 5  # last-level cache of each host; 0 where it is not simulated, like the next
SLICE_S = 6  # time slice of the schedulers
NUM_WORLD = 7

# world_host (C, NUM_WORLD_HOST, H): constant during an episode
EXISTS = 0
CPU = 1  # MIPS, all cores
CORE = 2  # MIPS, one core
MEMORY = 3  # bytes for VMs
NIC = 4  # bytes/s each way
SLEEP_W = 5  # first of NUM_POWER_FIXED rows of `host_power`
SUSPEND_S = 6
WAKE_S = 7
WAKE_W = 8
BANDWIDTH = 9  # bytes/s of memory; 0 where contention is not simulated, like the next
DEVICE = 10  # bytes/s of the I/O device
NUM_WORLD_HOST = 11

# world_vm (C, NUM_WORLD_VM, V): constant during an episode
SPEED = 0  # MIPS, the most that it can use; 0: no VM ever
VCPUS = 1  # it gets at most so many cores of its host
VM_MEMORY = 2  # bytes
SHARES = 3  # weight of each of its MIPS
ARRIVES_S = 4
LEAVES_S = 5
IO_FULL = 6  # bytes/s that it wants when it uses all its MIPS
IO_NEED = 7  # part of its progress that needs the device
WAKE_UPS = 8  # slices waited per slice of progress
HINT_SLOWDOWN = 9  # static profile: time with 1/12 of the cache / with all of it; NaN: none
HINT_TRAFFIC = 10  # static profile: bytes/s and core fetched with 1/12 of the cache; NaN: none
HINT_CACHE = 11  # static profile: bytes of cache beyond which it hardly gets faster; NaN: none
NUM_WORLD_VM = 12

# host (C, NUM_HOST, H): the state
# first NUM_POWER_STATE rows of `host_power`: STATE, STATE_S, LEFT_S, TOLD
HELD = 4  # bytes of its VMs, of those on their way here, of those still being pushed away
RESIDENTS = 5  # VMs that run here
BUSY_MOVES = 6  # moves that begin or end here
COPY_MIPS = 7  # MIPS that moves took in the last tick
USED = 8  # MIPS that VMs and moves took in the last tick
WATTS = 9  # W, mean of the last tick
IO_MIPS = 10  # MIPS that emulating devices takes
LATENCY = 11  # memory latency / unloaded memory latency
SETTLED_VMS = 12  # VMs that its contention was last settled for
NUM_HOST = 13

# vm (C, NUM_VM, V): the state
HERE = 0  # 1 between arrival and departure
HOST = 1
TARGET = 2  # of a move under way; it runs there already while it is pushed
SOURCE = 3  # of a move under way
WANTED = 4  # MIPS, now
LIMIT = 5  # MIPS that it could use in the last tick where it ran: less while it was moved
GRANTED = 6  # MIPS in the last tick
RAN = 7  # part of its progress that moves left it in the last tick
HOSTED_S = 8  # s since it runs on this host
NUM_VM = 9

# sharing (C, NUM_SHARING, V or 0): what contention makes of a VM; only of centres with programs
SETTLED_ON = 0  # host, -1: never settled
SETTLED_AT = 1  # MIPS that it was granted when its host was last settled
CACHE_SPEED = 2  # progress against the same alone on the host, with the whole cache, 0..1
IO_SPEED = 3  # progress against the same with all its I/O served, 0..1
WAKE_SPEED = 4  # progress against the same without waiting for a core, 0..1
INSTRUCTIONS = 5  # 1/s
MISSES = 6  # per instruction
CYCLES = 7  # per instruction
OCCUPIED = 8  # bytes of the cache
AGE = 9  # s, at which lines of the host's cache are evicted
IO_ASKED = 10  # bytes/s
IO_SERVED = 11  # bytes/s
NUM_SHARING = 12

# outcome (C, NUM_OUTCOME, V): what the last interval brought to VMs
WANTED_WORK = 0  # MIPS s
GOT_WORK = 1  # MIPS s
LOST_WAITING = 2  # MIPS s, while it had no host
LOST_MOVING = 3  # MIPS s, for pauses, slowdown and throttling by moves
WAITED_S = 4
DOWN_S = 5  # s paused by moves
MOVE_BYTES = 6  # on the wire
BEGUN = 7  # moves
ENDED = 8
FAILED = 9  # given up, or the VM left
PLACED = 10  # 1: it got its first host, or one again
REFUSED = 11  # orders that could not be carried out
PRESENT_S = 12
LOST_CACHE = 13  # MIPS s of GOT_WORK without progress: waiting for memory that others use, too
LOST_IO = 14  # MIPS s of it: waiting for the device
LOST_WAKING = 15  # MIPS s of it: waiting for a core after waking up
NUM_OUTCOME = 16

# host_outcome (C, NUM_HOST_OUTCOME, H): what it brought to hosts
# first NUM_POWER_OUTCOME rows of `host_power`: ENERGY, STATE_TIME, ACTIVE_S, FULL_S, SLEEPS, WAKES
USED_WORK = NUM_POWER_OUTCOME + 0  # MIPS s of VMs and moves
COPY_WORK = NUM_POWER_OUTCOME + 1  # MIPS s of moves
SENT = NUM_POWER_OUTCOME + 2  # bytes
RECEIVED = NUM_POWER_OUTCOME + 3  # bytes
HOST_REFUSED = NUM_POWER_OUTCOME + 4  # orders
NUM_HOST_OUTCOME = NUM_POWER_OUTCOME + 5

# constants (NUM_CONSTANTS,)
C_TICK = 0
C_KNOT = 1
C_DAEMON = 2
C_SLOWDOWN = 3
C_MOST_SENT = 4
C_SAMPLE = 5
NUM_CONSTANTS = 6

# order of what VMs and hosts are told: told_vm (C, V), told_host (C, H) int64
