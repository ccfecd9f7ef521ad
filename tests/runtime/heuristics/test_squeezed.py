from __future__ import annotations

import numpy as np

from gymbal_runtime.heuristics.squeezed import Squeezed

MIB = 2.0**20


def test_one_gamma_for_all(one_host) -> None:
    # Floors 100 + 200 leave 600 of 900; ranges 400 + 800 = 1200; gamma = 1/2.
    record = one_host(900, [300, 300], min_mib=[100, 200], max_mib=[500, 1000])
    np.testing.assert_allclose(Squeezed().act(record).balloon_bytes / MIB, [[300, 600]])


def test_gamma_stays_within_zero_and_one(one_host) -> None:
    roomy = one_host(9000, [300, 300], min_mib=[100, 200], max_mib=[500, 1000])
    np.testing.assert_allclose(Squeezed().act(roomy).balloon_bytes / MIB, [[500, 1000]])
    tight = one_host(300, [300, 300], min_mib=[100, 200], max_mib=[500, 1000])
    np.testing.assert_allclose(Squeezed().act(tight).balloon_bytes / MIB, [[100, 200]])


def test_a_guest_that_does_not_move_is_left_out_once(one_host) -> None:
    def told(actual: list[float], time_s: float) -> np.ndarray:
        record = one_host(900, actual, min_mib=[100, 200], max_mib=[500, 1000], time_s=time_s)
        return agent.act(record).balloon_bytes[0] / MIB

    agent = Squeezed()
    np.testing.assert_allclose(told([200, 500], 0.0), [300, 600])
    # The first has not moved from 200: it keeps it, and 700 - 200 = 500 of 800 go to the second.
    np.testing.assert_allclose(told([200, 600], 10.0), [200, 700])
    # Then it is asked again.
    np.testing.assert_allclose(told([200, 700], 20.0), [300, 600])
    # Progress, however slow, counts.
    np.testing.assert_allclose(told([210, 600], 30.0), [300, 600])
