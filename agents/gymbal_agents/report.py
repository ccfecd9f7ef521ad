"""Writes what an evaluation found: JSON, Markdown, HTML, PNG, and scalars for TensorBoard."""

from __future__ import annotations

import base64
import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from matplotlib.figure import Figure

from gymbal_agents import charts, side_by_side, timeline
from gymbal_agents.contest import Contest
from gymbal_agents.energy_report import (
    dominance_table,
    energy_figure,
    energy_table,
    tells_of_energy,
)
from gymbal_agents.overload_chart import answers_figure
from gymbal_agents.overload_report import draw_pair, shown_agents, story_of, story_tables
from gymbal_agents.overload_story import AgentStory
from gymbal_agents.summary import Summary
from gymbal_agents.tables import (
    Table,
    gains_table,
    groups_table,
    measures_table,
    standing_table,
    verdicts,
)
from gymbal_envs.scenarios.source import make_source
from gymbal_envs.tasks.open import shape_of
from gymbal_runtime import __version__
from gymbal_runtime.tasks import CENTRE_TASKS, CLUSTER, OVERLOAD, SITES


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        title: heading.
        note: how to read it.
        file: of the picture beside the report; empty for none.
        image: the same picture, base64.
        table: or None.
    """

    title: str
    note: str
    file: str = ""
    image: str = ""
    table: Table | None = None


def write_report(contest: Contest, summary: Summary, out: Path, command: str) -> list[Path]:
    """Write ``evaluation.json``, ``report.md``, ``report.html`` and its pictures.

    Args:
        contest: who played, and how well.
        summary: of it.
        out: folder, made if need be.
        command: that led here.

    Returns:
        The files to look at, the HTML report first.

    Raises:
        OSError: if the folder cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    story = story_of(contest) if contest.config.task.id == OVERLOAD else {}
    pictures = _pictures(contest, summary, story)
    for name, png in pictures.items():
        (out / f"{name}.png").write_bytes(png)
    values = {
        "title": _title(contest),
        "setting": _setting(contest),
        "verdicts": verdicts(summary),
        "sections": _sections(contest, summary, pictures, story),
        "command": command,
        "origins": [(name, one.origin) for name, one in contest.roster.items() if one.origin],
    }
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("gymbal_agents"),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.jinja",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    for name in ("report.html", "report.md"):
        text = templates.get_template(f"{name}.jinja").render(values)
        (out / name).write_text(text, encoding="utf-8")
    (out / "evaluation.json").write_bytes(_json(contest, summary, command))
    return [out / name for name in ("report.html", "report.md", "evaluation.json")]


def write_scalars(contest: Contest, summary: Summary, folder: Path) -> None:
    """One TensorBoard run per agent, ``<folder>/<split>_<agent>``, with stable names.

    ``<split>/cost``, ``<split>/cost_iqm``, ``<split>/gap_closed`` and every measure.
    """
    from torch.utils.tensorboard import SummaryWriter  # needs seconds to import

    split = contest.config.split
    for line in summary.lines:
        values = {"cost": line.cost.value, "cost_iqm": line.cost_iqm.value, **line.measures}
        if line.gap_closed is not None:
            values["gap_closed"] = line.gap_closed.value
        writer = SummaryWriter(str(folder / f"{split}_{line.name.replace('/', '_')}"))
        for name, value in values.items():
            writer.add_scalar(f"{split}/{name}", value, 0)
        writer.close()


def _pictures(contest: Contest, summary: Summary, story: dict[str, AgentStory]) -> dict[str, bytes]:
    """PNG files by name."""
    figures = {
        "standing": charts.standing(summary),
        "parts": charts.parts(summary, contest.config.task.weights),
    }
    if summary.subject.gains:
        figures["gains"] = charts.gains(summary)
    if summary.groups and len(summary.lines) > 1:
        figures["groups"] = charts.groups(summary)
    if tells_of_energy(contest):
        figures["energy"] = energy_figure(contest, summary)
    if story:
        figures["answers"] = answers_figure(story, shown_agents(summary, story))
    pair = _timeline(contest, summary)
    if pair is not None:
        figures["timeline"] = pair
    return {name: _png(figure) for name, figure in figures.items()}


