"""Live migration in words that all hypervisors share."""

from __future__ import annotations

from dataclasses import dataclass

DIRTY_WORD_BYTES = 64 * 4096
"""Memory that one word of QEMU's dirty bitmap covers."""
FIRST_CLEAN_VERSION = (9, 0)
"""QEMU from which emulated (TCG) guests migrate without losing writes ("physmem: Fix migration
dirty bitmap coherency with TCG memory access", March 2024)."""

_ENDED = frozenset({"completed", "failed", "cancelled"})


class MigrationError(OSError):
    """A migration cannot be started, or has failed."""


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """Where a migration stands.

    Attributes:
        status: in QEMU's words: ``setup``, ``active``, ``postcopy-active``, ``completed``,
            ``failed``, ``cancelled`` and others on the way.
        total_s: since it began.
        downtime_s: in which the guest ran nowhere; 0 before its end.
        transferred_bytes: sent so far.
        remaining_bytes: still to be sent, as of now.
        rounds: passes over the memory begun.
        dirty_bytes_s: rate at which the guest wrote anew, in the last pass.
    """

    status: str
    total_s: float = 0.0
    downtime_s: float = 0.0
    transferred_bytes: float = 0.0
    remaining_bytes: float = 0.0
    rounds: int = 0
    dirty_bytes_s: float = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in _ENDED


def check_no_writes_get_lost(version: tuple[int, int], memory_bytes: int) -> None:
    """Refuse to move a running emulated guest by a QEMU whose dirty bitmap misses its writes.

    It does where the memory is a whole number of the bitmap's words.

    Args:
        version: of QEMU, major and minor.
        memory_bytes: that the guest was started with.

    Raises:
        MigrationError: saying what to do.
    """
    if version < FIRST_CLEAN_VERSION and memory_bytes % DIRTY_WORD_BYTES == 0:
        raise MigrationError(
            f"QEMU {version[0]}.{version[1]} without KVM loses writes of a running guest whose "
            f"memory is a multiple of {DIRTY_WORD_BYTES} bytes: suspend it first, or give it "
            "8 KiB more (libvirt rounds that up again)"
        )
