"""Agents by name: heuristics, oracles and policy bundles, ready for the evaluation loop."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from omegaconf import OmegaConf

from gymbal_agents.evaluate import AgentFactory
from gymbal_agents.oracles.lookahead import HorizonOracle, PresentOracle
from gymbal_envs.tasks.balloon.worlds import BalloonWorlds
from gymbal_runtime.agent import Agent
from gymbal_runtime.bundle import read_bundle
from gymbal_runtime.heuristics import HEURISTICS, make_heuristic

Kind = Literal["heuristic", "oracle", "policy"]
Tuned = Mapping[str, Mapping[str, Any]]
"""Options by heuristic."""

POLICY = "policy"
"""What a policy is called that was given no name of its own."""
ORACLES: dict[str, AgentFactory] = {
    "oracle_now": lambda worlds: PresentOracle(worlds.engine),
    "oracle": lambda worlds: HorizonOracle(worlds.engine, worlds.config.weights),
}
GROUPS: dict[str, tuple[str, ...]] = {
    "heuristics": tuple(HEURISTICS),
    "defaults": tuple(f"{name}_default" for name in HEURISTICS),
    "oracles": tuple(ORACLES),
}
"""Names that stand for several agents."""

_NAMED_FILE = re.compile(r"([A-Za-z][\w-]*)=(.+)")


class RosterError(ValueError):
    """An agent that does not exist or cannot be built. The message says what there is."""


@dataclass(frozen=True)
class Contender:
    """One agent of an evaluation.

    Attributes:
        name: unique.
        kind: heuristic, oracle or policy.
        make: builds it for some worlds.
        team: name shared by policies that differ in their training seed; its own name otherwise.
        origin: options of a heuristic, file and digest of a policy.
    """

    name: str
    kind: Kind
    make: AgentFactory
    team: str
    origin: str = ""


def build_roster(
    names: Sequence[str],
    policies: str | Sequence[str] = (),
    tuned: Tuned | None = None,
) -> dict[str, Contender]:
    """Contenders by name, in the order asked for, policies last.

    Args:
        names: heuristics (with ``_default`` behind the name: without tuned options), oracles, or a
            group (``heuristics``, ``defaults``, ``oracles``). Policies may be named, too, but
            every policy that is given plays anyway.
        policies: bundle files, each ``FILE`` or ``NAME=FILE``. Several of the same name are seeds
            of one policy: they also count together, as a team.
        tuned: options that heuristics get.

    Raises:
        RosterError: for an unknown name or impossible options.
        BundleError: if a bundle cannot be used.
    """
    files = policy_files([policies] if isinstance(policies, str) else policies)
    for team in files:
        if team.removesuffix("_default") in (*HEURISTICS, *ORACLES, *GROUPS):
            raise RosterError(f"policy name {team!r} is taken by an agent; choose another")
    roster: dict[str, Contender] = {}
    for name in _expanded(names):
        if name in files:
            continue
        roster[name] = _contender(name, tuned or {}, has_policies=bool(files))
    for team, paths in files.items():
        for number, path in enumerate(paths, start=1):
            name = team if len(paths) == 1 else f"{team}/{number}"
            roster[name] = _policy(path, name, team)
    if not roster:
        raise RosterError(f"no agents to evaluate; {_known_names()}")
    return roster


def policy_files(policies: Iterable[str]) -> dict[str, list[Path]]:
    """Bundle files by policy name.

    Args:
        policies: each ``FILE`` or ``NAME=FILE``; a path with ``=`` in it may need a name.
    """
    files: dict[str, list[Path]] = {}
    for given in policies:
        named = _NAMED_FILE.fullmatch(given)
        if named and not Path(given).exists():
            files.setdefault(named[1], []).append(Path(named[2]))
        else:
            files.setdefault(POLICY, []).append(Path(given))
    return files


def read_tuned(path: str | Path) -> dict[str, dict[str, Any]]:
    """Heuristics' options from a YAML file that `gymbal_agents.tuning` wrote.

    Raises:
        RosterError: if the file cannot be read, or names what does not exist.
    """
    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
    except OSError as error:
        raise RosterError(f"{path}: {error.strerror}; write it with scripts/tune.py") from error
    except Exception as error:  # whatever the YAML reader makes of a file that is none
        raise RosterError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise RosterError(f"{path}: must map heuristics to options")
    options: dict[str, dict[str, Any]] = {}
    for name, values in content.items():
        if not isinstance(values, dict):
            raise RosterError(f"{path}: {name!r} must map options to values, not {values!r}")
        options[str(name)] = {str(key): value for key, value in values.items()}
        try:
            make_heuristic(str(name), **options[str(name)])
        except (ValueError, TypeError) as error:
            raise RosterError(f"{path}: {error}") from error
    return options


def _expanded(names: Sequence[str]) -> list[str]:
    expanded = [one for name in names for one in GROUPS.get(name, (name,))]
    return list(dict.fromkeys(expanded))


def _contender(name: str, tuned: Tuned, has_policies: bool) -> Contender:
    plain = name.removesuffix("_default")
    if plain in HEURISTICS:
        options = tuned.get(name, {})
        origin = ", ".join(f"{key} = {value}" for key, value in options.items())
        return Contender(
            name, "heuristic", _heuristic_factory(plain, options), name, origin or "as published"
        )
    if name in ORACLES:
        return Contender(name, "oracle", ORACLES[name], name)
    if name == POLICY and not has_policies:
        raise RosterError("agent 'policy' needs its file: policy=FILE")
    raise RosterError(f"no agent {name!r}; {_known_names()}")


def _known_names() -> str:
    known = [*HEURISTICS, *ORACLES]
    return (
        f"there are {', '.join(known)}, the groups {', '.join(GROUPS)}, NAME_default for a "
        "heuristic without tuned options, and policies given as policy=FILE"
    )


def _heuristic_factory(name: str, options: Mapping[str, Any]) -> AgentFactory:
    try:
        make_heuristic(name, **options)
    except (ValueError, TypeError) as error:
        raise RosterError(str(error)) from error

    def make(worlds: BalloonWorlds) -> Agent:
        return make_heuristic(name, **options)

    return make


def _policy(path: Path, name: str, team: str) -> Contender:
    bundle = read_bundle(path)

    def make(worlds: BalloonWorlds) -> Agent:
        return bundle.agent(name=name)

    return Contender(name, "policy", make, team, f"{path}, sha256 {bundle.sha256[:12]}")
