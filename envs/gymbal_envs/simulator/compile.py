"""One way to compile kernels, with a cache that notices when an imported kernel changed.

numba keys its on-disk cache by the file of the cached function alone: after an edit of a helper in
another file it would silently run the old machine code. So kernels of this package are cached in a
folder whose name is the hash of all sources of the package and the numba version. Those of a folder
below it, which may call them, have a cache of their own: editing one does not recompile the others.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core import config
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])

# What kernels take: the tables of `gymbal_envs.simulator.layout` or views of them.
Floats = NDArray[np.float64]
Demand = NDArray[np.float32]
Ints = NDArray[np.int64]
Streams = NDArray[np.uint64]


_HERE = Path(__file__).parent


@cache
def _cache_dir(folder: Path) -> str:
    """Where kernels of ``folder`` are cached; they call those of this package and their own."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted({*_HERE.glob("*.py"), *folder.glob("*.py")}):
        digest.update(source.read_bytes())
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return str(Path(root) / "gymbal" / f"kernels-{digest.hexdigest()[:16]}")


_settings: Any = config  # numba sets its options as module attributes, unseen by type checkers


def kernel(function: F) -> F:
    """Compile without the GIL, without fast-math (bit-exact everywhere), cached on disk.

    ``error_model="numpy"`` spares a zero check per division; kernels guard their divisors.
    """
    users_choice = _settings.CACHE_DIR
    if not users_choice:
        _settings.CACHE_DIR = _cache_dir(Path(function.__code__.co_filename).parent)
    try:
        compiled = numba.njit(cache=True, nogil=True, fastmath=False, error_model="numpy")(function)
    finally:
        _settings.CACHE_DIR = users_choice
    return cast(F, compiled)
