"""Where each quantity of a cluster's tables lives, beside those of its hosts.

``C`` clusters of ``H`` host places with ``V`` VM slots each; host h of cluster c is row
``n = c * H + h`` of every table with ``N = C * H`` rows, those of the hosts' engine too
(`gymbal_envs.simulator.layout`). Bytes, seconds, cores, fractions. A host is named by its number h
within its cluster; `NOBODY` is none.
"""

from __future__ import annotations

from gymbal_envs.simulator.cluster.migration_layout import (
    NUM_DIRTY,
    NUM_GROUPS,
    NUM_PLAN,
    NUM_STATE,
)

NOBODY = -1.0

# cluster (C, NUM_CLUSTER). What does not change during an episode; first NUM_PLAN rows that say how
# VMs move, so that a row of this table is a plan of the migration kernel:
FAR_LATENCY = NUM_PLAN + 0  # s, one far page on an idle network
FAR_REQUEST = NUM_PLAN + 1  # bytes that one far fault brings
FAR_USEFUL = NUM_PLAN + 2  # pages of those that spare a later fault
WAN_BYTES_S = NUM_PLAN + 3  # between sites, each way
WAN_LATENCY = NUM_PLAN + 4  # s, one way
CLONE_FORK = NUM_PLAN + 5  # s
CLONE_PAGE_IN = NUM_PLAN + 6  # part of the working set that a clone fetches
CLONE_FIXED = NUM_PLAN + 7  # bytes that both have
CLONE_TAX = NUM_PLAN + 8  # part of the work that coordination takes
# rows K_SLAB to K_SQUEEZE: `ClusterParams`
K_SLAB = NUM_PLAN + 9  # bytes
K_LOW = NUM_PLAN + 10  # fraction of a host's memory
K_HIGH = NUM_PLAN + 11
K_HOME = NUM_PLAN + 12  # bytes/s
K_WRITE_SHARE = NUM_PLAN + 13
K_DAEMON = NUM_PLAN + 14  # cores
K_SLOWDOWN = NUM_PLAN + 15
K_SQUEEZE = NUM_PLAN + 16  # s
NUM_RULES = 8
# rows K_TICK to K_PAGE: of the hosts' constants
K_TICK = NUM_PLAN + 17  # s
K_RESTART = NUM_PLAN + 18  # s
K_SWITCH = NUM_PLAN + 19  # s
K_PAGE = NUM_PLAN + 20  # bytes
# The state:
TIME = NUM_PLAN + 21  # s
MOVES = NUM_PLAN + 22  # above 0: some VM may be moving, forking or held back
AWAY = NUM_PLAN + 23  # above 0: some VM may borrow, or have pages on another host
QUEUED = NUM_PLAN + 24  # bytes of pages that wait for the network
POOLED = NUM_PLAN + 25  # above 0: some host has a fixed pool
NEXT_EVENT = NUM_PLAN + 26  # s, when something breaks or ends next
LENDER = NUM_PLAN + 27  # host on the network with most to lend
SECOND_LENDER = NUM_PLAN + 28
POWERED = NUM_PLAN + 29  # 1 where hosts sleep, wake and draw power; 0: they are always on
QUEUES = NUM_PLAN + 30  # 1 where VMs come during the episode and wait for a host
NUM_CLUSTER = NUM_PLAN + 31

# member (N, NUM_MEMBER): a host, as the cluster sees it. What does not change:
EXISTS = 0
PHYSICAL = 1  # bytes for guests, before anything is set aside
NIC = 2  # bytes/s each way
SITE = 3
CUT_FROM = 4  # s
CUT_UNTIL = 5  # s
FAILS_AT = 6  # s, when its memory service dies
DEVICE_WRITE = 7  # bytes/s of its swap device
CORES = 8
LOBBY = 9  # 1 where no host is, but VMs that come during the episode, until they are placed
# The state:
LENT = 10  # bytes that hold other hosts' far pages
RESERVED = 11  # bytes for VMs and clones on their way here
LEFT_HERE = 12  # bytes of VMs that run elsewhere already and are still being pushed there
POOL_TOLD = 13  # bytes to set aside for lending; NaN: lend what is free
POOL = 14  # bytes set aside for lending and not lent
SERVES = 15  # 1 while its memory service is alive
CALLING = 16  # 1 while it calls lent pages back
FAR_QUEUE = 17  # s that its VMs' far faults wait for the network, beyond the latency
FAR_WAIT = 18  # s, mean wait of a far fault; NaN before the first
WRITING = 19  # bytes/s of pages on their way home that its swap device writes
DAEMONS = 20  # moves that it takes part in
ROOM = 21  # bytes that an arriving VM may have reserved here
LENDABLE = 22  # bytes that it would lend now
RUNS = 23  # 1 where a host is and is on
DRAINS = 24  # 1 where it sleeps once it is empty: it lends nothing and calls back what it has lent
POWER_TOLD = 25  # what it is told for this interval: LEAVE, SLEEP or WAKE
WATTS = 26  # W, mean of the last tick
# What happened since the last orders:
IDLE_BYTE_S = 27  # byte seconds of memory set aside that held nothing
LENT_BYTE_S = 28
CALLED_BACK = 29  # bytes that it called back
SENT = 30  # bytes on its link
RECEIVED = 31
POWER_REFUSED = 32  # orders to sleep or wake
NUM_MEMBER = 33