def _timeline(contest: Contest, summary: Summary) -> Figure | None:
    """The subject and the best heuristic in one scenario; None without two of them."""
    config, best = contest.config, summary.best_heuristic
    # Of a team, its first member plays.
    name = summary.subject.name
    subject = next(one for one in contest.roster.values() if name in (one.name, one.team))
    if best is None or subject.name == best:
        return None
    number = timeline.telling_scenario(contest.evaluation, subject.name, best)
    pair = (subject, contest.roster[best])
    if config.task.id == OVERLOAD:
        return draw_pair(contest, pair, number)
    scenario = make_source(config.scenario, config.split, config.seed)(number)
    shape = shape_of(config.scenario, config.task)
    if config.task.id in (CLUSTER, SITES, *CENTRE_TASKS):
        makers = {one.name: one.make for one in pair}
        return side_by_side.draw(makers, scenario, shape, config.task)
    return timeline.draw(
        [timeline.record(one.name, one.make, scenario, shape, config.task) for one in pair]
    )


def _sections(
    contest: Contest,
    summary: Summary,
    pictures: dict[str, bytes],
    story: dict[str, AgentStory],
) -> list[Section]:
    def section(name: str, note: str, table: Table) -> Section:
        png = pictures.get(name)
        file = f"{name}.png" if png else ""
        image = base64.b64encode(png).decode() if png else ""
        return Section(table.title, note, file, image, table)

    standing, measures = standing_table(summary), measures_table(summary)
    sections = [section("standing", standing.note, standing)]
    if "gains" in pictures:
        gains = gains_table(summary)
        sections.append(section("gains", gains.note, gains))
    sections.append(section("parts", measures.note, measures))
    if "energy" in pictures:
        energy, dominance = energy_table(contest, summary), dominance_table(contest, summary)
        sections.append(section("energy", energy.note, energy))
        sections.append(section("dominance", dominance.note, dominance))
    if "groups" in pictures:
        groups = groups_table(summary, charts.group_agents(summary))
        sections.append(section("groups", groups.note, groups))
    for name, table in story_tables(summary, story).items():
        sections.append(section(name, table.note, table))
    if "timeline" in pictures:
        png = base64.b64encode(pictures["timeline"]).decode()
        note = (
            f"{summary.subject.name} and {summary.best_heuristic} in the same scenario. "
            f"The scenario at the {timeline.TYPICAL_GOOD_QUANTILE:.0%} quantile of the gains: a "
            "good one, not the best one."
        )
        sections.append(Section("One scenario over time", note, "timeline.png", png))
    return sections


def _title(contest: Contest) -> str:
    return f"{contest.config.task.id} on {contest.config.split} scenarios"


def _setting(contest: Contest) -> str:
    config, evaluation = contest.config, contest.evaluation
    minutes = evaluation.steps * config.task.physics.clock.control_interval_s / 60
    trace = config.scenario.toy or " + ".join(config.scenario.traces)
    unseen = "VMs and time that training never saw; " if config.split == "test" else ""
    return (
        f"{len(evaluation.scenarios)} scenarios of {minutes:g} minutes ({evaluation.steps} "
        f"decisions each) from {trace}, seed {config.seed}; {unseen}gymbal {__version__}."
    )


def _json(contest: Contest, summary: Summary, command: str) -> bytes:
    content: dict[str, Any] = {
        "gymbal_version": __version__,
        "command": command,
        "config": asdict(contest.config),
        "agents": {
            name: {"kind": one.kind, "team": one.team, "origin": one.origin}
            for name, one in contest.roster.items()
        },
        "summary": asdict(summary),
        "evaluation": contest.evaluation.to_dict(),
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=1)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()
