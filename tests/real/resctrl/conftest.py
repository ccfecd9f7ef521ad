"""A guest with a real resctrl, booted once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gymbal_envs.guests.agent import Agent
from gymbal_envs.guests.image import MissingRequirementError
from gymbal_envs.guests.resctrl_guest import boot_resctrl

HERE = Path(__file__).parent
TESTS = HERE.parents[1]
TRANSCRIPT = TESTS / "runtime/fixtures/resctrl_transcript.json"


@pytest.fixture(scope="session")
def transcript_path() -> Path:
    return TRANSCRIPT


@pytest.fixture(scope="session")
def kernel() -> Iterator[Agent]:
    """The program in the guest; see `guest_driver`."""
    folder = Path(tempfile.mkdtemp(prefix="gymbal-"))
    path = [TESTS / "runtime/adapters", TESTS.parent / "runtime"]
    try:
        machine = boot_resctrl(folder, HERE / "guest_driver.py", path=path, data=[TRANSCRIPT])
    except MissingRequirementError as missing:
        pytest.skip(f"no real resctrl: {missing}")
    try:
        yield machine.agent
    finally:
        machine.close()
        shutil.rmtree(folder, ignore_errors=True)
