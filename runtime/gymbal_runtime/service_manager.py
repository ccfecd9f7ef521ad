"""Telling systemd how the service is, by its datagram protocol, sd_notify(3)."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class ServiceManager:
    """Sends states to the socket that systemd names in the environment; without one, nowhere.

    Args:
        environment: default: the process's.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        given = os.environ if environment is None else environment
        self._address = given.get("NOTIFY_SOCKET", "")
        mine = given.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = given.get("WATCHDOG_USEC", "")
        self._watchdog_s = int(microseconds) / 1e6 if mine and microseconds.isdigit() else 0.0
        self._ready = False

    @property
    def watchdog_s(self) -> float:
        """Seconds of silence after which the service is restarted; 0 where nobody watches."""
        return self._watchdog_s

    def check_interval(self, interval_s: float) -> None:
        """Refuse an interval in which the service would be taken for dead.

        Raises:
            ValueError: it is above half the watchdog's time.
        """
        if self._watchdog_s and interval_s > self._watchdog_s / 2:
            raise ValueError(
                f"an interval of {interval_s:g} s needs WatchdogSec={2 * interval_s:g} or more in"
                f" the unit, which has {self._watchdog_s:g}"
            )

    def beat(self) -> None:
        """Say that a step was done: the service is ready, and alive."""
        self._send("WATCHDOG=1" if self._ready else "READY=1\nWATCHDOG=1")
        self._ready = True

    def stopping(self) -> None:
        """Say that it is about to end."""
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        # Nobody listening is the service manager's problem and must not become the loop's.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel,
        ):
            channel.sendto(state.encode(), address)
