"""The mean-field passes against simulations that move every page."""

from dataclasses import replace

import numpy as np
import pytest

from gymbal_envs.simulator.cluster.migration_prediction import DirtyGroup, predict_migration
from gymbal_envs.simulator.cluster.migration_rules import RULES

PAGE = 4096
PAGES, FIRST_HOT = 33_000, 8_000


class Writer:
    """Writes pages of a range at a rate, at random or one after the other."""

    def __init__(self, pages, rate, sweep):
        self.pages, self.rate, self.sweep = pages, rate, sweep
        self.rng, self.next = np.random.default_rng(5), 0.0

    def write(self, seconds):
        """Numbers of the pages written meanwhile."""
        before, self.next = self.next, self.next + self.rate * seconds
        numbers = np.arange(int(before), int(self.next)) % self.pages
        if not self.sweep:
            numbers = self.rng.integers(0, self.pages, len(numbers))
        return FIRST_HOT + numbers


def move_pages_as_qemu(writer, rate, downtime_s, until_s):
    """QEMU: bursts every 0.1 s from a cyclic scan, and a log that it seldom fetches."""
    dirty, log = np.ones(PAGES, bool), np.zeros(PAGES, bool)
    budget, limit = int(rate * 0.1 / PAGE), rate * downtime_s / PAGE
    windows = scan = sent = syncs = 0
    while windows * 0.1 < until_s:
        if dirty.sum() <= limit:
            dirty |= log
            log[:] = False
            syncs += 1
            if dirty.sum() <= limit:
                return windows * 0.1, (sent + dirty.sum()) * PAGE, syncs, True
        turn = (np.flatnonzero(np.roll(dirty, -scan))[:budget] + scan) % PAGES
        dirty[turn] = False
        sent, scan = sent + len(turn), (turn[-1] + 1) % PAGES
        log[writer.write(0.1)] = True
        windows += 1
    return until_s, sent * PAGE, syncs, False


def move_pages_as_xen(writer, rate, passes):
    """Xen: passes over what the log held at their beginning; what was written again is skipped."""
    to_send, written = np.ones(PAGES, bool), np.zeros(PAGES, bool)
    order = np.random.default_rng(6).permutation(PAGES)
    sizes = []
    for _ in range(passes):
        sent = 0
        for page in order[to_send[order]]:
            if not written[page]:
                sent += 1
                written[writer.write(PAGE / rate)] = True
        sizes.append(sent * PAGE)
        to_send, written = written, np.zeros(PAGES, bool)
    return sizes


@pytest.mark.parametrize("sweep", [False, True])
@pytest.mark.parametrize(
    ("pages", "pages_s"), [(16384, 2000), (16384, 6000), (16384, 8000), (4096, 3000), (1024, 20000)]
)
def test_qemu_moves_as_many_pages_as_the_kernel_says(pages, pages_s, sweep):
    rate = 32 * 2**20
    rule = replace(
        RULES["qemu"], rate_start_bytes_s=rate, rate_max_bytes_s=rate, overhead=1.0, resume_s=0.0,
        line_rate_bytes_s=1e12,
    )  # fmt: skip
    took_s, sent, syncs, ended = move_pages_as_qemu(Writer(pages, pages_s, sweep), rate, 0.3, 120)
    group = DirtyGroup(pages * PAGE, pages / pages_s, sweep)
    found = predict_migration(PAGES * PAGE, [group], rule, 1e12, until_s=120)
    assert ended == found.converged
    assert found.total_s == pytest.approx(took_s, rel=0.1)
    assert found.sent_bytes == pytest.approx(sent, rel=0.1)
    assert found.rounds == pytest.approx(syncs, rel=0.15, abs=2)


def test_qemu_does_not_end_when_a_small_range_is_swept_too_fast():
    rate = 32 * 2**20
    rule = replace(RULES["qemu"], rate_start_bytes_s=rate, rate_max_bytes_s=rate, overhead=1.0)
    group = DirtyGroup(4096 * PAGE, 4096 / 12000, sweep=True)
    assert not move_pages_as_qemu(Writer(4096, 12000, True), rate, 0.3, 60)[3]
    assert not predict_migration(PAGES * PAGE, [group], rule, 1e12, until_s=60).converged


@pytest.mark.parametrize(
    ("pages", "pages_s", "sweep"), [(2048, 3000, False), (16384, 2000, False), (8192, 4000, True)]
)
def test_xen_skips_as_many_pages_as_the_kernel_says(pages, pages_s, sweep):
    rate, passes = 16 * 2**20, 4
    rule = replace(
        RULES["xen_legacy"], rate_start_bytes_s=rate, rate_max_bytes_s=rate, max_rounds=passes
    )
    sizes = move_pages_as_xen(Writer(pages, pages_s, sweep), rate, passes)
    group = DirtyGroup(pages * PAGE, pages / pages_s, sweep)
    found = predict_migration(PAGES * PAGE, [group], rule, 1e12)
    assert found.round_bytes[:passes] == pytest.approx(sizes, rel=0.08, abs=40 * PAGE)
    assert sizes[0] < PAGES * PAGE * 0.98  # something was skipped
