from __future__ import annotations

from pathlib import Path

import pytest

from gymbal_agents.roster import RosterError, build_roster, policy_files, read_tuned
from gymbal_runtime.bundle import BundleError
from gymbal_runtime.heuristics import HEURISTICS
from gymbal_runtime.heuristics.stacked import RESOURCE_FIELDS
from gymbal_runtime.tasks import HOST


def test_groups_stand_for_their_members() -> None:
    assert list(build_roster(["heuristics", "meb", "oracles"])) == [
        *HEURISTICS,
        "oracle_now",
        "oracle",
    ]
    assert len(build_roster(["heuristics", "defaults"])) == 2 * len(HEURISTICS)


def test_every_heuristic_is_built_as_itself() -> None:
    for name, one in build_roster(["heuristics"]).items():
        assert one.make(None).name == name  # type: ignore[arg-type]
        assert one.kind == "heuristic"


def test_tuned_options_reach_the_heuristic_but_not_its_default() -> None:
    tuned = {"static": {"share_exponent": 0.5}}
    roster = build_roster(["static", "static_default"], tuned=tuned)
    made = {name: one.make(None) for name, one in roster.items()}  # type: ignore[arg-type]
    assert made["static"].share_exponent == 0.5  # type: ignore[attr-defined]
    assert made["static_default"].share_exponent == 1.0  # type: ignore[attr-defined]
    assert "0.5" in roster["static"].origin


@pytest.mark.parametrize("name", ["esxi", "policy_", "esx_default_default"])
def test_an_unknown_agent_is_told_what_there_is(name: str) -> None:
    with pytest.raises(RosterError) as raised:
        build_roster([name])
    for known in (*HEURISTICS, "oracle", "oracle_now", "policy=FILE"):
        assert known in str(raised.value)


def test_policies_play_whether_named_or_not(bundle_file: Path) -> None:
    for names in (["static"], ["static", "policy"]):
        assert list(build_roster(names, str(bundle_file))) == ["static", "policy"]


def test_several_files_are_seeds_of_one_team(bundle_file: Path) -> None:
    roster = build_roster(["static"], [str(bundle_file)] * 2 + [f"other={bundle_file}"])
    assert {name: one.team for name, one in roster.items()} == {
        "static": "static",
        "policy/1": "policy",
        "policy/2": "policy",
        "other": "other",
    }
    assert "sha256" in roster["other"].origin


def test_policy_needs_its_file() -> None:
    with pytest.raises(RosterError, match="policy=FILE"):
        build_roster(["policy"])


@pytest.mark.parametrize("name", ["meb", "esx_default", "oracle", "heuristics"])
def test_a_policy_may_not_take_an_agents_name(name: str, bundle_file: Path) -> None:
    with pytest.raises(RosterError, match="taken"):
        build_roster(["static", name], f"{name}={bundle_file}")


def test_a_missing_bundle_is_named() -> None:
    with pytest.raises(BundleError, match=r"no/such\.gymbal"):
        build_roster([], "no/such.gymbal")


def test_a_path_with_an_equals_sign_is_a_path(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "seed=1").mkdir()
    (tmp_path / "seed=1" / "policy.gymbal").touch()
    monkeypatch.chdir(tmp_path)
    assert policy_files(["seed=1/policy.gymbal"]) == {"policy": [Path("seed=1/policy.gymbal")]}
    assert policy_files(["mine=seed=1/policy.gymbal"]) == {"mine": [Path("seed=1/policy.gymbal")]}


def test_nobody_is_an_error() -> None:
    with pytest.raises(RosterError, match="no agents"):
        build_roster([])


def test_a_stack_is_taken_apart_as_it_was_tuned() -> None:
    tuned = {"stacked": {"cache": {"name": "kpart"}, "cpu": {"name": "steal_feedback"}}}
    roster = build_roster(["heuristics", "ablation"], tuned=tuned, task=HOST)
    made = {name: one.make(None).options() for name, one in roster.items() if "stacked" in name}  # type: ignore[arg-type, attr-defined]
    assert len(made) == 1 + 2 * len(RESOURCE_FIELDS)
    for resource in RESOURCE_FIELDS:
        alone, rest = made[f"stacked_{resource}"], made[f"stacked_without_{resource}"]
        for other in RESOURCE_FIELDS:
            here, there = (alone, rest) if other == resource else (rest, alone)
            assert here[other] == made["stacked"][other] is not None
            assert there[other] is None
    with pytest.raises(RosterError, match="no agent 'stacked_memory'"):
        build_roster(["stacked_memory"])
    with pytest.raises(RosterError, match="'stacked_cache' is taken"):
        build_roster([], "stacked_cache=file", task=HOST)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("esxi: {}", "no heuristic 'esxi'"),
        ("static: {speed: 1}", "no option 'speed'"),
        ("static: {share_exponent: -1}", "share_exponent"),
        ("static: 3", "must map options"),
        ("- static", "must map heuristics"),
        ("static: {", "cannot be read as YAML"),
    ],
)
def test_wrong_tuned_options_are_named(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "tuned.yaml"
    file.write_text(text)
    with pytest.raises(RosterError, match=problem) as raised:
        read_tuned(file)
    assert str(file) in str(raised.value)


def test_missing_tuned_file_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(RosterError, match=r"scripts/tune\.py"):
        read_tuned(tmp_path / "none.yaml")