# guest (N, NUM_GUEST, V): a VM slot. The state:
IDENTITY = 0  # what a VM keeps when it moves; NOBODY where there is none
FAR = 1  # bytes of it that other hosts have lent
BEHIND = 2  # bytes still where it came from: post-copy, or a clone's pages at its origin
BEHIND_HOST = 3
BORROWING = 4  # 1: evicted pages go far
RECALLING = 5  # 1: far pages come home
BOOSTED_UNTIL = 6  # s
TWIN_HOST = 7  # where its clone or origin is
TWIN_SLOT = 8
IS_CLONE = 9
CLONABLE = 10
STOPS_AT = 11  # s
ARRIVING = 12  # 1: empty, and reserved
MOVE_TARGET = 13  # host; while it is pushed: where it came from
MOVE_SLOT = 14  # slot at the target
MOVE_RESERVE = 15  # bytes reserved at the target; while it is pushed: left at the source
MOVE_SINCE = 16  # s, time of the order
STARTING = 17  # 1: ordered; the kernel begins once the passthrough device is gone
SWITCHED_OVER = 18  # 1: it runs at the target already
FORK_S = 19  # s of a fork left
DONOR = 20  # host that its present slab is at
SLAB_LEFT = 21  # bytes of it not used
SEEN_SWAPPED = 22  # bytes swapped before this tick
SEEN_READ = 23  # bytes, the outcome's READ before this tick
EVICTED = 24  # bytes evicted in the last tick
FAR_BASE = 25  # s, latency of a far fault on an idle network, mean over its donors
SIZE = 26  # bytes that a target must reserve for it
CLONE_SIZE = 27  # bytes that a target must reserve for its clone
ARRIVES_AT = 28  # s, when a VM of a lobby asks for a host
WAITING = 29  # 1: it has come, and has no host yet
ARRIVED_AT = 30  # s, when it came; 0: it was there from the beginning
DUE_SHARES = 31  # its weight, before it comes
# What happened since the last orders; it goes with the VM:
DOWN_S = 32  # s paused by a move or a fork
HELD_S = 33  # s of running time lost to moves: DOWN_S, slowdown and throttling
MOVE_BYTES = 34  # on the wire
FAR_BYTES = 35  # on the wire: evictions, faults, pages on their way home
CLONE_BYTES = 36  # on the wire: a clone's faults
PULLED = 37  # bytes that came home to the swap device because their donor or an order said so
BEGUN = 38  # moves
FINISHED = 39
CANCELLED = 40  # by order, or because the VM ended
FAILED = 41  # given up by themselves
CLONED = 42
MERGED = 43
REFUSED = 44  # orders that could not be carried out
LOST_BYTES = 45  # of far pages whose donor died
STOPPED = 46  # 1: the VM ended
WAITED_S = 47  # s without a host
PLACED = 48  # 1: it got one
NUM_GUEST = 49

# slot (N, V, FAR_AT + H): first NUM_STATE columns that are the migration kernel's state
DIRTY_FORM = NUM_STATE  # first of NUM_GROUPS x NUM_DIRTY: SIZE as part of the resident working set
FAR_AT = DIRTY_FORM + NUM_GROUPS * NUM_DIRTY  # first of H: bytes that each host has lent

# pages (C, NUM_PAGES, H, H): from one host to another
QUEUE = 0  # bytes that wait
CARRIED = 1  # bytes/s that the network took in the last tick
REACH = 2  # bytes/s that pages could have: what nobody else uses, or their fair share
LATENCY = 3  # s of a request on an idle network
NUM_PAGES = 4

# link (C, NUM_LINK, 2 H + 2): out of each host, into each, between sites up and down
LINK_CAPACITY = 0  # bytes/s
LINK_USED = 1  # bytes/s
LINK_FLOWS = 2
LINK_FAIR = 3  # bytes/s: what max-min grants at least to a flow that is there
LINK_FAIR_NEW = 4  # the same for one more flow
LINK_SPARE = 5  # scratch
NUM_LINK = 6

# order (C, NUM_ORDER, H, V)
ORDER_VERB = 0
ORDER_TARGET = 1
NUM_ORDER = 2
