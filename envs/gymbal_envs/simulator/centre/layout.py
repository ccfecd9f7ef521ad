"""Where each quantity of a data centre lives: rows of the tables that kernels read and write.

``C`` centres of ``H`` places for hosts and ``V`` for VMs. MIPS, bytes, seconds, watts, joules,
fractions. ``c`` is the centre, ``h`` the host, ``v`` the VM; a VM keeps its row wherever it runs.
"""

from __future__ import annotations

NOBODY = -1.0
"""Host of a VM that runs nowhere, target of one that does not move."""

# world (C, NUM_WORLD): the state of a centre
TICK = 0
MOVES = 1  # VMs on their way, at most
NEXT_CHANGE = 2  # s, when a VM arrives or leaves next
INTERVAL_S = 3  # s that the outcome is of
NUM_WORLD = 4

# world_host (C, NUM_WORLD_HOST, H): constant during an episode
EXISTS = 0
CPU = 1  # MIPS, all cores
CORE = 2  # MIPS, one core
MEMORY = 3  # bytes for VMs
NIC = 4  # bytes/s each way
SLEEP_W = 5
SUSPEND_S = 6
WAKE_S = 7
WAKE_W = 8
NUM_WORLD_HOST = 9

# world_vm (C, NUM_WORLD_VM, V): constant during an episode
SPEED = 0  # MIPS, the most that it can use; 0: no VM ever
VCPUS = 1  # it gets at most so many cores of its host
VM_MEMORY = 2  # bytes
SHARES = 3  # weight of each of its MIPS
ARRIVES_S = 4
LEAVES_S = 5
NUM_WORLD_VM = 6

# host (C, NUM_HOST, H): the state
STATE = 0  # gymbal_runtime.centre.telemetry: ON ... WAKING
STATE_S = 1  # s since it is in this state
LEFT_S = 2  # s of SUSPENDING or WAKING that are left
TOLD = 3  # gymbal_runtime.centre.orders: SLEEP or WAKE that waits, else LEAVE
HELD = 4  # bytes of its VMs, of those on their way here, of those still being pushed away
RESIDENTS = 5  # VMs that run here
BUSY_MOVES = 6  # moves that begin or end here
COPY_MIPS = 7  # MIPS that moves took in the last tick
USED = 8  # MIPS that VMs and moves took in the last tick
WATTS = 9  # W, mean of the last tick
NUM_HOST = 10

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
NUM_OUTCOME = 13

# host_outcome (C, NUM_HOST_OUTCOME, H): what it brought to hosts
ENERGY = 0  # J in each state: NUM_STATES rows, ON ... WAKING
NUM_STATES = 4
STATE_TIME = 4  # s in each state: NUM_STATES rows
ACTIVE_S = 8  # s ON with a VM
FULL_S = 9  # s of it in which all its MIPS were used
USED_WORK = 10  # MIPS s of VMs and moves
COPY_WORK = 11  # MIPS s of moves
SENT = 12  # bytes
RECEIVED = 13  # bytes
SLEEPS = 14  # times that it began to suspend
WAKES = 15  # times that it began to wake
HOST_REFUSED = 16  # orders
NUM_HOST_OUTCOME = 17

# constants (NUM_CONSTANTS,)
C_TICK = 0
C_KNOT = 1
C_DAEMON = 2
C_SLOWDOWN = 3
C_MOST_SENT = 4
C_SAMPLE = 5
NUM_CONSTANTS = 6

# order of what VMs and hosts are told: told_vm (C, V), told_host (C, H) int64
