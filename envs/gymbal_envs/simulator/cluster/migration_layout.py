"""Where each quantity of a move lives: one row of constants and one of state per VM slot.

Bytes, seconds, bytes/s. A row of ``dirty`` is a dirty group: pages that are written alike.
"""

from __future__ import annotations

# dirty (NUM_GROUPS, NUM_DIRTY)
NUM_GROUPS = 3
SIZE = 0  # bytes; 0: no such group
TAU = 1  # s, see KIND
KIND = 2
NUM_DIRTY = 3
RANDOM = 0  # every page is written with hazard 1 / tau: size (1 - exp(-t / tau)) dirty after t
SWEEP = 1  # pages are written one after the other, all of them in tau: size min(1, t / tau)

# plan (NUM_PLAN,): how to move, constant during a move
METHOD = 0
RULE = 1
RATE_START = 2  # bytes/s, own limit in the first pass
RATE_MAX = 3  # bytes/s, own limit at most
RATE_STEP = 4  # bytes/s above the dirty rate that rules CLARK2005 and XEN2005 ask for
DOWNTIME_LIMIT = 5  # s, QEMU: stop when what is pending takes no longer
MAX_ROUNDS = 6  # passes before the last copy; inf: no limit
STOP_BYTES = 7  # stop when less is to send (XEN2005 and XEN_LEGACY: was, in the last pass)
SKIP = 8  # 1: a page that was written again in this pass is left to the next one
AUTO_CONVERGE = 9  # 1: slow the VM down while it writes too fast
LINE_RATE = 10  # bytes/s, own limit of the last copy and of the post-copy push
RESUME_S = 11  # s, fixed part of the downtime
OVERHEAD = 12  # bytes on the wire per byte of memory
SETUP_S = 13  # s before the first byte
CANCEL_AFTER_S = 14  # s without any bandwidth after which the move gives up; inf: never
POSTCOPY_AFTER_S = 15  # s after the start, method HYBRID
CHECK_S = 16  # s between two looks at what is left; 0: passes end on the spot
NUM_PLAN = 17

# METHOD
PRECOPY = 0
POSTCOPY = 1
STOP_AND_COPY = 2
HYBRID = 3  # pre-copy, then post-copy after POSTCOPY_AFTER_S

# RULE: who decides when the VM is paused, and how fast pages are sent
CLARK2005 = 0
XEN2005 = 1
XEN_LEGACY = 2
XEN_MODERN = 3
QEMU = 4
VMOTION = 5
UNTIL_TOLD = 6

# state (NUM_STATE,): NUM_STATE zeros are an idle slot
PHASE = 0
ROUND = 1  # passes that ended
PASS_DONE = 2  # 0..1, part of the present pass (or last copy, or push) that was gone through
ROUND_S = 3  # s since the present pass began
TOTAL_S = 4  # s since start_move
SENT = 5  # bytes on the wire
ROUND_SENT = 6  # bytes on the wire in this pass
LIMIT = 7  # bytes/s, own limit in pre-copy passes
THROTTLE = 8  # 0..0.99, part of the VM's CPU time that auto-converge takes away
DOWNTIME = 9  # s that the VM was paused, so far
PAUSED_S = 10  # s that the VM was paused in the last advance_move
LEFT = 11  # bytes to send in this pass as of its beginning: NUM_GROUPS values, one per group
LEFT_REST = 14  # the same for memory that no group covers
WRITING_S = 15  # s of the VM at full speed since the present pass began: what dirties
MEMORY = 16  # bytes of the first pass
LAST_ROUND_SENT = 17  # bytes on the wire in the pass before
RESUMED_S = 18  # s of RESUME_S that have passed
CUT_S = 19  # s without any bandwidth until now
TOLD = 20  # 1: stop now (tell_stop)
SWITCHED = 21  # 1: what is left follows by post-copy
# rows PERIOD_S to PERIOD_SENT: since auto-converge last looked
PERIOD_S = 22
PERIOD_DIRTY = 23  # bytes
PERIOD_SENT = 24  # bytes
HIGH_COUNT = 25  # times that it found too much writing
LEFT_ZERO = 26  # bytes of zero pages in this pass: nothing to send, but QEMU counts them as pending
NUM_STATE = 27

# PHASE
IDLE = 0
SETUP = 1
COPYING = 2  # pre-copy passes: the VM runs at its source
LAST_COPY = 3  # the VM is paused
PUSHING = 4  # post-copy: the VM runs at its target
DONE = 5
CANCELLED = 6

PAGE = 4096.0  # bytes
