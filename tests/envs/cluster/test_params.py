"""Constants of clusters: refused by name where they make no sense, read in the right order."""

import numpy as np
import pytest

from gymbal_envs.simulator.cluster import layout as at
from gymbal_envs.simulator.cluster.params import ClusterParams


@pytest.mark.parametrize(
    "changes",
    [
        {"slab_bytes": 0.0},
        {"low_free_frac": 0.5},
        {"high_free_frac": 1.0},
        {"write_share": 1.5},
        {"home_bytes_s": -1.0},
        {"daemon_cores": np.nan},
    ],
)
def test_constants_that_make_no_sense_are_named(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        ClusterParams(**changes)


def test_kernels_read_what_is_written():
    rows = ClusterParams(slab_bytes=1.0, slowdown=0.2, squeeze_s=7.0).constants()
    assert rows.shape == (at.NUM_RULES,)
    assert rows[0] == 1.0
    assert rows[at.K_SLOWDOWN - at.K_SLAB] == 0.2
    assert rows[at.K_SQUEEZE - at.K_SLAB] == 7.0
