"""A way to a server that can be cut."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class Proxy:
    """Passes connections on to a server on loopback. `open` False refuses and cuts; `lose` loses replies.

    `lose` is how many replies to messages that hold `about` are lost, each with its connection, after `when_lost`.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.open = True
        self.lose = 0
        self.when_lost: Callable[[], None] = lambda: None
        self.about = b"EVALSHA"
        self.passed = 0
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection and let none through."""
        self.open = False
        for each in self._sockets:
            hang_up(each)

    def close(self) -> None:
        self.cut()
        hang_up(self._listener)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.open:
                server = socket.create_connection(("127.0.0.1", self._server))
                self._sockets += [client, server]
                threading.Thread(target=self._serve, args=(client, server), daemon=True).start()
            else:
                hang_up(client)

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        """Redis answers each message of ours before the next, so one thread can do both directions."""
        with contextlib.suppress(OSError):
            while message := client.recv(1 << 20):
                server.sendall(message)
                reply = server.recv(1 << 20)
                self.passed += 1
                if self.lose and self.about in message:
                    self.lose -= 1
                    self.when_lost()
                    break
                client.sendall(reply)
        hang_up(client)
        hang_up(server)


def hang_up(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
