from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.heuristics.proportional import Proportional


def test_in_proportion_to_use(one_host) -> None:
    # 200 and 600 MiB used, 1000 to divide: 250 and 750.
    record = one_host(1000, [500, 700], used_mib=[200, 600])
    np.testing.assert_allclose(Proportional().act(record).balloon_bytes / 2**20, [[250, 750]])


def test_in_proportion_to_activity(one_host) -> None:
    record = one_host(1000, [500, 700], used_mib=[200, 600], active_bytes=[30.0, 10.0])
    told = Proportional(estimate="active").act(record).balloon_bytes / 2**20
    np.testing.assert_allclose(told, [[750, 250]])


def test_swap_and_base_count_on_request(one_host) -> None:
    # Needs 200 + 0.1 * 1000 = 300 and 600 + 0.1 * 1000 + 200 = 900 MiB.
    swapped = [0.0, 200 * 2.0**20]
    record = one_host(600, [500, 700], used_mib=[200, 600], max_mib=1000, swap_used_bytes=swapped)
    told = Proportional(swap_weight=1.0, base_frac=0.1).act(record).balloon_bytes / 2**20
    np.testing.assert_allclose(told, [[150, 450]])


def test_what_was_not_measured_is_needed(one_host) -> None:
    record = one_host(1000, [500, 700], usable_bytes=[300 * 2.0**20, np.nan])
    told = Proportional().act(record).balloon_bytes / 2**20
    np.testing.assert_allclose(told, [[1000 * 2 / 9, 1000 * 7 / 9]])


def test_unknown_estimate() -> None:
    with pytest.raises(ValueError, match="there are used, active"):
        Proportional(estimate="guess")  # type: ignore[arg-type]
