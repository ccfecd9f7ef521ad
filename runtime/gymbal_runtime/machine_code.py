"""One way to compile kernels, where a compiler is installed; elsewhere they stay plain Python.

The thin runtime has no numba: there a kernel is the function as it is written, with the same
answers to the last bit, only slower. Kernels therefore keep to what both do alike: loops over
arrays, and operations that IEEE 754 rounds correctly (`math.sqrt`, not a power of 0.5).

numba keys its on-disk cache by the file of the cached function alone: after an edit of a helper in
another file it would silently run the old machine code. So kernels are cached in a folder whose
name is the hash of the numba version and of all our sources that their own file imports, directly
or not. Editing one file recompiles what depends on it and nothing else.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])

# What kernels take: tables of a fixed layout, or views of them.
Floats = NDArray[np.float64]
Demand = NDArray[np.float32]
Ints = NDArray[np.int64]
Streams = NDArray[np.uint64]


def kernel(function: F) -> F:
    """Compile without the GIL, without fast-math (bit-exact everywhere), cached on disk.

    ``error_model="numpy"`` spares a zero check per division; kernels guard their divisors.
    """
    return _compile(function, allocates=True)


def lean_kernel(function: F) -> F:
    """The same for what only works on the tables it is given, and allocates nothing.

    Others count references to every argument and view of one, atomically: a fifth of a tick. One
    that allocates all the same does not compile.
    """
    return _compile(function, allocates=False)


@cache
def _numba() -> Any:
    """The compiler, None where it is not installed.

    Imported by name: `gymbal_runtime` must not depend on it.
    """
    try:
        return importlib.import_module("numba")
    except ImportError:
        return None


def _compile(function: F, allocates: bool) -> F:
    numba = _numba()
    if numba is None:
        return function
    # numba sets its options as attributes of a module, unseen by type checkers.
    settings: Any = importlib.import_module("numba.core.config")
    users_choice = settings.CACHE_DIR
    if not users_choice:
        settings.CACHE_DIR = _cache_dir(Path(function.__code__.co_filename))
    try:
        options: dict[str, Any] = {"_nrt": allocates}  # numba's runtime: it allocates and counts
        compiled = numba.njit(
            cache=True, nogil=True, fastmath=False, error_model="numpy", **options
        )(function)
    finally:
        settings.CACHE_DIR = users_choice
    return cast(F, compiled)


_NAMES = r"(\((?:[^#)]|#.*\n)*\)|.*)"  # in parentheses over several lines, or the rest of the line
_IMPORT = re.compile(rf"^from (gymbal_\w+)([.\w]*) import {_NAMES}", re.MULTILINE)


@cache
def _folder(package: str) -> Path:
    """Where one of our packages lies; who asks has been imported, and so has it."""
    return Path(importlib.import_module(package).__path__[0])


@cache
def _imported(source: Path) -> frozenset[Path]:
    """Files of our packages that a file imports at its top level."""
    found = set()
    for package, below, names in _IMPORT.findall(source.read_text()):
        folder = _folder(package).joinpath(*below.split(".")[1:])
        if folder.is_dir():
            # Words of comments and aliases may pass for files: one too many does no harm.
            found |= {folder / f"{name}.py" for name in re.findall(r"\w+", names)}
        else:
            found.add(folder.with_suffix(".py"))
    return frozenset(file for file in found if file.is_file())


@cache
def _cache_dir(source: Path) -> str:
    """Where kernels of a file are cached."""
    known, new = {Path(__file__)}, {source}
    while new:
        known |= new
        new = {file for known_file in new for file in _imported(known_file)} - known
    digest = hashlib.sha256(_numba().__version__.encode())
    for file in sorted(known):
        digest.update(file.read_bytes())
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return str(Path(root) / "gymbal" / f"kernels-{digest.hexdigest()[:16]}")
