import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gymbal_envs.simulator.cluster import sites_layout as at
from gymbal_envs.simulator.cluster.sites_disk import (
    commit_speed,
    disk_left,
    replicated_share,
    send_disk,
    write_behind,
)

DISK, HOT = 1e9, 1e8


def tables(new=0.0, again=0.0):
    fixed, vm = np.zeros((at.NUM_WORLD_VM, 1)), np.zeros((at.NUM_VM, 1))
    fixed[at.DISK], fixed[at.WRITE_SET] = DISK, HOT
    vm[at.DISK_NEW], vm[at.DISK_AGAIN] = new, again
    return fixed, vm


def test_writes_to_blocks_that_were_never_copied_add_nothing():
    fixed, vm = tables(new=DISK)
    write_behind(fixed, vm, 0, 5e8)
    assert disk_left(vm, 0) == DISK


def test_few_writes_count_in_full_and_many_saturate():
    fixed, vm = tables()
    write_behind(fixed, vm, 0, 1e5)
    assert vm[at.DISK_AGAIN, 0] == pytest.approx(1e5, rel=1e-3)
    write_behind(fixed, vm, 0, 100 * HOT)
    assert vm[at.DISK_AGAIN, 0] == pytest.approx(HOT)


@given(st.floats(0, 1e9), st.integers(1, 20))
def test_writing_in_pieces_is_writing_at_once(written, pieces):
    fixed, once = tables()
    _, often = tables()
    write_behind(fixed, once, 0, written)
    for _ in range(pieces):
        write_behind(fixed, often, 0, written / pieces)
    assert often[at.DISK_AGAIN, 0] == pytest.approx(once[at.DISK_AGAIN, 0], rel=1e-9, abs=1e-3)


@given(st.floats(0, 1e9), st.floats(0, 1e8), st.floats(0, 2e9))
def test_new_blocks_go_first_and_no_byte_is_lost(new, again, content):
    _, vm = tables(new, again)
    sent = send_disk(vm, 0, content)
    assert sent == pytest.approx(min(content, new + again))
    assert disk_left(vm, 0) == pytest.approx(new + again - sent, abs=1e-6)
    assert vm[at.DISK_NEW, 0] == 0.0 or vm[at.DISK_AGAIN, 0] == again


def test_commits_wait_for_the_other_site():
    fixed, _ = tables()
    fixed[at.COMMITS] = 50.0
    assert commit_speed(fixed, 0, 1.0, 0.02) == pytest.approx(0.5)
    assert commit_speed(fixed, 0, 0.0, 0.02) == 1.0
    assert commit_speed(fixed, 0, 1.0, 0.04) < commit_speed(fixed, 0, 0.5, 0.04) < 1.0


def test_what_is_left_gets_its_part_of_the_line_but_no_more_than_it_needs():
    assert replicated_share(5.0, 20.0, 0.0, 1.0, 0.5) == 5.0
    assert replicated_share(50.0, 20.0, 0.0, 1.0, 0.5) == 20.0
    assert replicated_share(50.0, 20.0, 1e9, 1.0, 0.5) == 10.0
    assert replicated_share(50.0, 20.0, 3.0, 1.0, 0.5) == 17.0
