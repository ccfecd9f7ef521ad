"""One way to compile kernels, with a cache that notices when an imported kernel changed.

numba keys its on-disk cache by the file of the cached function alone: after an edit of a helper in
another file it would silently run the old machine code. So kernels of this package are cached in a
folder whose name is the hash of all sources of the package and the numba version.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import config

F = TypeVar("F", bound=Callable[..., Any])


def _cache_dir() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return str(Path(root) / "gymbal" / f"kernels-{digest.hexdigest()[:16]}")


_CACHE_DIR = _cache_dir()


def kernel(function: F) -> F:
    """Compile without the GIL, without fast-math (bit-exact everywhere), cached on disk.

    ``error_model="numpy"`` spares a zero check per division; kernels guard their divisors.
    """
    users_choice = config.CACHE_DIR
    if not users_choice:
        config.CACHE_DIR = _CACHE_DIR
    try:
        compiled = numba.njit(cache=True, nogil=True, fastmath=False, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = users_choice
    return compiled  # type: ignore[no-any-return]
