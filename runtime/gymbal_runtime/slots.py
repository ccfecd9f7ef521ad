"""Which slot each VM has: arrays are indexed by slot, and VMs come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


class Slots:
    """Keeps every VM in its slot for as long as it is there.

    A policy remembers by slot, so that a VM that moved to another one would look like a new VM.

    Args:
        largest: number of slots that there may be; None is no limit.
    """

    def __init__(self, largest: int | None = None) -> None:
        self._largest = largest
        self._slots: list[str] = []

    @property
    def keys(self) -> tuple[str, ...]:
        """Who is in each slot; "" where nobody is. The last slot is never empty."""
        return tuple(self._slots)

    def settle(self, keys: Sequence[str]) -> list[int | None]:
        """Give these VMs a slot each and all others' slots free.

        Args:
            keys: what identifies each VM, not empty.

        Returns:
            The slot of each VM, in the order of ``keys``; None where there was none left.

        Raises:
            ValueError: a key is empty or there twice.
        """
        twice = [key for key, count in Counter(keys).items() if count > 1 or not key]
        if twice:
            raise ValueError(f"VMs cannot be told apart: {', '.join(map(repr, twice))}")
        here = set(keys)
        self._slots = [key if key in here else "" for key in self._slots]
        settled = {key: slot for slot, key in enumerate(self._slots) if key}
        free = [slot for slot, key in enumerate(self._slots) if not key]
        free.reverse()
        for key in keys:
            if key in settled:
                continue
            if free:
                settled[key] = free.pop()
                self._slots[settled[key]] = key
            elif self._largest is None or len(self._slots) < self._largest:
                settled[key] = len(self._slots)
                self._slots.append(key)
        while self._slots and not self._slots[-1]:
            self._slots.pop()
        return [settled.get(key) for key in keys]
