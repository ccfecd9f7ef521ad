"""Corrections held for whole episodes, against the heuristic on the same demand.

A policy that corrects thresholds changes little with each decision, and shows what it did hours
later. So corrections are drawn at random and held from the first decision to the last, for all
hosts alike, each once more with the opposite sign; what an episode costs less than under the
heuristic alone is what the correction was worth there. `gymbal_agents.response_surface` fits that.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.run_folder import write_whole
from gymbal_agents.surface import Surface
from gymbal_envs.tasks.batch import Worlds
from gymbal_runtime.signature import Arrays

Floats = NDArray[np.float64]

PERCENT = 100.0
SEED = 80
APART = 1e9
"""Between the numbers of scenarios of different runs."""

OnRound = Callable[[int, dict[str, float]], None]
"""Told the number of a round that is over, and its figures."""


@dataclass(frozen=True, eq=False)
class Trials:
    """N episodes.

    Attributes:
        levers: (N, L) corrections that were held.
        inputs: (N, K) what the world was like, on average over the heuristic's episode.
        gain: (N,) percentage points of reward per decision more than the heuristic's.
        scenario: (N,) its number.
    """

    levers: Floats
    inputs: Floats
    gain: Floats
    scenario: Floats

    @classmethod
    def none(cls, num_levers: int, num_inputs: int) -> Self:
        """No episode yet."""
        return cls(np.zeros((0, num_levers)), np.zeros((0, num_inputs)), np.zeros(0), np.zeros(0))

    def and_then(self, *others: Trials) -> Trials:
        """These and others."""
        every = [self, *others]
        names = [one.name for one in fields(self)]
        return Trials(*(np.concatenate([getattr(t, name) for t in every]) for name in names))

    def save(self, file: Path) -> None:
        """Write everything to a file, whole or not at all."""
        content = io.BytesIO()
        np.savez(content, **{one.name: getattr(self, one.name) for one in fields(self)})
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content.getvalue())

    @classmethod
    def load(cls, file: Path) -> Self:
        """What was written."""
        with np.load(file) as stored:
            return cls(**{one.name: stored[one.name] for one in fields(cls)})


@dataclass(frozen=True, eq=False)
class Reading:
    """Where an observation says what the worth of corrections depends on."""

    rows: str
    whole: str
    present: str
    row_columns: tuple[int, ...]
    whole_columns: tuple[int, ...]
    order: tuple[int, ...]

    @classmethod
    def of(cls, codec: Any, names: tuple[str, ...]) -> Self:
        """By names such as ``hosts.idle_share``.

        Raises:
            ValueError: the observation has no such column.
        """
        rows, whole, present = tuple(codec.signature.inputs)
        known = {
            rows: [quantity.name for quantity in codec.layout.row.now],
            whole: [quantity.name for quantity in codec.layout.whole.now],
        }
        found: dict[str, list[int]] = {rows: [], whole: []}
        place: dict[str, list[int]] = {rows: [], whole: []}
        for number, name in enumerate(names):
            table, _, column = name.partition(".")
            if column not in known.get(table, ()):
                raise ValueError(
                    f"surface.inputs: there is no {name}; tables are {rows} and {whole}, with the "
                    f"columns of {type(codec).__module__.rsplit('.', 1)[0]}.quantities"
                )
            found[table].append(known[table].index(column))
            place[table].append(number)
        order = np.argsort(place[rows] + place[whole])
        return cls(
            rows, whole, present, tuple(found[rows]), tuple(found[whole]), tuple(order.tolist())
        )

    def __call__(self, seen: Arrays) -> Floats:
        """(B, K) of B worlds."""
        there = seen[self.present].astype(np.float64)
        rows = seen[self.rows][..., list(self.row_columns)] * there[..., None]
        mean = rows.sum(axis=1) / np.maximum(there.sum(axis=1), 1.0)[:, None]
        whole = seen[self.whole][:, list(self.whole_columns)]
        read: Floats = np.concatenate([mean, whole], axis=1)[:, list(self.order)]
        return read


def lever_places(codec: Any, settings: Surface) -> NDArray[np.int64]:
    """Columns of an action that are tried, (L,).

    Raises:
        ValueError: the policy gives no such number.
    """
    unknown = set(settings.spread) - set(codec.actions)
    if unknown:
        raise ValueError(
            f"surface.spread: there is no {', '.join(sorted(unknown))}; the policy gives "
            f"{', '.join(codec.actions)}"
        )
    return np.array([codec.actions.index(name) for name in settings.spread], dtype=np.int64)


def others_of(settings: Surface) -> list[Trials]:
    """Trials of other runs that count too; no two runs count one scenario as the same.

    Raises:
        ValueError: a file cannot be read, or is about other actions or inputs.
    """
    others, wanted = [], (len(settings.spread), len(settings.inputs))
    for number, name in enumerate(settings.also, 1):
        try:
            one = Trials.load(Path(name))
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(f"surface.also: {name} holds no trials ({error})") from error
        held = one.levers.shape[1], one.inputs.shape[1]
        if held != wanted:
            raise ValueError(
                f"surface.also: {name} has {held[0]} actions and {held[1]} inputs, this run "
                f"{wanted[0]} and {wanted[1]}"
            )
        others.append(replace(one, scenario=one.scenario + number * APART))
    return others


def try_corrections(
    worlds: Worlds[Any, Any], settings: Surface, seed: int, file: Path, tell: OnRound
) -> Trials:
    """Play all rounds that are not in the file yet, and add them to it.

    Args:
        worlds: B of them, with observations; reset again and again.
        settings: what is tried.
        seed: of the corrections.
        file: where the trials are kept, written after every round.
        tell: told about each round.

    Raises:
        ValueError: the settings name an action or a column that does not exist.
    """
    places = lever_places(worlds.codec, settings)
    read = Reading.of(worlds.codec, settings.inputs)
    known = Trials.none(places.size, len(settings.inputs))
    if file.is_file():
        known = Trials.load(file)
    each = worlds.num_worlds * 2 * settings.pairs
    most = np.array(list(settings.spread.values()))
    for number in range(len(known.gain) // each, settings.rounds):
        rng = np.random.default_rng([seed, SEED, number])
        first = number * worlds.num_worlds
        scenario = first + np.arange(worlds.num_worlds, dtype=np.float64)
        plain, inputs = _play(worlds, first, None, read)
        played = []
        for _ in range(settings.pairs):
            levers = rng.uniform(-most, most, (worlds.num_worlds, places.size))
            for held in (levers, -levers):
                action = np.zeros((worlds.num_worlds, *worlds.action_space.shape))  # type: ignore[misc]
                action[..., places] = held[:, None]
                reward, _ = _play(worlds, first, action, read)
                played.append(Trials(held, inputs, reward - plain, scenario))
        known = known.and_then(*played)
        known.save(file)
        last = known.gain[-each:]
        figures = {"mean_gain": last.mean(), "best_gain": last.reshape(2 * settings.pairs, -1)
                   .max(axis=0).mean(), "reward_percent": plain.mean()}  # fmt: skip
        tell(number, {name: float(value) for name, value in figures.items()})
    return known


def _play(
    worlds: Worlds[Any, Any], first: int, action: Floats | None, read: Reading
) -> tuple[Floats, Floats]:
    """One episode of each world: mean reward in percent (B,), and mean inputs (B, K)."""
    seen = worlds.reset(first)
    total, inputs = np.zeros(worlds.num_worlds), read(seen)
    for step in range(worlds.episode_steps):
        inputs = inputs if step == 0 else inputs + read(seen)
        result = worlds.step_base() if action is None else worlds.step(action)
        total += result.reward
        seen = result.observation
    return PERCENT * total / worlds.episode_steps, inputs / worlds.episode_steps
