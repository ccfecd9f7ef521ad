"""The codec of placement: telemetry to observation and mask, choices to orders.

Training and serving import this file; there is no second one. For each VM at the head of the queue
a policy chooses one of a few candidate hosts, or to let it wait; it sees which one its heuristic
would choose. An observation grows with the queue, not with hosts times VMs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.centre.telemetry import NOWHERE, CentreTelemetry, Ints
from gymbal_runtime.hashing import content_hash
from gymbal_runtime.placement.candidates import NUM_CANDIDATES
from gymbal_runtime.placement.compatibility import shipped_table
from gymbal_runtime.placement.heuristics import make_placement_heuristic
from gymbal_runtime.placement.orders import PlacementOrders
from gymbal_runtime.placement.quantities import (
    CANDIDATE_QUANTITIES,
    CENTRE_QUANTITIES,
    VM_QUANTITIES,
)
from gymbal_runtime.placement.queue import FEWEST_PLACES, HOSTS_PER_PLACE
from gymbal_runtime.placement.rows import (
    CANDIDATE_BOUNDS,
    CENTRE_BOUNDS,
    VM_BOUNDS,
    Choices,
    Reader,
)
from gymbal_runtime.signature import MAX_VMS, SCORES, Bounds, Signature, float32_bounds
from gymbal_runtime.tasks import PLACEMENT, check_task
from gymbal_runtime.telemetry import Bools, Floats

PLACEMENT_CODEC_VERSION = 1
NUM_CHOICES = NUM_CANDIDATES + 1
_COMPATIBLE: dict[str, Any] = {
    "ceiling": 0.605, "arrival_frac": 0.807, "host_cost": 0.02, "wake_cost": 0.946, "greedy": False,
}  # fmt: skip
"""The best of 16 sets on 24 training centres (``scripts/tune.py task=placement``), rounded."""
WAIT = 0
"""The choice to let a VM wait; candidates are counted from 1."""


class PlacementObservation(TypedDict):
    """What a policy sees of C centres with M places in the queue and K candidates for each."""

    vms: NDArray[np.float32]  # (C, M, F), zero where nobody waits
    candidates: NDArray[np.float32]  # (C, M, K, G), zero where there is no candidate
    centre: NDArray[np.float32]  # (C, J)
    present: NDArray[np.float32]  # (C, M) 1 where a VM waits
    offered: NDArray[np.float32]  # (C, M, K) 1 where there is a candidate
    proposed: NDArray[np.float32]  # (C, M) what the heuristic would choose
    mask: NDArray[np.float32]  # (C, M, K + 1) 1 where the choice may be made


@dataclass(frozen=True, slots=True)
class NoHistory:
    """Everything that counts is in the present record."""

    def forget(self, worlds: Bools) -> NoHistory:
        """There is nothing to forget."""
        return self


@dataclass(frozen=True)
class PlacementCodec:
    """Encodes telemetry for a policy and decodes the hosts that it chooses.

    Attributes:
        task: id of the task.
        heuristic: name of the rule whose choices the policy is shown.
        options: the rule's options, as they were in training.

    Raises:
        ValueError: there is no such task, it is not about placement, or there is no such rule.
    """

    task: str = PLACEMENT
    heuristic: str = "compatible"
    options: dict[str, Any] = field(default_factory=lambda: dict(_COMPATIBLE))

    def __post_init__(self) -> None:
        check_task(self.task)
        if self.task != PLACEMENT:
            raise ValueError(f"the codec of placement is for {PLACEMENT}, not {self.task}")
        make_placement_heuristic(self.heuristic, **self.options)

    @property
    def num_vm_features(self) -> int:
        """F, the length of a VM's row."""
        return len(VM_QUANTITIES)

    @property
    def num_candidate_features(self) -> int:
        """G, the length of a candidate's row."""
        return len(CANDIDATE_QUANTITIES)

    @property
    def num_centre_features(self) -> int:
        """J, the length of a centre's row."""
        return len(CENTRE_QUANTITIES)

    @property
    def actions(self) -> tuple[str, ...]:
        """What can be chosen for a VM."""
        return ("wait", *(f"candidate {k}" for k in range(1, NUM_CHOICES)))

    @property
    def signature(self) -> Signature:
        """What a policy of this codec takes and gives: a score for each choice of each VM."""
        rows = ("centres", "queue")
        return Signature(
            inputs={
                "vms": (*rows, self.num_vm_features),
                "candidates": (*rows, NUM_CANDIDATES, self.num_candidate_features),
                "centre": ("centres", self.num_centre_features),
                "present": rows,
                "offered": (*rows, NUM_CANDIDATES),
                "proposed": rows,
                "mask": (*rows, NUM_CHOICES),
            },
            tables={"candidates": "offered", "vms": "present", "centre": None},
            asked="mask",
            output=SCORES,
            limit=MAX_VMS,
            limited="places in the queue",
            sized=("present", 1),
        )

    def spec(self) -> dict[str, Any]:
        """Everything that gives the numbers their meaning, as plain JSON types."""
        return {
            "task": self.task,
            "placement_codec_version": PLACEMENT_CODEC_VERSION,
            "heuristic": self.heuristic,
            "options": dict(sorted(self.options.items())),
            "queue": {"fewest": FEWEST_PLACES, "hosts_per_place": HOSTS_PER_PLACE},
            "compatibility": content_hash(shipped_table().to_dict()),
            "vm_quantities": [asdict(q) for q in VM_QUANTITIES],
            "candidate_quantities": [asdict(q) for q in CANDIDATE_QUANTITIES],
            "centre_quantities": [asdict(q) for q in CENTRE_QUANTITIES],
            "action": {"choices": list(self.actions), "shape": ["centres", "queue"]},
        }

    def fingerprint(self) -> str:
        """Hash of `spec`: two codecs with the same fingerprint read a policy the same way."""
        return content_hash(self.spec())

    def bounds(self) -> dict[str, Bounds]:
        """Bounds of each feature: ``vms`` (F,), ``candidates`` (G,), ``centre`` (J,)."""
        return float32_bounds(vms=VM_BOUNDS, candidates=CANDIDATE_BOUNDS, centre=CENTRE_BOUNDS)

    def initial_history(self, num_centres: int, num_vms: int) -> NoHistory:
        """Nothing is remembered."""
        return NoHistory()

    def encode(
        self, telemetry: CentreTelemetry, base: PlacementOrders, history: NoHistory
    ) -> tuple[PlacementObservation, NoHistory]:
        """Telemetry to observation.

        Args:
            telemetry: record of C centres.
            base: what the rule proposes for this record.
            history: nothing.
        """
        reader = Reader(telemetry, base.chosen)
        choices = reader.choices
        observation = PlacementObservation(
            vms=reader.vms.astype(np.float32),
            candidates=reader.rows.astype(np.float32),
            centre=reader.centre.astype(np.float32),
            present=(choices.queue != NOWHERE).astype(np.float32),
            offered=(choices.hosts != NOWHERE).astype(np.float32),
            proposed=choices.proposed.astype(np.float32),
            mask=choices.mask.astype(np.float32),
        )
        return observation, history

    def choices(self, telemetry: CentreTelemetry, base: PlacementOrders | None = None) -> Choices:
        """What may be chosen for whom; without a proposal nothing is booked in between."""
        chosen = base.chosen if base is not None else np.full(telemetry.present.shape, NOWHERE)
        return Reader(telemetry, chosen, see=False).choices

    def mask(self, telemetry: CentreTelemetry, base: PlacementOrders | None = None) -> Bools:
        """Choices that may be made, (C, M, K + 1)."""
        return self.choices(telemetry, base).mask

    def decode(
        self,
        action: NDArray[Any],
        telemetry: CentreTelemetry,
        base: PlacementOrders | None = None,
    ) -> PlacementOrders:
        """Choices to orders; what is masked, or has no room any more, counts as the proposal.

        Args:
            action: (C, M) choices in 0..K.
            telemetry: the record that was encoded.
            base: what the rule proposes; who follows it gets exactly its orders. None: whoever
                cannot have what was chosen waits, and no host falls asleep.
        """
        choices = self.choices(telemetry, base)
        picked = np.asarray(action, dtype=np.int64).reshape(choices.queue.shape)
        legal = (picked >= 0) & (picked < NUM_CHOICES)
        picked = np.where(legal, picked, choices.proposed)
        allowed = np.take_along_axis(choices.mask, picked[..., None], axis=-1)[..., 0]
        picked = np.where(allowed, picked, choices.proposed)
        if base is not None and (picked == choices.proposed).all():
            return base
        chosen = np.full(telemetry.present.shape, NOWHERE, dtype=np.int64)
        _settle(telemetry, choices, picked, chosen)
        due = base.due if base is not None else np.zeros(telemetry.exists.shape, dtype=np.bool_)
        return PlacementOrders.of(telemetry, chosen, due)


def _settle(telemetry: CentreTelemetry, choices: Choices, picked: Ints, chosen: Ints) -> None:
    """Give VMs what was picked for them, in the order of the queue, while there is room."""
    free: Floats = np.where(telemetry.exists, telemetry.memory_bytes - telemetry.held_bytes, -1.0)
    one = np.arange(telemetry.num_centres)
    for k in range(choices.queue.shape[1]):
        vm = choices.queue[:, k]
        if (vm == NOWHERE).all():
            return
        need = telemetry.vm_memory_bytes[one, np.maximum(vm, 0)]
        done = vm == NOWHERE
        for choice in (picked[:, k], choices.proposed[:, k]):
            host = choices.hosts[one, k, np.maximum(choice - 1, 0)]
            waits = choice == WAIT
            fits = ~done & ~waits & (free[one, np.maximum(host, 0)] >= need)
            c = np.flatnonzero(fits)
            chosen[c, vm[c]] = host[c]
            free[c, host[c]] -= need[c]
            done = done | fits | waits
