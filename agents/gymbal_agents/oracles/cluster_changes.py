"""Changes of a plan that are worth a try, drawn where a cluster loses most.

What hurts whom and when is read from the last trial of the plan; which moves promise something
comes from the placement problem (`cluster_foresight`). The rest is chance: a trial in a copy of the
cluster says what a change is worth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gymbal_agents.oracles.cluster_plans import PATIENCE, Item, Plan
from gymbal_agents.oracles.cluster_scenes import Move, Scene
from gymbal_runtime.cluster.orders import (
    BORROW,
    CLONE,
    MERGE,
    MIGRATE,
    RECALL,
    SQUEEZE,
)
from gymbal_runtime.cluster.telemetry import NOBODY

SHORT_PATIENCE = 4
"""Decisions for which orders wait that only help at once."""
SQUEEZE_STEPS = 6
"""Decisions that a squeeze lasts."""
SQUEEZES = 2.0
"""Mean number of squeezes that follow the first."""
LEAST_LUCK = 0.1
"""A rule that never helps is tried this much less often in the end."""
EARLY = 10
"""A move may begin so many decisions before it seems due."""
FIRST_FEW = 2.5
"""Of the promising moves, the first ones are tried most: mean place in their order."""


@dataclass(frozen=True)
class Change:
    """What is left out of a plan, what comes in, and when local balancing is turned over.

    Attributes:
        kind: name of the rule that drew it.
        add: orders.
        drop: orders.
        turn: first decision, and the one after the last, in which balancing is on where it was off
            before, and off where it was on; None: as it was.
    """

    kind: str
    add: tuple[Item, ...] = ()
    drop: tuple[Item, ...] = ()
    turn: tuple[int, int] | None = None

    def apply(self, plan: Plan) -> Plan:
        """The changed plan."""
        if self.drop:
            plan = plan.without(*self.drop)
        if self.add:
            plan = plan.with_items(*self.add)
        if self.turn is not None:
            first, last = self.turn
            plan = plan.balanced(first, last, not plan.balance[min(first, plan.balance.size - 1)])
        return plan


Floats = NDArray[np.float64]
Rng = np.random.Generator
Rule = Callable[[Scene, Rng], Change | None]


class Luck:
    """What became of the changes of one cluster so far: what helped is tried more often."""

    def __init__(self) -> None:
        self._tried = dict.fromkeys(_RULES, 0)
        self._helped = dict.fromkeys(_RULES, 0)

    def note(self, change: Change, helped: bool) -> None:
        """A change was tried."""
        if change.kind in self._tried:
            self._tried[change.kind] += 1
            self._helped[change.kind] += helped

    def weights(self) -> Floats:
        """How often each rule shall be tried; sums to one."""
        found = [
            weight * max((2.0 + 10.0 * self._helped[name]) / (2.0 + self._tried[name]), LEAST_LUCK)
            for name, (weight, _) in _RULES.items()
        ]
        return np.array(found) / sum(found)


def draw_changes(scene: Scene, count: int, rng: Rng, luck: Luck) -> list[Change]:
    """At most ``count`` changes, all different."""
    found: list[Change] = []
    if scene.joint and count > 0:
        found.append(Change("joint", scene.joint))
    names, weights = list(_RULES), luck.weights()
    for _ in range(20 * count):
        if len(found) >= count:
            break
        change = _RULES[names[int(rng.choice(len(names), p=weights))]][1](scene, rng)
        if change is not None and change not in found:
            found.append(change)
    return found


def _begin(move: Move, scene: Scene, rng: Rng) -> Item:
    return move.item(max(move.step - int(rng.integers(0, EARLY)), scene.first))


def _promising(scene: Scene, rng: Rng) -> Change | None:
    if not scene.moves:
        return None
    which = min(int(rng.exponential(FIRST_FEW)), len(scene.moves) - 1)
    return Change("move", (_begin(scene.moves[which], scene, rng),))


def _two_moves(scene: Scene, rng: Rng) -> Change | None:
    count = min(len(scene.moves), 8)
    if count < 2:
        return None
    pair = rng.choice(count, 2, replace=False)
    return Change("two moves", tuple(_begin(scene.moves[int(k)], scene, rng) for k in pair))


def _any_move(scene: Scene, rng: Rng) -> Change | None:
    """Somebody leaves the host of a VM that loses, for any that has room."""
    victim, step = scene.victim(rng)
    place = scene.place(victim, step)
    if place is None:
        return None
    vm = int(rng.choice(scene.mates(place)))
    targets = scene.targets(vm, step)
    if not targets:
        return None
    item = Item(step, vm, MIGRATE, targets[int(rng.integers(len(targets)))], step + PATIENCE)
    return Change("any move", (item,))


def _borrow(scene: Scene, rng: Rng) -> Change | None:
    """A VM, or everybody on its host, borrows, mostly for a limited time."""
    victim, step = scene.victim(rng)
    place = scene.place(victim, step)
    if place is None or scene.away[place] or scene.lendable[place[0]].max() <= 0.0:
        return None
    who = scene.mates(place) if rng.random() < 0.4 else [victim]
    items = [Item(step, vm, BORROW, NOBODY, step + SHORT_PATIENCE) for vm in who]
    if rng.random() < 0.6:
        over = step + int(rng.integers(3, 40))
        items += [Item(over, vm, RECALL, NOBODY, over + PATIENCE) for vm in who]
    return Change("borrow", tuple(items))


def _squeeze(scene: Scene, rng: Rng) -> Change | None:
    """Neighbours give to a VM, or to two of the same host, for one to several minutes."""
    victim, step = scene.victim(rng)
    who = {victim}
    place = scene.place(victim, step)
    if place is not None and rng.random() < 0.3:
        who.add(int(rng.choice(scene.mates(place))))
    when = [step + SQUEEZE_STEPS * k for k in range(1 + int(rng.exponential(SQUEEZES)))]
    items = (Item(one, vm, SQUEEZE, NOBODY, one + SHORT_PATIENCE) for one in when for vm in who)
    return Change("squeeze", tuple(items))


def _clone(scene: Scene, rng: Rng) -> Change | None:
    """A VM that loses is divided between two hosts, for a while or for good."""
    victim, step = scene.victim(rng)
    targets = scene.targets(victim, step, part=0.6) if victim in scene.clonable else []
    if not targets:
        return None
    target = targets[int(rng.integers(len(targets)))]
    items = [Item(step, victim, CLONE, target, step + PATIENCE)]
    if rng.random() < 0.5:
        over = step + int(rng.integers(10, 100))
        items.append(Item(over, victim, MERGE, NOBODY, over + PATIENCE))
    return Change("clone", tuple(items))


def _recall(scene: Scene, rng: Rng) -> Change | None:
    """Somebody who borrows stops it."""
    k = int(rng.integers(len(scene.away)))
    who = scene.vm_id[k][scene.away[k] & (scene.vm_id[k] >= 0)]
    if not who.size:
        return None
    step = scene.first + k
    return Change("recall", (Item(step, int(rng.choice(who)), RECALL, NOBODY, step + PATIENCE),))


def _drop(scene: Scene, rng: Rng) -> Change | None:
    """Leave out one order, all to one VM from now on, all of one kind, or all of this part."""
    own = scene.own
    if not own:
        return None
    one, how = own[int(rng.integers(len(own)))], rng.random()
    if how < 0.4:
        return Change("drop", drop=(one,))
    if how < 0.6:
        later = (item for item in scene.plan.items if item.step >= scene.first)
        return Change("drop", drop=tuple(item for item in later if item.vm == one.vm))
    if how < 0.8:
        return Change("drop", drop=tuple(item for item in own if item.verb == one.verb))
    return Change("drop", drop=tuple(own))


def _retime(scene: Scene, rng: Rng) -> Change | None:
    """Give an order earlier or later, or move to another host."""
    own = scene.own
    if not own:
        return None
    one = own[int(rng.integers(len(own)))]
    step = max(one.step + int(rng.integers(-8, 9)), scene.first)
    target = one.target
    if one.verb == MIGRATE and rng.random() < 0.4:
        target = int(rng.choice(scene.hosts))
    new = one._replace(step=step, target=target, until=step + PATIENCE)
    return Change("retime", (new,), (one,))


def _turn(scene: Scene, rng: Rng) -> Change | None:
    """Local balancing the other way round, for a while or for good."""
    first = int(rng.integers(scene.first, scene.last))
    last = first + int(rng.integers(3, 60)) if rng.random() < 0.6 else scene.plan.balance.size
    return Change("turn", turn=(first, last))


_RULES: dict[str, tuple[float, Rule]] = {
    "move": (3.0, _promising),
    "two moves": (1.5, _two_moves),
    "any move": (2.0, _any_move),
    "borrow": (1.5, _borrow),
    "squeeze": (2.0, _squeeze),
    "clone": (0.7, _clone),
    "recall": (0.5, _recall),
    "drop": (2.5, _drop),
    "retime": (1.5, _retime),
    "turn": (0.7, _turn),
}
"""How often each rule is tried, and the rule."""
