"""The controller in act mode on real guests: under a heuristic and under the shipped policy."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from gymbal_envs.guests.reports import GuestReports
from gymbal_runtime.adapters.combined import CombinedHost
from gymbal_runtime.adapters.qmp import QmpHypervisor
from gymbal_runtime.assembly import make_safeguard
from gymbal_runtime.bundle import read_bundle
from gymbal_runtime.controller import Controller
from gymbal_runtime.decision import DecisionLog
from gymbal_runtime.heuristics import make_heuristic
from gymbal_runtime.settings import GuardSettings

MIB = 2.0**20
BUDGET = 256 * MIB
FLOOR = 76 * MIB
INTERVAL_S = 2.0
POLICY = Path(__file__).parents[3] / "policies" / "balloon.gymbal"


class Pair:
    """Two guests on one undersized budget, and the controller that divides it."""

    def __init__(self, rig, eventually, name, agent, fallback):
        self.folder = rig.folder / name
        self.folder.mkdir()
        outer, rig.folder = rig.folder, self.folder
        self.guests = {guest: rig.restored(guest) for guest in ("busy", "calm")}
        rig.folder = outer
        agents = {guest: self.guests[guest].agent for guest in self.guests}
        reserved = 38 * MIB
        self.host = CombinedHost(
            QmpHypervisor(self.folder, floors=dict.fromkeys(agents, FLOOR), timeout_s=3.0),
            [GuestReports(agents, reserved)],
            name=name,
            budget_bytes=BUDGET,
        )
        log = DecisionLog(self.folder / "decisions.jsonl")
        self.controller = Controller(
            self.host,
            agent,
            fallback,
            mode="act",
            safeguard=make_safeguard(GuardSettings()),
            deadline_s=5.0,
            log=log,
        )
        half = int(BUDGET / 2 - MIB)
        for guest in self.guests.values():
            guest.control.execute("balloon", {"value": half})
        eventually(lambda: max(self.held().values()) <= half)
        self.guests["busy"].agent.work(110 * MIB, 2000.0, 2.5)
        self.guests["calm"].agent.work(8 * MIB, 500.0)

    def held(self):
        return {
            name: guest.control.execute("query-balloon")["actual"]
            for name, guest in self.guests.items()
        }


@pytest.fixture
def pair(rig, eventually):
    made = []

    def make(name, agent, fallback):
        made.append(Pair(rig, eventually, name, agent, fallback))
        return made[-1]

    yield make
    for one in made:
        one.host.close()


def test_memory_goes_where_it_is_needed_and_nobody_is_hurt(pair):
    bundle = read_bundle(POLICY)
    pairs = [
        pair("heuristic", None, make_heuristic("meb")),
        pair("policy", bundle.agent(checked=True), bundle.fallback()),
    ]
    sources = []
    for _ in range(14):
        began_s = time.monotonic()
        for one in pairs:
            decision = one.controller.step()
            sources.append((one.host.name, decision.source, decision.reason))
            # Rates take two samples, and on a busy machine a guest may be late with one.
            assert all("MissingTelemetryError" in error for error in decision.errors)
            assert sum(one.held().values()) <= BUDGET
            told = [size for size in decision.targets.values() if size is not None]
            assert all(size >= FLOOR for size in told)
        time.sleep(max(0.0, began_s + INTERVAL_S - time.monotonic()))
    for one in pairs:
        held = one.held()
        assert held["busy"] > held["calm"] + 20 * MIB, (one.host.name, held, sources)
        reports = [guest.agent.report() for guest in one.guests.values()]
        assert [report.oom_kills for report in reports] == [0, 0]
    assert ("policy", "policy", "") in sources
    assert ("heuristic", "fallback", "no_policy") in sources


def test_a_guest_that_hangs_or_leaves_does_not_stop_the_others(pair, eventually):
    one = pair("trouble", None, make_heuristic("proportional"))
    controller, calm = one.controller, one.guests["calm"]
    eventually(lambda: controller.step().applied, poll_s=1.0)
    os.kill(calm.process.pid, signal.SIGSTOP)
    try:
        decision = controller.step()
        assert "cannot read the memory of calm" in " ".join(decision.errors)
        assert decision.telemetry["num_vms"] == 1
        # what the silent guest holds is not given to the other
        assert decision.telemetry["budget_bytes"] < BUDGET - FLOOR + MIB
    finally:
        os.kill(calm.process.pid, signal.SIGCONT)
    eventually(lambda: controller.step().telemetry["num_vms"] == 2, poll_s=0.5)
    calm.agent.power_off()
    calm.process.wait(60)

    def grows_into_what_was_left():
        decision = controller.step()
        alone = decision.telemetry["num_vms"] == 1 and decision.source == "fallback"
        return alone and one.guests["busy"].control.execute("query-balloon")["actual"] > 180 * MIB

    eventually(grows_into_what_was_left, poll_s=1.0)
    assert np.isfinite(one.guests["busy"].agent.report().touched)
