"""A training run as a person starts it: progress on the terminal, charts, checkpoints, a bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch.utils.tensorboard import SummaryWriter

from gymbal_agents.callbacks import (
    ChartsCallback,
    CheckpointCallback,
    EvaluationCallback,
    ProgressCallback,
    write_hparams,
    write_picture,
    write_reference_lines,
)
from gymbal_agents.config import TrainConfig
from gymbal_agents.counterfactual import look_ahead
from gymbal_agents.counterfactual_fit import fit
from gymbal_agents.evaluate import AgentFactory, evaluate
from gymbal_agents.masked_learner import Learner
from gymbal_agents.masked_policy import MaskedPolicy
from gymbal_agents.oracles import oracles_of
from gymbal_agents.parameter_search import in_pairs, search
from gymbal_agents.response_surface import ResponseSurface, climb
from gymbal_agents.roster import Tuned, build_roster
from gymbal_agents.run_folder import RunFolder, write_whole
from gymbal_agents.set_policy import SetActorCriticPolicy
from gymbal_agents.surface_trials import others_of, try_corrections
from gymbal_agents.torch_policy import TorchPolicy
from gymbal_agents.train import make_worlds, train
from gymbal_envs.scenarios.source import make_source
from gymbal_envs.tasks.cluster_worlds import ClusterWorlds
from gymbal_envs.tasks.open import shape_of
from gymbal_envs.tasks.placement_worlds import PlacementWorlds
from gymbal_runtime.heuristics import heuristics_of
from gymbal_runtime.policy_kinds import kind_of

VALIDATION_SEED = 1
LOOKAHEAD_SEED = 1_000_000
"""Added to the run's seed: exploring begins on scenarios that nothing was learned from yet."""


@dataclass(frozen=True)
class Judge:
    """Plays validation scenarios: the same ones every time.

    Attributes:
        config: of the run.
    """

    config: TrainConfig

    def __call__(self, agents: dict[str, AgentFactory]) -> dict[str, dict[str, float]]:
        """Agent name to mean reward and reward terms per decision."""
        config = self.config
        result = evaluate(
            agents,
            make_source(config.scenario, "validation", VALIDATION_SEED),
            config.evaluate_scenarios,
            shape_of(config.scenario, config.task),
            config.task,
            num_threads=config.threads,
        )
        return {
            name: {measure: float(np.mean(values)) for measure, values in measures.items()}
            for name, measures in result.measures.items()
        }

    def policy(self, model: Any) -> dict[str, float]:
        """Values of a learner's present policy."""
        return self({"policy": lambda _: network_agent(model, self.config)})["policy"]


def network_agent(model: Learner, config: TrainConfig) -> Any:
    """The learner's network behind the runtime's codec, as the controller would run it."""
    assert isinstance(model.policy, SetActorCriticPolicy | MaskedPolicy)
    codec = config.task.codec
    return kind_of(codec.task).agent(codec, TorchPolicy(model.policy.network), "policy", None)


def run_training(
    config: TrainConfig,
    folder: RunFolder,
    console: Console,
    *,
    resume: bool = False,
    reference: bool = True,
    tuned: Tuned | None = None,
) -> Learner:
    """Train with everything a person wants to see; keep the policy that validated best.

    Args:
        config: the run.
        folder: where it goes.
        console: where progress is shown.
        resume: go on from the last checkpoint.
        reference: judge baselines and the oracle of the present for the charts.
        tuned: options of the baselines.

    Returns:
        The learner with its best parameters.
    """
    judge = Judge(config)
    if reference and not resume:
        with console.status("judging the baselines on validation scenarios"):
            quick = [name for name in oracles_of(config.task.id) if name != "oracle"]
            roster = build_roster(["heuristics", *quick], tuned=tuned, task=config.task.id)
            values = judge({name: contender.make for name, contender in roster.items()})
        write_reference_lines(folder, config, values)
        best = max(heuristics_of(config.task.id), key=lambda name: values[name]["reward"])
        shown = {f"best baseline [bold]{best}[/]": best, **{name: name for name in quick}}
        said = (f"{label} loses {-values[name]['reward']:.4f}" for label, name in shown.items())
        console.print(f"validation, per decision: {', '.join(said)}")
    with _progress(console) as progress:
        task = progress.add_task("training", total=config.total_steps, note="")

        def show(model: Any, step: int, values: dict[str, float]) -> None:
            progress.update(task, note=f"validation loss {-values['reward']:.4f}")
            write_picture(folder, config, network_agent(model, config), step)

        evaluation = EvaluationCallback(judge.policy, config.evaluate_every, show)
        callbacks = [
            ChartsCallback(),
            CheckpointCallback(folder, config.checkpoint_every),
            evaluation,
            ProgressCallback(progress, task),
        ]
        prepare = None
        if config.lookahead.states:
            prepare = partial(_look_ahead, config, progress)
        elif config.search.rounds:
            prepare = partial(_search, config, folder, progress)
        elif config.surface.rounds:
            prepare = partial(_climb, config, folder, progress)
        model = train(config, folder, callbacks, resume, prepare)
    if evaluation.best_parameters is not None:
        model.policy.load_state_dict(evaluation.best_parameters)
        model.save(folder.model)
    write_hparams(folder, config, evaluation.best)
    return model


