from __future__ import annotations

import subprocess
import sys
from dataclasses import fields

import pytest

from gymbal_runtime.agent import Agent
from gymbal_runtime.heuristics import HEURISTICS, make_heuristic

NAMES = ["static", "proportional", "esx", "mom", "proxmox", "qmemman", "squeezed", "senpai", "meb"]


def test_names() -> None:
    assert list(HEURISTICS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_makes_an_agent(name: str) -> None:
    agent = make_heuristic(name, period_s=30.0)
    assert isinstance(agent, Agent)
    assert agent.name == name


@pytest.mark.parametrize("name", NAMES)
def test_tunables_are_options_and_their_ranges_hold_the_default(name: str) -> None:
    heuristic = HEURISTICS[name]
    options = {f.name: f.default for f in fields(heuristic) if f.init}
    assert heuristic.TUNABLE, "every heuristic gets the same search budget as the policy"
    for parameter, (low, high) in heuristic.TUNABLE.items():
        assert low <= options[parameter] <= high
        for value in (low, high):
            make_heuristic(name, **{parameter: value})


def test_unknown_heuristic() -> None:
    with pytest.raises(ValueError, match="no heuristic 'esxi'; there are esx, meb, mom"):
        make_heuristic("esxi")
    with pytest.raises(ValueError, match=r"stacked, .*ski_rental, .*xen_30_rounds"):
        make_heuristic("esxi")


def test_rules_of_clusters_and_sites_are_imported_only_where_they_are_asked_for() -> None:
    code = (
        "import sys; from gymbal_runtime.heuristics import make_heuristic\n"
        "def several(): return [m for m in sys.modules if m.startswith(PACKAGES)]\n"
        "PACKAGES = ('gymbal_runtime.cluster', 'gymbal_runtime.sites')\n"
        "make_heuristic('meb'); assert not several(), several()\n"
        "make_heuristic('delay'); assert several()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_option() -> None:
    with pytest.raises(ValueError, match=r"'esx' has no option 'tax'; there are .*idle_tax"):
        make_heuristic("esx", tax=0.5)


def test_parameters_are_frozen() -> None:
    with pytest.raises(AttributeError):
        make_heuristic("esx").idle_tax = 0.5  # type: ignore[attr-defined]
