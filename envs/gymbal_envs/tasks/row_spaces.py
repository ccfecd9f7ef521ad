"""The observation space of whoever corrects a heuristic row by row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from gymnasium import spaces

from gymbal_runtime.signature import Bounds


def row_spaces(bounds: Mapping[str, Bounds], rows: str, whole: str, places: int) -> spaces.Dict:
    """A table of rows, the row of what they belong to, and ``present``: 1 where a row is there.

    Args:
        bounds: lower and upper bound of each feature, by table; (F,) each.
        rows: name of the table.
        whole: name of what the rows belong to.
        places: for rows.
    """
    low, high = bounds[rows]
    return spaces.Dict(
        {
            rows: spaces.Box(np.tile(low, (places, 1)), np.tile(high, (places, 1))),
            whole: spaces.Box(*bounds[whole]),
            "present": spaces.Box(0.0, 1.0, (places,)),
        }
    )
