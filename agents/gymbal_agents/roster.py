"""Agents by name: heuristics, oracles and policy bundles, ready for the evaluation loop."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from omegaconf import OmegaConf

from gymbal_agents.evaluate import AgentFactory
from gymbal_agents.oracles import oracles_of
from gymbal_envs.tasks.batch import Worlds
from gymbal_runtime.agent import Agent
from gymbal_runtime.bundle import read_bundle
from gymbal_runtime.heuristics import heuristics_of, make_heuristic
from gymbal_runtime.heuristics.stacked import RESOURCE_FIELDS, Stacked
from gymbal_runtime.tasks import BALLOON, HOST, short_name

Kind = Literal["heuristic", "oracle", "policy"]
Tuned = Mapping[str, Mapping[str, Any]]
"""Options by heuristic."""

POLICY = "policy"
"""What a policy is called that was given no name of its own."""

_ALONE = {f"{Stacked.name}_{resource}": resource for resource in RESOURCE_FIELDS}
"""Names of stacks that decide one resource and leave the others alone."""
_WITHOUT = {f"{Stacked.name}_without_{resource}": resource for resource in RESOURCE_FIELDS}
"""Names of stacks that leave one resource alone."""

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


def groups_of(task: str) -> dict[str, tuple[str, ...]]:
    """Names that stand for several agents."""
    groups = {
        "heuristics": tuple(heuristics_of(task)),
        "defaults": tuple(f"{name}_default" for name in heuristics_of(task)),
        "oracles": tuple(oracles_of(task)),
    }
    if task == HOST:
        groups["heuristics"] += tuple(_ALONE)
        groups["ablation"] = (Stacked.name, *_WITHOUT)
    return groups


def build_roster(
    names: Sequence[str],
    policies: str | Sequence[str] = (),
    tuned: Tuned | None = None,
    task: str = BALLOON,
) -> dict[str, Contender]:
    """Contenders by name, in the order asked for, policies last.

    Args:
        names: heuristics (with ``_default`` behind the name: without tuned options), oracles, or a
            group (``heuristics``, ``defaults``, ``oracles``; for a whole host ``ablation``).
            Policies may be named, too, but every policy that is given plays anyway.
        policies: bundle files, each ``FILE`` or ``NAME=FILE``. Several of the same name are seeds
            of one policy: they also count together, as a team.
        tuned: options that heuristics get.
        task: that they play.

    Raises:
        RosterError: for an unknown name, impossible options, or the policy of another task.
        BundleError: if a bundle cannot be used.
    """
    files = policy_files([policies] if isinstance(policies, str) else policies)
    groups = groups_of(task)
    for team in files:
        taken = (*heuristics_of(task), *oracles_of(task), *_part_stacks(task, {}), *groups)
        if team.removesuffix("_default") in taken:
            raise RosterError(f"policy name {team!r} is taken by an agent; choose another")
    roster: dict[str, Contender] = {}
    expanded = [one for name in names for one in groups.get(name, (name,))]
    for name in dict.fromkeys(expanded):
        if name in files:
            continue
        roster[name] = _contender(name, tuned or {}, task, has_policies=bool(files))
    for team, paths in files.items():
        for number, path in enumerate(paths, start=1):
            name = team if len(paths) == 1 else f"{team}/{number}"
            roster[name] = _policy(path, name, team, task)
    if not roster:
        raise RosterError(f"no agents to evaluate; {_known_names(task)}")
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


def find_tuned(setting: str | None, folder: Path, task: str) -> Tuned | None:
    """The options of a task's heuristics that a setting asks for.

    Args:
        setting: a file, None for options as published, or ``auto`` for the task's own file, as
            published where there is none.
        folder: of the tasks' own files.
        task: id.

    Raises:
        RosterError: if the file cannot be read, or names what does not exist.
    """
    if setting == "auto":
        own = folder / f"{short_name(task)}.yaml"
        return read_tuned(own) if own.is_file() else None
    return read_tuned(setting) if setting else None


def _contender(name: str, tuned: Tuned, task: str, has_policies: bool) -> Contender:
    plain = name.removesuffix("_default")
    if plain in heuristics_of(task):
        return _heuristic(name, plain, tuned.get(name, {}))
    if name in (parts := _part_stacks(task, tuned)):
        return _heuristic(name, Stacked.name, parts[name])
    if name in oracles_of(task):
        return Contender(name, "oracle", oracles_of(task)[name], name)
    if name == POLICY and not has_policies:
        raise RosterError("agent 'policy' needs its file: policy=FILE")
    raise RosterError(f"no agent {name!r}; {_known_names(task)}")


def _heuristic(name: str, rule: str, options: Mapping[str, Any]) -> Contender:
    origin = ", ".join(f"{key} = {value}" for key, value in options.items())
    make = _heuristic_factory(rule, options)
    return Contender(name, "heuristic", make, name, origin or "as published")


def _part_stacks(task: str, tuned: Tuned) -> dict[str, dict[str, Any]]:
    """Options of `stacked`, as tuned, where it decides one resource only, or all but one."""
    if task != HOST:
        return {}
    whole = Stacked(**tuned.get(Stacked.name, {})).options()
    alone = {name: dict.fromkeys(RESOURCE_FIELDS) | {r: whole[r]} for name, r in _ALONE.items()}
    without = {name: {**whole, resource: None} for name, resource in _WITHOUT.items()}
    return {**alone, **without}


def _known_names(task: str) -> str:
    known = [*heuristics_of(task), *_part_stacks(task, {}), *oracles_of(task)]
    return (
        f"there are {', '.join(known)}, the groups {', '.join(groups_of(task))}, NAME_default for "
        "a heuristic without tuned options, and policies given as policy=FILE"
    )


def _heuristic_factory(name: str, options: Mapping[str, Any]) -> AgentFactory:
    try:
        make_heuristic(name, **options)
    except (ValueError, TypeError) as error:
        raise RosterError(str(error)) from error

    def make(worlds: Worlds[Any, Any]) -> Agent:
        return make_heuristic(name, **options)

    return make


def _policy(path: Path, name: str, team: str, task: str) -> Contender:
    bundle = read_bundle(path)
    if bundle.manifest.task != task:
        raise RosterError(f"{path}: is a policy of {bundle.manifest.task}; choose one of {task}")

    def make(worlds: Worlds[Any, Any]) -> Agent:
        agent: Agent = bundle.agent(name=name)
        return agent

    return Contender(name, "policy", make, team, f"{path}, sha256 {bundle.sha256[:12]}")
