"""QEMU's machine protocol (QMP): one socket, or many at once under one deadline.

A QEMU that hangs costs its own deadline once, and next to nothing afterwards.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from gymbal_runtime.adapters.qmp_connection import QmpConnection, QmpError

OVERDUE_S = 0.05
"""How long others wait for a socket that owes an answer from before."""

Request = tuple[str, Mapping[str, Any] | None]
"""A command and its arguments."""


class QmpSocket(QmpConnection):
    """A QMP connection that commands can be run on.

    Args:
        path: of the UNIX socket.
        timeout_s: for `execute`.
    """

    def __init__(self, path: Path | str, timeout_s: float = 5.0) -> None:
        super().__init__(path)
        self.timeout_s = timeout_s

    def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> Any:
        """Run one command and return what it returns.

        Raises:
            QmpError: QEMU refuses it.
            TimeoutError: it does not answer in time; the command may still be carried out.
            OSError: there is no connection to be had.
        """
        patience = self.timeout_s if timeout_s is None else timeout_s
        (answer,) = exchange({self: [(command, arguments)]}, patience, patience)[self]
        if isinstance(answer, OSError):
            raise answer
        return answer


class _Talk:
    """One socket's part of an exchange: first what is overdue arrives, then the requests go out."""

    def __init__(self, qmp: QmpSocket, requests: Sequence[Request]) -> None:
        self._qmp = qmp
        self._requests = requests
        self._ids: list[int] | None = None
        self.is_overdue = qmp.outstanding > 0
        qmp.connect()
        if not self.is_overdue:
            self._send()

    def step(self) -> bool:
        """Take in what arrived; True once every answer is here."""
        self._qmp.receive()
        if self._ids is None and not self._qmp.outstanding:
            self._send()
        return self._ids is not None and all(self._qmp.has(number) for number in self._ids)

    def answers(self) -> list[Any]:
        return [self._qmp.take(number) for number in self._ids or ()]

    def _send(self) -> None:
        self._ids = [self._qmp.send(command, given) for command, given in self._requests]


def exchange(
    requests: Mapping[QmpSocket, Sequence[Request]],
    timeout_s: float,
    overdue_s: float = OVERDUE_S,
) -> dict[QmpSocket, list[Any]]:
    """Run commands on many sockets at once.

    Args:
        requests: commands for each socket; they are carried out in order.
        timeout_s: after which those that have not answered everything count as silent.
        overdue_s: the same for those that were silent before, if all others have answered.

    Returns:
        For each socket one answer per command. What failed is an `OSError` in its place:
        a `QmpError` where QEMU refuses, a `TimeoutError` where it is silent, another where it is
        gone.
    """
    deadline_s = time.monotonic() + timeout_s
    overdue_deadline_s = time.monotonic() + overdue_s
    answers: dict[QmpSocket, list[Any]] = {}
    talks: dict[QmpSocket, _Talk] = {}
    with selectors.DefaultSelector() as selector:
        for qmp, commands in requests.items():
            try:
                talks[qmp] = _Talk(qmp, commands)
                selector.register(qmp, selectors.EVENT_READ)
            except OSError as error:
                answers[qmp] = [error] * len(commands)
        while waited_for := set(talks) - set(answers):
            is_fresh = any(not talks[qmp].is_overdue for qmp in waited_for)
            left_s = (deadline_s if is_fresh else overdue_deadline_s) - time.monotonic()
            if left_s <= 0:
                break
            for key, _ in selector.select(left_s):
                qmp = cast(QmpSocket, key.fileobj)
                descriptor = key.fd  # it is -1 once the connection broke
                try:
                    if not talks[qmp].step():
                        continue
                    answers[qmp] = talks[qmp].answers()
                except OSError as error:
                    answers[qmp] = [error] * len(requests[qmp])
                selector.unregister(descriptor)
    silent = TimeoutError(f"no answer in {timeout_s:g} s")
    for qmp, commands in requests.items():
        answers.setdefault(qmp, [silent] * len(commands))
        qmp.give_up(time.monotonic())
    return answers


__all__ = ["QmpError", "QmpSocket", "Request", "exchange"]
