"""The other end of a QMP socket, for what no real QEMU can be made to say."""

import contextlib
import json
import socket
import threading

GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\r\n'


class Monitor:
    """The other end: serves one client at a time; ``answer`` makes bytes (or None) of a command."""

    def __init__(self, path, answer):
        self.path = path
        self.answer = answer
        self.heard = []
        self.clients = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.clients.append(client)
                client.sendall(GREETING)
                for line in client.makefile("rb"):
                    message = json.loads(line)
                    self.heard.append(message["execute"])
                    reply = self.answer(message)
                    if reply is not None:
                        client.sendall(reply)

    def close(self):
        for client in (*self.clients, self._listener):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            client.close()


def answered(message):
    return json.dumps({"return": message["execute"], "id": message["id"]}).encode() + b"\r\n"


def silent_but_for_capabilities(message):
    return answered(message) if message["execute"] == "qmp_capabilities" else None
