"""The resctrl without a kernel answers as a real kernel did."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_resctrl import FakeResctrl
from resctrl_transcript import Replay, read_transcript


class Recorded(FakeResctrl):
    def spawn(self) -> int:
        self.processes[7001] = {7001}
        return 7001


@pytest.fixture
def transcript(fixtures: Path) -> list:
    return read_transcript(fixtures / "resctrl_transcript.json")


def test_every_answer_is_that_of_the_real_kernel(transcript: list) -> None:
    replay = Replay(Recorded(), whole_status=True)
    assert replay.run(transcript) == []
    assert replay.calls == 69


def test_a_replay_notices_what_differs(transcript: list) -> None:
    assert len(Replay(Recorded(min_bits=1), whole_status=True).run(transcript)) > 1
    assert len(Replay(Recorded(closids=5), whole_status=True).run(transcript)) > 1