def _look_ahead(config: TrainConfig, progress: Progress, model: Learner) -> None:
    """Fit a fresh policy to what comes of its choices in copies of training scenarios."""
    assert isinstance(model.policy, MaskedPolicy)
    settings = config.lookahead
    task = progress.add_task("looking ahead", total=settings.states, note="")
    worlds = make_worlds(
        config,
        make_source(config.scenario, "train", LOOKAHEAD_SEED + config.seed),
        config.ppo.num_envs,
    )
    assert isinstance(worlds, ClusterWorlds | PlacementWorlds)
    known = look_ahead(
        worlds, settings, config.seed, lambda states: progress.update(task, completed=states)
    )
    fitting = progress.add_task("fitting", total=settings.passes, note="")

    def show(number: int, seen: float, held_out: float) -> None:
        note = f"gain per choice {seen:.5f}, on held-out states {held_out:.5f}"
        progress.update(fitting, completed=number + 1, note=note)

    fit(model.policy, known, settings, config.seed, show)


def _search(config: TrainConfig, folder: RunFolder, progress: Progress, model: Learner) -> None:
    """Move a fresh policy's last layer to where whole training episodes cost less."""
    assert isinstance(model.policy, SetActorCriticPolicy)
    task = progress.add_task("searching", total=config.search.rounds, note="")
    source = make_source(config.scenario, "train", LOOKAHEAD_SEED + config.seed)
    worlds = make_worlds(config, in_pairs(source), 2 * config.search.pairs)
    with SummaryWriter(str(folder.tensorboard / "search")) as charts:

        def show(number: int, figures: dict[str, float]) -> None:
            note = f"training loss {-figures['reward_percent']:.3f} %"
            progress.update(task, completed=number + 1, note=note)
            for name, value in figures.items():
                charts.add_scalar(f"search/{name}", value, number)

        search(model.policy.network, worlds, config.search, config.seed, folder.search, show)


def _climb(config: TrainConfig, folder: RunFolder, progress: Progress, model: Learner) -> None:
    """Fit a fresh policy to what corrections were worth that were held for whole episodes."""
    assert isinstance(model.policy, SetActorCriticPolicy)
    settings = config.surface
    source = make_source(config.scenario, "train", LOOKAHEAD_SEED + config.seed)
    worlds = make_worlds(config, source, config.ppo.num_envs)
    with SummaryWriter(str(folder.tensorboard / "surface")) as charts:

        def shown(title: str, total: int) -> Callable[[int, dict[str, float]], None]:
            task = progress.add_task(title, total=total, note="")

            def show(number: int, figures: dict[str, float]) -> None:
                said = (f"{name.replace('_', ' ')} {value:.3f}" for name, value in figures.items())
                progress.update(task, completed=number + 1, note=", ".join(said))
                for name, value in figures.items():
                    charts.add_scalar(f"{title}/{name}", value, number)

            return show

        told = shown("trying corrections", settings.rounds)
        trials = try_corrections(worlds, settings, config.seed, folder.surface, told)
        surface = ResponseSurface.fit(trials.and_then(*others_of(settings)), settings)
        said = json.dumps(surface.plain(), indent=1).encode()
        write_whole(folder.surface.with_suffix(".json"), said)
        climb(model.policy.network, surface, worlds, settings, shown("fitting", settings.passes))


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        refresh_per_second=2,
    )
