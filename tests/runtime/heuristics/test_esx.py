from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.heuristics.esx import Esx

MIB = 2.0**20


@pytest.mark.parametrize(("tax", "expected"), [(0.0, [180, 180]), (0.75, [83, 277])])
def test_idle_tax_of_the_paper(one_host, tax: float, expected: list[float]) -> None:
    # 360 MiB, equal shares, 5 % and 95 % active. tau = 0: k = 1, both weigh 1. tau = .75: k = 4,
    # weights 1 / (.05 + 4 * .95) = .2597 and 1 / (.95 + 4 * .05) = .8696, 360 * .2300 = 82.8.
    record = one_host(360, [180, 180], active_bytes=np.array([0.05, 0.95]) * 180 * MIB)
    told = Esx(idle_tax=tax, max_balloon_frac=1.0).act(record).balloon_bytes / MIB
    np.testing.assert_allclose(told, [expected], rtol=0.02)


def test_shares_decide_between_equally_active_vms(one_host) -> None:
    record = one_host(300, [150, 150], active_bytes=[75 * MIB] * 2, shares=[1000, 2000])
    np.testing.assert_allclose(Esx().act(record).balloon_bytes / MIB, [[100, 200]])


def test_without_pressure_nobody_loses(one_host) -> None:
    # 10 % is free: state high. The idle VM keeps its 500 although it is entitled to less, and the
    # busy one gets all that is free (its entitlement is 770 of 1000).
    record = one_host(1000, [500, 400], active_bytes=[25 * MIB, 380 * MIB])
    np.testing.assert_allclose(Esx().act(record).balloon_bytes / MIB, [[500, 500]])


def test_reclaim_has_hysteresis(one_host) -> None:
    def told(agent: Esx, held: list[float], time_s: float) -> np.ndarray:
        record = one_host(1000, held, active_bytes=np.array([0.05, 0.95]) * held * MIB)
        moved = agent.act(one_host_at(record, time_s)).balloon_bytes
        return moved[0] / MIB

    def one_host_at(record, time_s: float):
        record.time_s[:] = time_s
        return record

    agent = Esx()
    # 5 % free from the start: above soft (4 %), so state high, no reclaim.
    assert told(agent, [500, 450], 0.0)[0] == pytest.approx(500)
    # 3 % free: soft, the idle VM is ballooned.
    assert told(agent, [500, 470], 15.0)[0] < 400
    # 5 % free again: still soft, high needs 6 %.
    assert told(agent, [500, 450], 30.0)[0] < 400
    assert told(agent, [500, 435], 45.0)[0] == pytest.approx(500)


def test_balloon_has_its_limit_until_the_host_pages(one_host) -> None:
    def told(held: list[float]) -> float:
        active = np.array([0.0, 1.0]) * held * MIB
        record = one_host(1000, held, max_mib=[800, 1000], active_bytes=active)
        return float(Esx().act(record).balloon_bytes[0, 0] / MIB)

    # Entitled to 1000 * .25 / 1.25 = 200 MiB; a balloon may take 65 % of 800, which leaves 280.
    assert told([470, 500]) == pytest.approx(280)  # 3 % free: soft
    assert told([485, 500]) == pytest.approx(200)  # 1.5 % free: hard


def test_acts_every_fifteen_seconds(one_host) -> None:
    agent = Esx()
    first = agent.act(one_host(360, [180, 180], active_bytes=[0.0, 180 * MIB]))
    swapped = one_host(360, [180, 180], active_bytes=[180 * MIB, 0.0], time_s=10.0)
    np.testing.assert_array_equal(agent.act(swapped).balloon_bytes, first.balloon_bytes)
    swapped.time_s[:] = 15.0
    np.testing.assert_allclose(agent.act(swapped).balloon_bytes, first.balloon_bytes[:, ::-1])
