"""The cache of kernels: whatever a kernel's file imports counts, however the import is written."""

import ast
from pathlib import Path

import pytest

from gymbal_envs.simulator import engine
from gymbal_runtime import machine_code as compiling

PACKAGE = "gymbal_envs.simulator"
FOLDER = Path(engine.__file__).parent
RULES = Path(compiling.__file__).parent / "centre"
SPELLINGS = {
    f"from {PACKAGE}.memory import miss_ratio\n": {"memory.py"},
    f"from {PACKAGE}.memory import (\n    fault,\n    miss_ratio,\n)\n": {"memory.py"},
    f"from {PACKAGE} import layout as at, memory\n": {"layout.py", "memory.py"},
    f"from {PACKAGE} import (  # both (!)\n    layout as at,  # why\n    memory,\n)\n": {
        "layout.py", "memory.py"
    },
    f"from {PACKAGE}.cluster import (\n    books,\n    slots,\n)  # fmt: skip\n": {
        "books.py", "slots.py"
    },
    "from gymbal_runtime.cluster.orders import BORROW\n": {"orders.py"},
    f"import math\n\nfrom numpy import (\n    memory,\n)\nx = '{PACKAGE} import memory'\n": set(),
}  # fmt: skip


@pytest.mark.parametrize("text", SPELLINGS)
def test_every_spelling_of_an_import_counts(tmp_path, text):
    source = tmp_path / "kernels.py"
    source.write_text(f'"""Kernels."""\n\n{text}\n\nCONSTANT = (1, 2)\n')
    assert {file.name for file in compiling._imported(source)} == SPELLINGS[text]


def parsed(source):
    """Files of our packages that a file imports, as Python itself reads it."""
    for line in ast.parse(source.read_text()).body:
        if isinstance(line, ast.ImportFrom) and (line.module or "").startswith("gymbal_"):
            package, *below = str(line.module).split(".")
            place = compiling._folder(package).joinpath(*below)
            names = [f"{place.name}/{alias.name}.py" for alias in line.names]
            files = [place.parent / name for name in names] if place.is_dir() else []
            yield from (file for file in [*files, place.with_suffix(".py")] if file.is_file())


def test_no_import_of_our_own_kernels_is_missed():
    for source in (*FOLDER.rglob("*.py"), *RULES.rglob("*.py")):
        assert compiling._imported(source) >= set(parsed(source)), source
