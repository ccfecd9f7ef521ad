from __future__ import annotations

import numpy as np

from gymbal_runtime.heuristics.proxmox import Proxmox

MIB = 2.0**20


def _told(record, **options: float) -> np.ndarray:
    return Proxmox(**options).act(record).balloon_bytes[0] / MIB


def test_a_hundred_mib_a_round_and_pressure_first(one_host) -> None:
    # Goal .8 * 2000 - 1200 = 400. The first has 50 usable <= .25 * 400: pressed, gets 100 of the
    # 400 it is entitled to. The second is comfortable and waits.
    record = one_host(2000, [600, 600], used_mib=[550, 200], min_mib=400, max_mib=1800)
    np.testing.assert_allclose(_told(record), [700, 600])


def test_all_grow_where_nobody_is_pressed(one_host) -> None:
    # No guest is pressed, so there is no progress without considering all.
    record = one_host(2000, [600, 600], used_mib=[200, 200], min_mib=400, max_mib=1800)
    np.testing.assert_allclose(_told(record), [700, 700])


def test_comfortable_guests_shrink_first(one_host) -> None:
    # Goal 1600 - 1800 = -200: only the second is comfortable and loses 100.
    record = one_host(2000, [900, 900], used_mib=[850, 200], min_mib=400, max_mib=1800)
    np.testing.assert_allclose(_told(record), [900, 800])


def test_shares_split_what_is_above_the_floors(one_host) -> None:
    # Goal 1600 - 1540 = 60; above the floors lie 1540 - 2 * 400 = 740, with the goal 800, by 1:3
    # 200 and 600: targets 600 and 1000, from 570 and 970 both within 100.
    record = one_host(
        2000, [570, 970], used_mib=[560, 960], min_mib=400, max_mib=1800, shares=[500, 1500]
    )
    np.testing.assert_allclose(_told(record), [600, 1000])


def test_small_goals_are_ignored(one_host) -> None:
    record = one_host(2000, [600, 992], used_mib=[590, 990], min_mib=400, max_mib=1800)
    np.testing.assert_allclose(_told(record), [600, 992])


def test_shrinking_leaves_alone_who_holds_less_than_his_part(one_host) -> None:
    # Goal 800 - 900 = -100. Above floors 100 and 600, less the goal 600, by halves 300: the first
    # holds less and keeps its 100, so the second goes to 500 above its floor.
    record = one_host(1000, [200, 700], used_mib=[0, 0], min_mib=100, max_mib=1800)
    np.testing.assert_allclose(_told(record), [200, 600])
