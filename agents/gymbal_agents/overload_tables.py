"""What agents did about overloads, as tables for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.overload_answers import ANSWERS, ENDS, NEIGHBOUR, Answered, VmAnswer
from gymbal_agents.overload_story import AgentStory
from gymbal_agents.tables import Table
from gymbal_envs.simulator.params import GIB
from gymbal_envs.tasks.cluster_overloads import RELEASE_S, SHORT_FRAC
from gymbal_runtime.cluster.orders import VERBS

Floats = NDArray[np.float64]
Story = Mapping[str, AgentStory]


def overloads_table(story: Story, strong: frozenset[str] = frozenset()) -> Table:
    """How many overloads each agent met, how long they lasted and what they cost.

    Args:
        story: of each agent.
        strong: agents that stand out.
    """
    rows = []
    for name, told in story.items():
        lasts = np.array([answer.overload.lasts_s for answer in told.answers])
        lost = np.array([answer.overload.lost for answer in told.answers])
        weight = lasts.sum()
        rows.append(
            (
                name,
                f"{lasts.size / max(told.hours, 1e-9):.1f}",
                *(_quantile(lasts, level) for level in (0.5, 0.9, 0.99)),
                f"{weight / max(told.hours, 1e-9) / 60.0:.1f}",
                f"{100.0 * float(lost @ lasts) / weight:.1f}" if weight > 0 else "-",
                _percent(told.effort.lost_in_overload_s, told.effort.lost_s),
                _percent(sum(not answer.overload.over for answer in told.answers), lasts.size),
            )
        )
    return Table(
        title="Overloads",
        note=(
            "A host is overloaded while the kernels and working sets of its VMs sum to more than "
            "it has for them (its memory without what is lent, reserved or in a pool); pauses of "
            f"less than {RELEASE_S:g} s count as part of it. Borrowing makes that bearable, moving "
            "a VM away ends it. Lost: to memory, by the VMs of the host, during overloads; what is "
            "lost to memory outside of them, the host's own balancing could have spared."
        ),
        header=(
            "agent", "per cluster and hour", "p50, s", "p90, s", "p99, s",
            "host minutes per cluster and hour", "progress lost in them, %",
            "of all lost to memory, %",
            "not over at the end, %",
        ),
        rows=tuple(rows),
        strong=strong,
    )  # fmt: skip


def answers_table(story: Story, strong: frozenset[str] = frozenset()) -> Table:
    """What each agent ordered first in an overload of a host, and how long after its beginning.

    Args:
        story: of each agent.
        strong: agents that stand out.
    """
    rows = []
    for name, told in story.items():
        answers, total = told.answers, len(told.answers)
        cells = [_first(answers, verb, total) for verb in ANSWERS]
        rows.append((name, _in_force(answers), *cells, _nothing(answers)))
    return Table(
        title="First answers to an overload",
        note=(
            "Share of the overloads, in brackets the median delay after the beginning. In force: "
            "when the overload began, those VMs of the host that lack most of what is missing "
            "borrowed, were squeezed for or cloned already, or a VM was on the move. The picture: "
            "when the agent first borrowed and first migrated, against how long the overload would "
            "have lasted, had nobody done anything."
        ),
        header=(
            "agent", "in force already, %", *(f"{VERBS[verb]}, %" for verb in ANSWERS), "nothing, %"
        ),
        rows=tuple(rows),
        strong=strong,
    )  # fmt: skip


def shortages_table(story: Story, strong: frozenset[str] = frozenset()) -> Table:
    """How many shortages of VMs there were, what was ordered first, how long they then lasted.

    Args:
        story: of each agent.
        strong: agents that stand out.
    """
    rows = []
    for name, told in story.items():
        answers, total = told.vm_answers, len(told.vm_answers)
        lasts = np.array([answer.shortage.lasts_s for answer in answers])
        cells = [_first_and_left(answers, verb, total) for verb in (*ANSWERS, NEIGHBOUR)]
        rows.append(
            (
                name,
                f"{total / max(told.hours, 1e-9):.1f}",
                *(_quantile(lasts, level) for level in (0.5, 0.9, 0.99)),
                _in_force(answers),
                *cells,
                _nothing(answers),
            )
        )
    return Table(
        title="VMs short of memory",
        note=(
            f"A VM is short of memory while it loses more than {100.0 * SHORT_FRAC:g} % of its "
            f"progress to memory, but for pauses of less than {RELEASE_S:g} s; its host need not "
            "be overloaded. First answer: share of the shortages; in brackets the median delay "
            "after the beginning, and how long the shortage then lasted. In force: it borrowed, "
            "was squeezed for, cloned or on the move already, or a neighbour was on the move."
        ),
        header=(
            "agent", "per cluster and hour", "p50, s", "p90, s", "p99, s", "in force already, %",
            *(f"{VERBS[verb]}, %" for verb in ANSWERS), "a neighbour moves, %", "nothing, %",
        ),
        rows=tuple(rows),
        strong=strong,
    )  # fmt: skip


def ends_table(story: Story, strong: frozenset[str] = frozenset()) -> Table:
    """How overloads ended.

    Args:
        story: of each agent.
        strong: agents that stand out.
    """
    rows = []
    for name, told in story.items():
        ended = [answer.ended for answer in told.answers]
        rows.append((name, *(_percent(ended.count(end), len(ended)) for end in ENDS)))
    return Table(
        title="How overloads ended",
        note=(
            "Share of the overloads. Squeezed: neighbours gave memory while it lasted. Borrowing: "
            "the host's VMs had far memory to the end. A VM moved, or was cloned: while it lasted."
        ),
        header=("agent", *(f"{end}, %" for end in ENDS)),
        rows=tuple(rows),
        strong=strong,
    )


def effort_table(story: Story, strong: frozenset[str] = frozenset()) -> Table:
    """What the answers took.

    Args:
        story: of each agent.
        strong: agents that stand out.
    """
    rows = []
    for name, told in story.items():
        took = told.effort
        gib = (took.moves_bytes / GIB, took.far_bytes / GIB, took.clones_bytes / GIB)
        rows.append(
            (
                name,
                *(f"{value:.2f}" for value in gib),
                f"{100.0 * took.aside_frac:.2f}",
                f"{took.paused_s:.1f}",
                f"{took.orders:.1f}",
                _percent(took.orders_in_overload, took.orders),
                f"{took.refused:.1f}",
            )
        )
    return Table(
        title="What the answers took",
        note=(
            "Per cluster and hour. Bytes on the network; memory that was set aside for arrivals or "
            "lending and held nothing, of all memory; seconds that VMs were paused by moves and "
            "forks; orders that were carried out, those of them for VMs of an overloaded host, and "
            "those that could not be carried out."
        ),
        header=(
            "agent", "moves, GiB", "far pages, GiB", "clones, GiB", "memory set aside, %",
            "paused, s", "orders",
            "of them in an overload, %", "refused",
        ),
        rows=tuple(rows),
        strong=strong,
    )  # fmt: skip


def _in_force(answers: Sequence[Answered]) -> str:
    return _percent(sum(answer.in_force for answer in answers), len(answers))


def _nothing(answers: Sequence[Answered]) -> str:
    nothing = sum(answer.first is None and not answer.in_force for answer in answers)
    return _percent(nothing, len(answers))


def _first(answers: Sequence[Answered], verb: int, total: int) -> str:
    """Share of those answered by this order first, and its median delay."""
    delays = [answer.delays[verb] for answer in answers if answer.first == verb]
    if not delays:
        return "-"
    return f"{_percent(len(delays), total)} ({float(np.median(delays)):.0f} s)"


def _first_and_left(answers: Sequence[VmAnswer], verb: int, total: int) -> str:
    """The same, and how long it lasted from then on."""
    left = [answer.left_s for answer in answers if answer.first == verb]
    if not left:
        return "-"
    return f"{_first(answers, verb, total)[:-1]}, then {float(np.median(left)):.0f} s)"


def _percent(count: float, total: float) -> str:
    return f"{100.0 * count / total:.0f}" if total else "-"


def _quantile(values: Floats, level: float) -> str:
    return f"{float(np.quantile(values, level)):.0f}" if values.size else "-"
