import numpy as np
import pytest

from gymbal_runtime.centre.rules.detection import HISTORY
from gymbal_runtime.centre.rules.selection import (
    MC,
    MMT,
    MU,
    RS,
    Guests,
    explained_share,
    select_victim,
)


def make_guests(ram_mb, utilisation, history=None, samples=None):
    count = len(ram_mb)
    given = np.zeros((count, HISTORY)) if history is None else history
    return Guests(
        mips=np.full(count, 1000.0),
        vcpus=np.ones(count),
        ram_mb=np.array(ram_mb, dtype=float),
        requested_mips=1000.0 * np.array(utilisation),
        requested_ram_mb=np.zeros(count),
        utilisation=np.array(utilisation, dtype=float),
        history=given,
        samples=np.full(count, HISTORY if samples is None else samples, dtype=np.int64),
    )


def choose(selector, guests, members, streams=None):
    streams = np.array([7], dtype=np.uint64) if streams is None else streams
    matrix = np.zeros((HISTORY, HISTORY + 1))
    at = select_victim(selector, np.array(members), len(members), guests, streams, matrix)
    return members[at]


def test_mmt_takes_the_least_memory_and_the_first_of_equals():
    guests = make_guests([900, 600, 600, 500], [0.1] * 4)
    assert choose(MMT, guests, [0, 1, 2]) == 1
    assert choose(MMT, guests, [2, 1, 0]) == 2


def test_mu_takes_the_least_utilisation():
    guests = make_guests([500, 600, 700], [0.5, 0.2, 0.3])
    assert choose(MU, guests, [0, 1, 2]) == 1
    assert choose(MU, guests, [0, 2]) == 2


def test_rs_takes_each_now_and_then_and_repeats_with_its_stream():
    guests = make_guests([600] * 4, [0.1] * 4)
    streams = np.array([3], dtype=np.uint64)
    drawn = [choose(RS, guests, [0, 1, 2, 3], streams) for _ in range(400)]
    assert np.bincount(drawn, minlength=4).min() > 60
    streams = np.array([3], dtype=np.uint64)
    assert drawn[:20] == [choose(RS, guests, [0, 1, 2, 3], streams) for _ in range(20)]


def test_mc_takes_the_vm_that_the_others_explain_best():
    history = np.random.default_rng(0).random((4, HISTORY))
    history[2] = 0.5 * history[0] + 0.3 * history[1]
    history[0] += 0.2 * np.random.default_rng(1).random(HISTORY)
    guests = make_guests([600, 500, 700, 650], [0.1] * 4, history)
    assert choose(MC, guests, [3, 0, 1, 2]) == 2


def test_explained_share_agrees_with_least_squares():
    history = np.random.default_rng(2).random((5, HISTORY))
    members, matrix = np.arange(5), np.zeros((HISTORY, HISTORY + 1))
    for which in range(5):
        others = np.vstack([np.ones(20), np.delete(history[:, :20], which, axis=0)]).T
        own = history[which, :20]
        fitted = others @ np.linalg.lstsq(others, own, rcond=None)[0]
        r2 = 1 - np.sum((own - fitted) ** 2) / np.sum((own - own.mean()) ** 2)
        found = explained_share(which, members, 5, 20, history, matrix)
        assert found == pytest.approx(r2, rel=1e-9)


@pytest.mark.parametrize(("members", "samples"), [([0], HISTORY), ([0, 1, 2], 2)])
def test_mc_without_a_regression_is_mmt(members, samples):
    history = np.random.default_rng(3).random((3, HISTORY))
    guests = make_guests([600, 500, 400], [0.1] * 3, history, samples)
    assert choose(MC, guests, members) == members[-1]


def test_mc_of_a_vm_that_never_moved_is_mmt():
    history = np.random.default_rng(4).random((3, HISTORY))
    history[1] = 0.0
    guests = make_guests([600, 700, 500], [0.1] * 3, history)
    assert choose(MC, guests, [0, 1, 2]) == 2
