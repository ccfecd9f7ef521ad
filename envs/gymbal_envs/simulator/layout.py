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
MONITOR = 10  # at the start: 0: guest statistics, 1: + active sampler, 2: + LRU histogram
CAP = 11  # cores, the most that the scheduler gives
WAKEUPS = 12  # how much waiting for a core hurts: slices waited per slice of progress
IO_WEIGHT = 13  # 0..1, part of the progress that needs the device
RECOLOUR_FRAC = 14  # part of the working set that is hot enough to be recoloured
HINT_SLOWDOWN = 15  # static profile: time with 1/12 of the LLC / with all of it; NaN: no profile
HINT_FOOTPRINT = 16  # static profile: bytes; NaN: no profile
NUM_WORLD_VM = 17

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
WHOLE = 10  # 1 where anything below is simulated; 0: memory and CPU time only
LLC_BYTES = 11  # last-level cache; 0: not simulated
LLC_UNITS = 12  # ways, or page colours
LLC_CLASSES = 13
LLC_MIN_UNITS = 14
LLC_RECOLOURS = 15  # 1 where units are page colours
MEMORY_BANDWIDTH = 16  # bytes/s
FREQUENCY = 17  # cycles/s of a core
DEVICE_BANDWIDTH = 18  # bytes/s of the host's I/O device; 0: not simulated
DEVICE_SLOTS = 19  # functions that can be handed through
CPU_SLICE = 20  # s, the scheduler's time slice; 0: waiting for a core is not simulated
NUM_WORLD_HOST = 21

# programs (B, V, PHASES, NUM_PROGRAM + 2 (G + 1)): the phases of the program in each VM
CPI_BASE = 0  # cycles per instruction with a cache that never misses
PENALTY = 1  # cycles per LLC miss, unloaded memory
NUM_PROGRAM = 2
# then G + 1 misses per instruction at 0..G segments of the LLC, and G + 1 instructions to fill them
NUM_PHASES = 3
NUM_LLC_SEGMENTS = 32  # G
# active (B, V, NUM_PROGRAM + 2 (G + 1)): the row of the present phase

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
WEIGHT = 21  # of the CPU scheduler
LEVEL = 22  # of the monitors
CACHE_SPEED = 23  # progress of unstalled CPU time against the same with the whole LLC alone, 0..1
IO_SPEED = 24  # progress against the same with all wanted I/O served, 0..1
WAKE_SPEED = 25  # progress against the same without waiting for a core, 0..1
DEVICE_MODE = 26  # 0 emulated, 1 passthrough
OUTAGE_S = 27  # s until a switched device works again
HOT_SET = 28  # fraction of the working set that the histogram monitor leaves untraced
PHASE = 29  # of the program
LLC_CLASS = 30
UNITS = 31  # of the VM's class, as told
ENTITLED = 32  # the VM's part of its class's units, in force
ENTITLED_GOAL = 33  # the same once all pages are recoloured
PAGES_LEFT = 34  # to recolour
OCCUPANCY = 35  # bytes of the LLC
MPI = 36  # LLC misses per instruction
CPI = 37  # cycles per instruction
RATE = 38  # instructions/s
CHARACTERISTIC = 39  # s, age at which lines of the VM's class are evicted
IO_WANTED = 40  # bytes/s
IO_RATE = 41  # bytes/s
# rows SUM_INSTRUCTIONS to SUM_WAKE: sums since the last sample of the sensors
SUM_INSTRUCTIONS = 42
SUM_CYCLES = 43
SUM_STALL_CYCLES = 44
SUM_REFERENCES = 45
SUM_MISSES = 46
SUM_IO = 47  # bytes
SUM_IO_WANTED = 48  # bytes
SUM_WAKE = 49  # s^2: wake-up delay x time
MONITOR_COST = 50  # fraction of the VM's CPU time that its monitors take
# rows FAR_SHARE to HELD_BACK: what a cluster does to a VM; all 0 on a host alone
FAR_SHARE = 51  # fraction of the swap-ins that come from other hosts' memory
FAR_STALL = 52  # s, FAR_SHARE x what one fault of the swap device would wait if it went far
FAR_EVICT = 53  # fraction of the evictions that go to other hosts' memory
HELD_BACK = 54  # fraction of the tick in which the VM is paused or throttled
NUM_VM = 55

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
LATENCY_FACTOR = 9  # memory latency / unloaded memory latency
IO_TAX = 10  # cores that emulating devices takes from all VMs
NUM_HOST = 11

# demand (B, KNOTS, NUM_DEMAND, V) float32
WANT_WORKING_SET = 0
WANT_FOOTPRINT = 1
WANT_CORES = 2
WANT_IO = 3  # bytes/s
WANT_PHASE = 4  # index of the program's phase; does not blend between knots
NUM_DEMAND = 5

# told (B, NUM_TOLD, V): the last command but for balloon targets; NaN leaves a VM as it is
TOLD_CLASS = 0
TOLD_UNITS = 1
TOLD_WEIGHT = 2
TOLD_MODE = 3
TOLD_LEVEL = 4
NUM_TOLD = 5

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
NUM_MEMORY_SENSED = SENSED_LRU + NUM_SLICES  # the rows of a host that is not WHOLE
SENSED_WALK = 18
SENSED_INSTRUCTIONS = 19
SENSED_CYCLES = 20
SENSED_STALL = 21
SENSED_REFERENCES = 22
SENSED_MISSES = 23
SENSED_OCCUPANCY = 24
SENSED_IO = 25
SENSED_IO_WAIT = 26
SENSED_WAKE = 27
SENSED_LLC = 28  # first of NUM_LLC_POINTS rows
NUM_LLC_POINTS = 12
NUM_SENSED = SENSED_LLC + NUM_LLC_POINTS

# outcome (B, NUM_OUTCOME, V): what happened since the last command, for reward and reports
LOST = 0  # s of progress lost
LOST_MEMORY = 1  # of those, s lost to memory (the rest to CPU contention)
MOVED = 2  # bytes the balloon moved
KILLED = 3  # processes killed
READ = 4  # bytes swapped in
WRITTEN = 5  # bytes swapped out
LOST_CACHE = 6  # s lost to the cache, memory bandwidth and recolouring
LOST_IO = 7  # s lost to the device and its switching
LOST_MONITOR = 8  # s that monitors took
UNITS_MOVED = 9  # units of the LLC that came to the VM
PAGES_MOVED = 10  # pages recoloured
NUM_OUTCOME = 11

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
C_TRAP = 16  # s per traced access; 0: a histogram costs C_MONITOR_COST whatever it sees
C_TRACE_LIMIT = 17  # fraction of the VM's CPU above which the hot set grows
C_QUEUE = 18  # kappa of the memory latency under load
C_WRITE_BACK = 19  # bytes written back per byte missed
C_PAGE_MOVE = 20  # s per recoloured page
C_MOVE_DUTY = 21  # fraction of a VM's time that recolouring may take
C_EMULATED_TAX = 22  # core seconds per byte
C_PASSTHROUGH_TAX = 23  # core seconds per byte
C_EMULATED_LIMIT = 24  # bytes/s of one VM's emulated device
C_SWITCH = 25  # s without a device when its mode changes
C_WALK = 26  # fraction of cycles in page walks per doubling of the working set
C_COUNTER_NOISE = 27
C_LLC_NOISE = 28
NUM_CONSTANTS = 29
