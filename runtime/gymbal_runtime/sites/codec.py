"""The codec of moves between sites: telemetry to observation and mask, choices to orders.

Training and serving import this file; there is no second one. A policy chooses a verb for every VM;
it sees which one its heuristic would choose.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.hashing import content_hash
from gymbal_runtime.observation import HISTORY_STEPS
from gymbal_runtime.signature import MAX_VMS, SCORES, Bounds, Signature, float32_bounds
from gymbal_runtime.sites.estimates import stop_downtime_s
from gymbal_runtime.sites.orders import (
    COLD,
    NUM_VERBS,
    STOP,
    VERBS,
    SitesOrders,
    among,
    legal,
    only_legal,
)
from gymbal_runtime.sites.rows import (
    LAYOUT,
    VM_BOUNDS,
    WORLD_BOUNDS,
    SitesHistory,
    SitesLayout,
    rows_of,
)
from gymbal_runtime.sites.telemetry import SitesTelemetry
from gymbal_runtime.tasks import SITES, check_task
from gymbal_runtime.telemetry import Bools

SITES_CODEC_VERSION = 1


class SitesObservation(TypedDict):
    """What a policy sees of B worlds with V VM slots each."""

    vms: NDArray[np.float32]  # (B, V, F), zero where no VM is present
    host: NDArray[np.float32]  # (B, G), the world: line, deadline, how many wait
    present: NDArray[np.float32]  # (B, V) 1 where a VM is present
    proposed: NDArray[np.float32]  # (B, V) verb that the heuristic would choose
    mask: NDArray[np.float32]  # (B, V, NUM_VERBS) 1 where the verb may be chosen


@dataclass(frozen=True)
class SitesCodec:
    """Encodes telemetry for a policy and decodes the verbs that it chooses.

    Attributes:
        task: id of the task.
        heuristic: name of the heuristic whose verbs the policy is shown.
        options: the heuristic's options, as they were in training.
        longest_pause_s: a policy may not choose STOP or COLD where the VM would probably be paused
            for longer, unless the heuristic proposes it. A cold move of a large VM is an outage of
            minutes; exploring it teaches little and costs more than all the rest of an episode.

    Raises:
        ValueError: there is no such task, or it is not about moves between sites, or the pause is
            negative.
    """

    task: str = SITES
    heuristic: str = "smart_stop_cbr"
    options: dict[str, Any] = field(default_factory=dict)
    longest_pause_s: float = 60.0

    def __post_init__(self) -> None:
        check_task(self.task)
        if not self.longest_pause_s >= 0:
            raise ValueError(f"longest_pause_s ({self.longest_pause_s}) must not be negative")
        if self.task != SITES:
            raise ValueError(f"the codec of moves between sites is for {SITES}, not {self.task}")

    @property
    def layout(self) -> SitesLayout:
        """Which number stands where in the observation."""
        return LAYOUT

    @property
    def num_vm_features(self) -> int:
        """F, the length of a VM's row."""
        return len(VM_BOUNDS[0])

    @property
    def num_host_features(self) -> int:
        """G, the length of a world's row."""
        return len(WORLD_BOUNDS[0])

    @property
    def actions(self) -> tuple[str, ...]:
        """What can be chosen for a VM."""
        return VERBS

    @property
    def signature(self) -> Signature:
        """What a policy of this codec takes and gives: a score for each verb of each VM."""
        rows = ("worlds", "vms")
        return Signature(
            inputs={
                "vms": (*rows, self.num_vm_features),
                "host": ("worlds", self.num_host_features),
                "present": rows,
                "proposed": rows,
                "mask": (*rows, NUM_VERBS),
            },
            tables={"vms": "present", "host": None},
            asked="mask",
            output=SCORES,
            limit=MAX_VMS,
            limited="VM slots",
            sized=("present", 1),
        )

    def spec(self) -> dict[str, Any]:
        """Everything that gives the numbers their meaning, as plain JSON types."""
        return {
            "task": self.task,
            "sites_codec_version": SITES_CODEC_VERSION,
            "heuristic": self.heuristic,
            "options": dict(sorted(self.options.items())),
            "longest_pause_s": self.longest_pause_s,
            "history_steps": HISTORY_STEPS,
            "vm_quantities": [asdict(q) for q in LAYOUT.vm],
            "history_quantities": [asdict(q) for q in LAYOUT.history],
            "host_quantities": [asdict(q) for q in LAYOUT.host],
            "action": {"choices": list(VERBS), "shape": ["worlds", "vms"]},
        }

    def fingerprint(self) -> str:
        """Hash of `spec`: two codecs with the same fingerprint read a policy the same way."""
        return content_hash(self.spec())

    def bounds(self) -> dict[str, Bounds]:
        """Lower and upper bound of each feature: ``vms`` (F,), ``host`` (G,)."""
        return float32_bounds(vms=VM_BOUNDS, host=WORLD_BOUNDS)

    def initial_history(self, num_worlds: int, num_vms: int) -> SitesHistory:
        """The memory before the first decision: nothing changed so far."""
        return SitesHistory.empty(num_worlds, num_vms)

    def encode(
        self, telemetry: SitesTelemetry, base: SitesOrders, history: SitesHistory
    ) -> tuple[SitesObservation, SitesHistory]:
        """Telemetry to observation.

        Args:
            telemetry: record of B worlds.
            base: what the heuristic proposes for this record.
            history: what was remembered after the previous decision.

        Returns:
            The observation and the history to pass next time.
        """
        vms, worlds, memory = rows_of(telemetry, base, history)
        observation = SitesObservation(
            vms=vms.astype(np.float32),
            host=worlds.astype(np.float32),
            present=telemetry.present.astype(np.float32),
            proposed=only_legal(base.verb, telemetry).astype(np.float32),
            mask=self.mask(telemetry, base).astype(np.float32),
        )
        return observation, memory

    def mask(self, telemetry: SitesTelemetry, base: SitesOrders | None = None) -> Bools:
        """Verbs that may be chosen, (B, V, NUM_VERBS); the first, CONTINUE, always may.

        Args:
            telemetry: record of B worlds.
            base: what the heuristic proposes; it may be chosen, however long the pause.
        """
        allowed = legal(telemetry)
        with np.errstate(all="ignore"):  # absent slots may hold anything
            long = stop_downtime_s(telemetry) > self.longest_pause_s
        for verb in (STOP, COLD):
            forbidden = long if base is None else long & (base.verb != verb)
            allowed[..., verb] &= ~forbidden
        return allowed

    def decode(
        self,
        action: NDArray[Any],
        telemetry: SitesTelemetry,
        base: SitesOrders | None = None,
    ) -> SitesOrders:
        """The verbs as orders; what may not be chosen counts as CONTINUE.

        Args:
            action: (B, V) verbs.
            telemetry: the record that was encoded.
            base: the heuristic's proposal: a VM that is told what it proposes gets its stop rule,
                too, so that following it is exactly the heuristic. None: pre-copy runs until told.
        """
        verb = among(action, self.mask(telemetry, base))
        if base is None:
            return SitesOrders.of(verb)
        return SitesOrders(verb, np.where(verb == base.verb, base.stop_rule, 0).astype(np.int8))
