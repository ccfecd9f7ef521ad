"""Sizes of memory as people write them."""

from __future__ import annotations

import math
import re

_UNITS = {
    "": 1,
    "B": 1,
    **{f"{letter}iB": 1024 ** (power + 1) for power, letter in enumerate("KMGTP")},
    **{f"{letter}B": 1000 ** (power + 1) for power, letter in enumerate("kMGTP")},
}


def parse_size(size: float | str) -> float:
    """Bytes of a size such as ``"1.5GiB"``, ``"500MB"`` or a plain number of bytes.

    Raises:
        ValueError: it is no such text, negative, infinite or NaN.
    """
    number, unit = 0.0, ""
    if isinstance(size, str):
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", size)
        if match is None or match[2] not in _UNITS:
            units = ", ".join(filter(None, _UNITS))
            raise ValueError(f"expected bytes or a size such as '4GiB', got {size!r} ({units})")
        number, unit = float(match[1]), match[2]
    else:
        number = float(size)
    value: float = number * _UNITS[unit]
    if not 0 <= value < math.inf:
        raise ValueError(f"a size must be zero or a positive number of bytes, got {size}")
    return value
