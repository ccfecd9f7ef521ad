"""Numbers in JSON, which knows neither NaN nor infinity."""

from __future__ import annotations

import math
from typing import Literal

INFINITE: Literal["inf"] = "inf"
"""Stands for infinity; ``float`` reads it."""

JsonNumber = float | Literal["inf"]


def json_number(value: float) -> JsonNumber | None:
    """A number as JSON says it: NaN is null, infinity is `INFINITE`."""
    if math.isnan(value):
        return None
    return INFINITE if value == math.inf else float(value)
