"""Where each quantity of the packed arrays lives.

The world is a structure of arrays packed in a few tables, indexed ``table[world, QUANTITY, vm]``:
neighbouring VMs are neighbours in memory, a kernel takes few arguments, and a single world is a
view. ``B`` worlds, ``V`` VM slots. Bytes, seconds, cores, fractions.
"""

from __future__ import annotations

# world_vm (B, NUM_WORLD_VM, V): what does not change during an episode
PRESENT = 0  # 1 where a VM is
SHARES = 1  # > 0, weight of the VM
MEMORY_MAX = 2  # bytes provisioned
MEMORY_MIN = 3  # bytes, configured balloon floor
KERNEL = 4  # bytes of the guest kernel, never reclaimed
UNSWAPPABLE = 5  # fraction of the footprint that cannot be paged out
TOUCH_RATE = 6  # 1/s, page touches that can miss, at full speed
DIRTY_FRAC = 7  # fraction of evicted pages that must be written
OVERLAP = 8  # faults in flight at once (MLP), >= 1
VCPUS = 9  # cores provisioned
MONITOR = 10  # 0: guest statistics, 1: + active sampler, 2: + LRU histogram
NUM_WORLD_VM = 11

# world_host (B, NUM_WORLD_HOST)
CAPACITY = 0  # bytes for all guests
CPU_CAPACITY = 1  # cores
TIER_LATENCY = 2  # s, unloaded
TIER_SERVERS = 3  # requests served at once
TIER_READ = 4  # bytes/s
TIER_WRITE = 5  # bytes/s
TIER_CLUSTER = 6  # pages read per fault
TIER_USEFUL = 7  # of those, pages that were wanted
TIER_POOL = 8  # bytes of guest memory that one swapped byte still occupies (zswap)
TIER_POOL_LIMIT = 9  # fraction of a guest's memory that such images may occupy
NUM_WORLD_HOST = 10

# vm (B, NUM_VM, V): the state
WORKING_SET = 0  # bytes the program wants resident now
FOOTPRINT = 1  # bytes that must be stored somewhere
HOT = 2  # resident bytes of the working set
COLD = 3  # resident bytes outside the working set
ACTUAL = 4  # bytes the balloon leaves to the guest
TARGET = 5  # bytes the balloon was told to leave
WANTED_CORES = 6
GRANTED_CORES = 7
SPEED = 8  # progress of granted CPU time, 0..1 (1 = never waits for memory)
MISS_RATE = 9  # misses/s at full speed, r m(x)
STALL_S = 10  # seconds until a killed process is back
SLOW_ACTIVE = 11  # slow moving average of the sampled active fraction
FAST_ACTIVE = 12  # fast one
# rows SUM_IN to SUM_STALLED: sums since the last sample of the sensors
SUM_IN = 13  # bytes
SUM_OUT = 14  # bytes
SUM_FAULTS = 15
SUM_CPU = 16  # core seconds used
SUM_WANTED = 17  # core seconds wanted
SUM_STOLEN = 18  # core seconds not granted
SUM_STALLED = 19  # seconds stalled on memory
UNBORN = 20  # bytes of the footprint never touched yet: they need memory, but no swap-in
NUM_VM = 21

# host (B, NUM_HOST): the state
BUSY = 0  # utilisation of the swap device, 0..1
WAIT = 1  # s to serve one swap-in
TICK = 2  # ticks since the episode began
SINCE_SAMPLE = 3  # s since the sensors sampled
SINCE_ACTIVE = 4  # s since the active sampler sampled
SAMPLED_AT = 5  # s, time of the newest visible sample
PENDING_AT = 6  # s, time of the sample under way; -1 where none
VISIBLE_WAIT = 7  # s, what the host reports as swap latency; NaN before the first fault
PENDING_WAIT = 8
NUM_HOST = 9

# demand (B, KNOTS, NUM_DEMAND, V) float32
WANT_WORKING_SET = 0
WANT_FOOTPRINT = 1
WANT_CORES = 2
NUM_DEMAND = 3

# visible and pending (B, NUM_SENSED, V): telemetry
SENSED_USABLE = 0
SENSED_ACTUAL = 1
SENSED_IN = 2
SENSED_OUT = 3
SENSED_SWAPPED = 4
SENSED_FAULTS = 5
SENSED_CPU = 6
SENSED_STEAL = 7
SENSED_PSI = 8
SENSED_ACTIVE = 9
SENSED_LRU = 10  # first of NUM_SLICES rows
NUM_SLICES = 8
NUM_SENSED = SENSED_LRU + NUM_SLICES

# outcome (B, NUM_OUTCOME, V): what happened since the last command, for reward and reports
LOST = 0  # s of progress lost
LOST_MEMORY = 1  # of those, s lost to memory (the rest to CPU contention)
MOVED = 2  # bytes the balloon moved
KILLED = 3  # processes killed
READ = 4  # bytes swapped in
WRITTEN = 5  # bytes swapped out
NUM_OUTCOME = 6

# constants (NUM_CONSTANTS,)
C_TICK = 0  # s
C_KNOT = 1  # s between demand knots
C_PAGE = 2  # bytes
C_INFLATE = 3  # bytes/s
C_DEFLATE = 4  # bytes/s
C_LRU_ERROR = 5
C_RESTART = 6  # s
C_SAMPLE = 7  # s
C_DELAY = 8  # s
C_ACTIVE_PERIOD = 9  # s
C_ACTIVE_PAGES = 10
C_SLOW_GAIN = 11
C_FAST_GAIN = 12
C_LRU_NOISE = 13
C_MONITOR_COST = 14  # fraction of the VM's CPU that an LRU histogram costs
C_SAMPLER_COST = 15
NUM_CONSTANTS = 16
