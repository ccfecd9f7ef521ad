"""One heuristic per resource, side by side: the strong baseline for a whole host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from gymbal_runtime.agent import Agent
from gymbal_runtime.command import Command
from gymbal_runtime.heuristics.last_seen import LastSeen
from gymbal_runtime.telemetry import Bools, Telemetry

Options = dict[str, Any]

RESOURCE_FIELDS: dict[str, tuple[str, ...]] = {
    "memory": ("balloon_bytes",),
    "cache": ("llc_class", "llc_units"),
    "cpu": ("cpu_weight", "cpu_cap_cores"),
    "device": ("device_mode",),
    "monitor": ("monitor_level",),
}
"""Resource -> the fields of a command that decide it."""


def _tuned_memory() -> Options:
    # Here and not above: the codec imports this package.
    from gymbal_runtime.codec import default_codec

    codec = default_codec()
    return {"name": codec.heuristic, **codec.options}


@dataclass(frozen=True, eq=False)
class Stacked(Agent):
    """Each resource is decided by a heuristic of its own, all on the same record.

    From each answer the fields of its resource are taken, whatever else it says: a `meb_adaptive`
    in charge of memory does not decide monitors. Two things are told across resources. Memory and
    cache see the last histogram and miss curve of VMs whose monitor is off (`LastSeen`). And memory
    sees a VM in passthrough as one whose balloon cannot move, because its memory is pinned.

    Attributes:
        memory: name and options of the heuristic for balloons; None leaves the resource alone.
        cache: likewise for classes and units of the last-level cache.
        cpu: likewise for CPU weights.
        device: likewise for device modes.
        monitor: likewise for monitor levels.
        remember_curves: hand on the last histograms and curves.
    """

    TUNABLE: ClassVar[dict[str, tuple[float, float]]] = {}
    name = "stacked"

    memory: Options | None = field(default_factory=_tuned_memory)
    cache: Options | None = field(default_factory=lambda: {"name": "ucp"})
    cpu: Options | None = field(default_factory=lambda: {"name": "owner_weights"})
    device: Options | None = field(default_factory=lambda: {"name": "busiest_io"})
    monitor: Options | None = field(default_factory=lambda: {"name": "itc"})
    remember_curves: bool = True
    _agents: dict[str, Agent] = field(init=False, repr=False, default_factory=dict)
    _last_seen: LastSeen = field(init=False, repr=False, default_factory=LastSeen)

    def __post_init__(self) -> None:
        for resource in RESOURCE_FIELDS:
            options = getattr(self, resource)
            if options is not None:
                self._agents[resource] = _make(resource, options)

    def reset(self, num_hosts: int, num_vms: int, hosts: Bools | None = None) -> None:
        """Forget the marked hosts (H,), all where ``hosts`` is None or the shape is a new one."""
        self._last_seen.reset(num_hosts, num_vms, hosts)
        for agent in self._agents.values():
            agent.reset(num_hosts, num_vms, hosts)

    def act(self, telemetry: Telemetry) -> Command:
        """Decide for every host of the record.

        Raises:
            ValueError: if the record does not have the shape that ``reset`` announced.
        """
        seen = self._last_seen.filled(telemetry) if self.remember_curves else telemetry
        records = {"memory": with_pinned_memory(seen), "cache": seen}
        told: dict[str, Any] = {}
        for resource, agent in self._agents.items():
            command = agent.act(records.get(resource, telemetry))
            told |= {name: getattr(command, name) for name in RESOURCE_FIELDS[resource]}
        return replace(Command.no_change(telemetry.num_hosts, telemetry.num_vms), **told)

    def options(self) -> dict[str, Any]:
        """What builds the same agent again, as plain JSON types."""
        chosen = {resource: getattr(self, resource) for resource in RESOURCE_FIELDS}
        return {**chosen, "remember_curves": self.remember_curves}


def with_pinned_memory(telemetry: Telemetry) -> Telemetry:
    """The record with floor and ceiling of VMs in passthrough at what they hold.

    A device that reads and writes guest memory by itself has all of it pinned, so that hypervisors
    inhibit the balloon (QEMU: ``ram_block_discard_disable`` in vfio).
    """
    low, high = telemetry.memory_min_bytes, telemetry.memory_max_bytes
    pinned = telemetry.present & (telemetry.device_mode > 0.5)
    held = np.minimum(np.maximum(telemetry.actual_bytes, low), high)
    return replace(
        telemetry,
        memory_min_bytes=np.where(pinned, held, low),
        memory_max_bytes=np.where(pinned, held, high),
    )


def _make(resource: str, options: Mapping[str, Any]) -> Agent:
    # Here and not above: the registry imports this file.
    from gymbal_runtime.heuristics import make_heuristic

    chosen = dict(options)
    name = chosen.pop("name", None)
    if not isinstance(name, str):
        raise ValueError(
            f"stacked: {resource} needs the name of a heuristic, got {dict(options)!r};"
            " say {'name': NAME, option: value, ...}, or None to leave it alone"
        )
    try:
        return make_heuristic(name, **chosen)
    except ValueError as error:
        raise ValueError(f"stacked: {resource}: {error}") from error
