"""The codec of clusters: telemetry to observation and mask, action to orders.

Training and serving import this file; there is no second one. A policy chooses one order per
cluster and decision, or what its heuristic proposes, which it is shown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.cluster.actions import action_of, actions_of, mask_of, orders_of, verb_home
from gymbal_runtime.cluster.candidates import (
    MOST_TARGETS,
    USED_FLOOR,
    ranked_candidates,
    sensible,
)
from gymbal_runtime.cluster.history import ClusterHistory
from gymbal_runtime.cluster.host_rows import cluster_columns, host_columns
from gymbal_runtime.cluster.observation import (
    CANDIDATE_BOUNDS,
    CLUSTER_BOUNDS,
    HOST_BOUNDS,
    ClusterObservation,
    bounded_rows,
    vm_rows,
)
from gymbal_runtime.cluster.orders import Legal, Orders, legal
from gymbal_runtime.cluster.quantities import (
    CLUSTER_QUANTITIES,
    HISTORY_QUANTITIES,
    HOST_QUANTITIES,
    VM_QUANTITIES,
)
from gymbal_runtime.cluster.rows import (
    Candidates,
    memory_columns,
    situation_columns,
    told_columns,
)
from gymbal_runtime.cluster.suffering import Floors
from gymbal_runtime.cluster.telemetry import ClusterTelemetry, Ints
from gymbal_runtime.hashing import content_hash
from gymbal_runtime.observation import HISTORY_STEPS
from gymbal_runtime.signature import MAX_HOSTS, SCORES, Bounds, Signature, float32_bounds
from gymbal_runtime.tasks import OVERLOAD, check_task
from gymbal_runtime.telemetry import Bools, Floats

CLUSTER_CODEC_VERSION = 2

FLOORS = Floors()
"""From when on a VM counts as suffering in what a policy sees."""

_BALANCE_FIRST: dict[str, Any] = {
    "rate_floor_bytes_s": 910000.0,
    "stall_floor": 0.163,
    "release_s": 37.3,
    "margin_frac": 0.0839,
    "dwell_s": 306.0,
    "least_speedup": 4.01,
    "copy_slowdown": 0.237,
    "fixed_s": 2.41,
    "s_per_gib": 2.59,
    "prior_weight": 13.1,
    "patience_s": 22.7,
    "spare_frac": 62.0,
    "clone": True,
}
"""The best of 48 sets on 64 training clusters (``scripts/tune.py task=overload``), rounded."""

_ACTION_RULE = "0 nothing; 1 + (h * K + k) * (4 + H) + a; a: squeeze, borrow, home, clone, host j"


@dataclass(frozen=True)
class ClusterCodec:
    """Encodes cluster telemetry for a policy and decodes its choice to one order per cluster.

    Attributes:
        task: id of a task about overloaded hosts.
        heuristic: name of the heuristic whose most urgent order the policy is shown.
        options: the heuristic's options, as they were in training.
        candidates: K, VMs of each host that the policy is asked about.

    Raises:
        ValueError: there is no such task, or it is not about overloads, or no candidate is asked
            for.
    """

    task: str = OVERLOAD
    heuristic: str = "balance_first"
    options: dict[str, Any] = field(default_factory=lambda: dict(_BALANCE_FIRST))
    candidates: int = 3

    def __post_init__(self) -> None:
        check_task(self.task)
        if self.task != OVERLOAD:
            raise ValueError(f"the cluster codec is for {OVERLOAD}, not {self.task}")
        if self.candidates < 1:
            raise ValueError(f"candidates must be at least 1, got {self.candidates}")

    @property
    def num_vm_features(self) -> int:
        """F, the length of a candidate's row."""
        return len(VM_QUANTITIES) + HISTORY_STEPS * len(HISTORY_QUANTITIES)

    @property
    def num_host_features(self) -> int:
        """G, the length of a host's row."""
        return len(HOST_QUANTITIES)

    @property
    def num_cluster_features(self) -> int:
        """J, the length of a cluster's row."""
        return len(CLUSTER_QUANTITIES)

    def actions_of(self, num_hosts: int) -> int:
        """A, the number of actions of a cluster of H host places: 1 + H K (4 + H)."""
        return actions_of(num_hosts, self.candidates)

    @property
    def actions(self) -> tuple[str, ...]:
        """What can be chosen for a candidate."""
        return ("squeeze", "borrow", "home", "clone", "migrate")

    @property
    def signature(self) -> Signature:
        """What a policy of this codec takes and gives: a score for each action."""
        rows = ("clusters", "hosts", self.candidates)
        return Signature(
            inputs={
                "vms": (*rows, self.num_vm_features),
                "vm_present": rows,
                "hosts": ("clusters", "hosts", self.num_host_features),
                "host_present": ("clusters", "hosts"),
                "cluster": ("clusters", self.num_cluster_features),
                "proposed": ("clusters", 1),
                "mask": ("clusters", "actions"),
            },
            tables={"vms": "vm_present", "hosts": "host_present", "cluster": None},
            asked="mask",
            output=SCORES,
            limit=MAX_HOSTS,
            limited="hosts",
            sized=("host_present", 1),
        )

    def spec(self) -> dict[str, Any]:
        """Everything that gives the numbers their meaning, as plain JSON types."""
        return {
            "task": self.task,
            "cluster_codec_version": CLUSTER_CODEC_VERSION,
            "heuristic": self.heuristic,
            "options": dict(sorted(self.options.items())),
            "candidates": self.candidates,
            "floors": asdict(FLOORS),
            "asked": {"used_floor": USED_FLOOR, "most_targets": MOST_TARGETS},
            "history_steps": HISTORY_STEPS,
            "vm_quantities": [asdict(q) for q in VM_QUANTITIES],
            "history_quantities": [asdict(q) for q in HISTORY_QUANTITIES],
            "host_quantities": [asdict(q) for q in HOST_QUANTITIES],
            "cluster_quantities": [asdict(q) for q in CLUSTER_QUANTITIES],
            "action": {"choices": _ACTION_RULE, "shape": ["clusters"]},
        }

    def fingerprint(self) -> str:
        """Hash of `spec`: two codecs with the same fingerprint read a policy the same way."""
        return content_hash(self.spec())

    def bounds(self) -> dict[str, Bounds]:
        """Lower and upper bound of each feature: ``vms`` (F,), ``hosts`` (G,), ``cluster`` (J,)."""
        return float32_bounds(vms=CANDIDATE_BOUNDS, hosts=HOST_BOUNDS, cluster=CLUSTER_BOUNDS)

    def initial_history(self, num_clusters: int, num_hosts: int, num_vms: int) -> ClusterHistory:
        """The memory before the first decision: nothing changed so far."""
        return ClusterHistory.empty(num_clusters, num_hosts, num_vms)

    def encode(
        self, telemetry: ClusterTelemetry, base: Orders, history: ClusterHistory
    ) -> tuple[ClusterObservation, ClusterHistory]:
        """Telemetry to observation.

        Args:
            telemetry: record of C clusters.
            base: what the heuristic proposes for this record.
            history: what was remembered after the previous decision.

        Returns:
            The observation and the history to pass next time.
        """
        slots, allowed, proposed, mask = self._choices(telemetry, base)
        told = orders_of(proposed, telemetry, slots, allowed)
        memory = history.advance(telemetry, FLOORS)
        seen = Candidates.at(slots, telemetry.num_vms)
        exists = telemetry.exists.reshape(-1, 1).astype(np.float32)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            vms = memory_columns(telemetry, seen)
            vms |= situation_columns(telemetry, seen, allowed, memory)
            vms |= told_columns(seen, base, told)
            host = host_columns(telemetry, memory, _target_flags(told))
            cluster = cluster_columns(telemetry, memory, base)
            host_rows = bounded_rows(host, HOST_QUANTITIES, HOST_BOUNDS) * exists
            observation = ClusterObservation(
                vms=vm_rows(vms, seen, memory).reshape(*slots.shape, -1),
                vm_present=(slots >= 0).astype(np.float32),
                hosts=host_rows.reshape(*telemetry.exists.shape, -1),
                host_present=telemetry.exists.astype(np.float32),
                cluster=bounded_rows(cluster, CLUSTER_QUANTITIES, CLUSTER_BOUNDS),
                proposed=proposed[:, None].astype(np.float32),
                mask=mask.astype(np.float32),
            )
        return observation, memory

    def mask(self, telemetry: ClusterTelemetry, base: Orders | None = None) -> Bools:
        """Actions that may be chosen, (C, A): the legal and `sensible` ones, and what is proposed.

        With the same proposal it is the mask of the observation.
        """
        return self._choices(telemetry, base)[-1]

    def _choices(
        self, telemetry: ClusterTelemetry, base: Orders | None
    ) -> tuple[Ints, Legal, Ints, Bools]:
        """Candidates (C, H, K), their legal orders, the proposed action (C,), the mask (C, A)."""
        slots, rank = ranked_candidates(telemetry, self.candidates)
        allowed, home = legal(telemetry, slots), verb_home(telemetry, slots)
        mask = mask_of(sensible(allowed, telemetry), home)
        proposed = np.zeros(telemetry.num_clusters, dtype=np.int64)
        if base is not None:
            proposed = action_of(base, slots, rank, home, mask_of(allowed, home))
            mask[np.arange(len(mask)), proposed] = True
        return slots, allowed, proposed, mask

    def decode(
        self,
        action: NDArray[np.integer],
        telemetry: ClusterTelemetry,
        base: Orders | None = None,
    ) -> Orders:
        """The orders of each cluster that its action stands for.

        Who chooses the proposed action gets all that the heuristic says, which may be more than one
        order; any other choice takes their place.

        Args:
            action: (C,) numbers in 0..A-1.
            telemetry: the record that was encoded.
            base: the heuristic's proposal; local balancing and pools are its, not the policy's.
                None: nothing is proposed, balancing is on and lending elastic.

        Returns:
            Orders of which at most one per cluster is not WAIT, or the heuristic's. Where the mask
            allows the action it is legal.

        Raises:
            ValueError: a number is not that of an action.
        """
        slots, allowed, proposed, _ = self._choices(telemetry, base)
        orders = orders_of(action, telemetry, slots, allowed)
        if base is None:
            return orders
        agreed = (np.asarray(action) == proposed)[:, None, None]
        return Orders(
            verb=np.where(agreed, base.verb, orders.verb),
            target=np.where(agreed, base.target, orders.target),
            balance=base.balance,
            pool_bytes=base.pool_bytes,
        )


def _target_flags(told: Orders) -> Floats:
    """(C, H) 1 for the host that the order of each cluster leads to."""
    target = told.target.max(axis=(1, 2))
    flags: Floats = (target[:, None] == np.arange(told.verb.shape[1])).astype(np.float64)
    return flags
