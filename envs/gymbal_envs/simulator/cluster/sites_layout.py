"""Where each quantity of a pair of sites lives: rows of the tables that kernels read and write.

Bytes, seconds, bytes/s, fractions. ``w`` is the world, ``v`` the VM slot. Amounts of memory and
disk are before redundancy elimination and protocol overhead, unless they are *on the wire*.
"""

from __future__ import annotations

# world (B, NUM_WORLD): constant during an episode
WAN = 0  # bytes/s, capacity of the line
RTT = 1  # s, round trip of an empty line
FLOW_LIMIT = 2  # bytes/s, the most that one copy gets over this distance
DEADLINE = 3  # s; from then on being at the wrong site costs late_cost
NUM_WORLD = 4

# world_vm (B, NUM_WORLD_VM, V): constant during an episode
PRESENT = 0
SHARES = 1
AWAY_COST = 2  # of the VM's worth, per second at the wrong site
VCPUS = 3
MEMORY = 4  # bytes that hold data
DISK = 5  # bytes
WRITE_RATE = 6  # bytes/s to the disk at activity 1
WRITE_SET = 7  # bytes of disk that are written again and again
COMMITS = 8  # 1/s at activity 1, waits for writes (those that proceed together are one)
MEMORY_REDUNDANCY = 9  # part that is at the other site already
DISK_REDUNDANCY = 10
MEMORY_HINT = 11  # the same as samples say
DISK_HINT = 12
NUM_WORLD_VM = 13

# vm (B, NUM_VM, V)
PHASE = 0  # gymbal_runtime.sites.telemetry: AT_SOURCE ... ARRIVED
SUSPENDED = 1
REDUCED = 2
PHASE_S = 3
MOVE_S = 4  # since the first order
DISK_NEW = 5  # bytes never copied
DISK_AGAIN = 6  # bytes that were written after they had been copied
ACTIVITY = 7
HAND_LEFT = 8  # s of the hand-over that are left
SENT = 9  # bytes on the wire so far
ARRIVED_S = 10  # time of arrival
DIRTY_SEEN = 11  # bytes/s, the last sample of memory writes
RESIDUALS = 12  # memory left at the ends of the last rounds, newest first: NUM_RESIDUALS rows
NUM_RESIDUALS = 6
NUM_VM = RESIDUALS + NUM_RESIDUALS

# link (B, NUM_LINK): the line's state
TICK = 0
FREE = 1  # bytes/s not used by others, mean of the interval
COMMIT_S = 2  # s that a replicated write waits for the other site, last tick
BACKGROUND = 3  # bytes/s of others, last tick
NUM_LINK = 4

# outcome (B, NUM_OUTCOME, V): what the last interval brought
PAUSED = 0  # s
LOST = 1  # s of progress, while it ran: commits, copying and hashing together
LOST_SYNC = 2  # s of it, for replicated writes
LOST_COPY = 3  # s of it, for copying
LOST_HASH = 4  # s of it, for redundancy elimination
DISK_WIRE = 5  # bytes on the wire
MEMORY_WIRE = 6  # bytes on the wire
AWAY = 7  # s at the wrong site
AWAY_LATE = 8  # s of it after the deadline
REFUSED = 9  # orders that were not legal
PRECOPY_S = 10  # s of memory migration: pre-copy and last copy
NUM_OUTCOME = 11

# constants (NUM_CONSTANTS,)
C_TICK = 0
C_KNOT = 1
C_OVERHEAD = 2
C_HAND_OVER_TRIPS = 3
C_ROUTE_SWITCH = 4
C_COPY_TAX = 5
C_COPY_TAX_RATE = 6
C_HASH = 7
C_HASH_RATE = 8
C_COMMIT_BYTES = 9
C_RESYNC = 10
C_SAMPLE = 11
C_NOISE = 12
NUM_CONSTANTS = 13

NUM_RULES = 2  # of stopping: gymbal_runtime.sites.orders.UNTIL_TOLD, THIRTY_ROUNDS
