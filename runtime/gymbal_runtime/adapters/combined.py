"""A host put together from a hypervisor and other parts, as the controller sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np

from gymbal_runtime.adapters.part import HostPart, Hypervisor, Vm
from gymbal_runtime.adapters.readings import Readings
from gymbal_runtime.command import Command
from gymbal_runtime.slots import Slots
from gymbal_runtime.telemetry import Bools, Floats, Telemetry
from gymbal_runtime.worker import Worker


class CombinedHost:
    """Merges what its parts read, and gives each the fields of a command that it obeys.

    Every part is called in a thread of its own and has ``timeout_s`` to answer, so that one that
    fails or hangs costs its own fields (NaN) and not the host. Without the hypervisor there is no
    record, because it alone knows the VMs.

    A VM whose memory the hypervisor cannot tell is not present in the record, and what it last
    held (else all that it may hold) is taken off the budget; so is what VMs without a slot hold.

    Args:
        hypervisor: knows the VMs and their configured values.
        parts: others; where two measure or obey the same field, the later one counts.
        name: of the host, for logs.
        budget_bytes: host memory that may be divided between all its VMs.
        max_vms: VMs that get a slot; None is no limit.
        timeout_s: for each part to answer.
        stale_s: a part's values that are older than this count as not measured.
        clock: seconds, monotonic.

    Attributes:
        vm_names: name of the VM in each slot, "" where none is.
        capabilities: fields of a command that some part obeys.
        errors: what went wrong at the last `telemetry`, "part: what happened".

    Raises:
        ValueError: the budget is not a positive number.
    """

    def __init__(
        self,
        hypervisor: Hypervisor,
        parts: Sequence[HostPart] = (),
        *,
        name: str,
        budget_bytes: float,
        max_vms: int | None = None,
        timeout_s: float = 10.0,
        stale_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 < budget_bytes < np.inf:
            raise ValueError(f"budget_bytes must be a positive number of bytes, got {budget_bytes}")
        self.name = name
        self.vm_names: tuple[str, ...] = ()
        self.errors: list[str] = []
        self._hypervisor = hypervisor
        self._parts: tuple[HostPart, ...] = (hypervisor, *parts)
        self.capabilities = frozenset[str]().union(*(part.obeys for part in self._parts))
        self._budget_bytes = float(budget_bytes)
        self._timeout_s = timeout_s
        self._stale_s = stale_s
        self._clock = clock
        self._workers = [Worker(part.name, clock) for part in self._parts]
        self._slots = Slots(max_vms)
        self._vms: list[Vm] = []
        self._slot_of: list[int | None] = []  # of each VM, in the order of _vms
        self._held: dict[str, float] = {}  # bytes that each VM held when last read
        self._told: dict[str, float] = {}  # bytes that each was last told to hold

    def telemetry(self) -> Telemetry:
        """The newest record, of as many slots as the VMs need.

        Raises:
            OSError: the hypervisor does not answer.
        """
        self.errors = []
        vms = self._workers[0].call(self._hypervisor.vms, self._timeout_s)
        self._slot_of = self._slots.settle([_key(vm) for vm in vms])
        self._vms = vms
        names = {_key(vm): vm.name for vm in vms}
        self.vm_names = tuple(names.get(key, "") for key in self._slots.keys)
        readings, age_s = self._read_parts()
        readable = _readable(readings)
        served = readable & np.array([slot is not None for slot in self._slot_of], dtype=np.bool_)
        record = readings.record(self._slot_of, len(self.vm_names))
        here = [
            slot
            for slot, fine in zip(self._slot_of, served, strict=True)
            if fine and slot is not None
        ]
        record.present[0, here] = True
        budget_bytes = self._budget_bytes - self._reserved(readings, readable, served)
        return replace(
            record,
            time_s=np.array([self._clock()]),
            age_s=np.array([age_s]),
            budget_bytes=np.array([budget_bytes]),
        )

    def apply(self, command: Command) -> None:
        """Tell every part what it obeys; VMs are those of the last `telemetry`.

        Raises:
            OSError: names every part that did not do all it was told, after all were tried.
        """
        values = {name: self._by_vm(given[0]) for name, given in command.given.items()}
        told = {name: given for name, given in values.items() if not np.isnan(given).all()}
        vms = list(self._vms)
        for vm, target in zip(vms, values.get("balloon_bytes", ()), strict=False):
            if not np.isnan(target):
                self._told[_key(vm)] = float(target)
        lost = sorted(set(told) - self.capabilities)
        failed = [f"no part of the host obeys {', '.join(lost)}"] if lost else []
        for part, settings in self._shared_out(told):
            worker = self._workers[self._parts.index(part)]
            try:
                worker.call(_applying(part, vms, settings), self._timeout_s)
            except Exception as error:  # a part's bug must not keep the others from being served
                failed.append(_said(part, error))
        if failed:
            raise OSError("; ".join(failed))

    def close(self) -> None:
        """Close every part; one that does not answer is left behind."""
        for part, worker in zip(self._parts, self._workers, strict=True):
            try:
                worker.call(part.close, self._timeout_s)
            except Exception as error:
                self.errors.append(_said(part, error))
            worker.close()

    def _read_parts(self) -> tuple[Readings, float]:
        """Everything that was read, all parts at once, and its age as the hypervisor says.

        Raises:
            OSError: the hypervisor does not answer.
        """
        readings = Readings(len(self._vms))
        deadline_s = self._clock() + self._timeout_s
        vms, age_s = list(self._vms), 0.0
        begun = [self._begin(part, worker, vms) for part, worker in self._pairs()]
        for (part, worker), future in zip(self._pairs(), begun, strict=True):
            if future is None:
                continue
            try:
                read = worker.answer(future, deadline_s - self._clock())
                old_s = float(read.get("age_s", 0.0))
                if part is self._hypervisor:
                    age_s = old_s
                elif not old_s <= self._stale_s:
                    raise TimeoutError(f"its values are {old_s:.0f} s old")
                self.errors += [f"{part.name}: {what}" for what in readings.add(read)]
            except Exception as error:
                if part is self._hypervisor:
                    raise OSError(_said(part, error)) from error
                self.errors.append(_said(part, error))
        return readings, age_s

    def _begin(self, part: HostPart, worker: Worker, vms: list[Vm]) -> Future[Any] | None:
        try:
            return worker.submit(lambda: part.read(vms))
        except TimeoutError as error:
            if part is self._hypervisor:
                raise
            self.errors.append(_said(part, error))
            return None

    def _pairs(self) -> list[tuple[HostPart, Worker]]:
        return list(zip(self._parts, self._workers, strict=True))

    def _reserved(self, readings: Readings, readable: Bools, served: Bools) -> float:
        """Bytes that VMs hold which are not in the record."""
        actual = readings.of_vms("actual_bytes")
        largest = readings.of_vms("memory_max_bytes")
        reserved, held = 0.0, {}
        for row, vm in enumerate(self._vms):
            key = _key(vm)
            now = float(actual[row]) if readable[row] else self._held.get(key, np.nan)
            if not np.isnan(now):
                held[key] = now
            if served[row]:
                continue
            if readable[row]:
                self.errors.append(f"slots: none is left for {vm.name}")
            else:
                self.errors.append(f"{self._hypervisor.name}: cannot read the memory of {vm.name}")
                now = now if np.isfinite(now) else float(largest[row])
            # A balloon goes on to where it was told, whether or not its guest still answers.
            now = max(now, self._told.get(key, 0.0))
            reserved += now if np.isfinite(now) else 0.0
        self._held = held
        self._told = {key: told for key, told in self._told.items() if key in held}
        return reserved

    def _by_vm(self, values: Floats) -> Floats:
        """(V,) values in the order of the VMs from those by slot; NaN for who has none."""
        return np.array(
            [np.nan if slot is None else values[slot] for slot in self._slot_of], dtype=np.float64
        )

    def _shared_out(self, told: dict[str, Floats]) -> list[tuple[HostPart, dict[str, Floats]]]:
        """Each part that is told something, and what."""
        obeyed_by = {name: part for part in self._parts for name in part.obeys}
        shares = [
            (part, {name: told[name] for name in told if obeyed_by.get(name) is part})
            for part in self._parts
        ]
        return [(part, settings) for part, settings in shares if settings]


def _key(vm: Vm) -> str:
    return vm.uuid or vm.name


def _readable(readings: Readings) -> Bools:
    """(V,) VMs whose memory is known, without which there is nothing to decide."""
    actual, largest = readings.of_vms("actual_bytes"), readings.of_vms("memory_max_bytes")
    return np.asarray(np.isfinite(actual) & np.isfinite(largest), dtype=np.bool_)


def _applying(part: HostPart, vms: list[Vm], settings: dict[str, Floats]) -> Any:
    return lambda: part.apply(vms, settings)


def _said(part: HostPart, error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if text.startswith(part.name) else f"{part.name}: {text}"
