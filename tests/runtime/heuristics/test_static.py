from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.heuristics.static import Static


def test_shares_within_bounds(one_host) -> None:
    # 1000 MiB by 1:1:2 is 250, 250, 500; the third may hold 400, so the others get 300 each.
    record = one_host(1000, [100, 100, 100], max_mib=[900, 900, 400], shares=[500, 500, 1000])
    told = Static().act(record).balloon_bytes / 2**20
    np.testing.assert_allclose(told, [[300, 300, 400]])


def test_exponent_zero_is_an_equal_split(one_host) -> None:
    record = one_host(900, [100, 100, 100], shares=[500, 500, 1000])
    told = Static(share_exponent=0.0).act(record).balloon_bytes / 2**20
    np.testing.assert_allclose(told, [[300, 300, 300]])


def test_bad_parameter() -> None:
    with pytest.raises(ValueError, match="share_exponent must lie in"):
        Static(share_exponent=-1.0)
