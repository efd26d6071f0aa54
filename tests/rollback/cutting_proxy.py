"""A TCP proxy that loses connections when it is told to."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class CuttingProxy:
    """Forwards to `target`; cuts after a text went by, once, before or after it reaches the other side."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._trigger: tuple[bytes, bool] | None = None
        self.refusing = False
        # Whether nobody gets through any more from the next cut on.
        self.refuse_after_cut = False
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_at(self, text: bytes, *, delivered: bool) -> None:
        """Cut when the client says `text`; if `delivered`, the server gets it and its answer is lost."""
        self._trigger = (text, delivered)

    def cut(self) -> None:
        """Cut all connections now."""
        self.refusing = self.refusing or self.refuse_after_cut
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self.cuts += 1

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refusing:
                    client.close()
                    continue
                server = socket.create_connection(self._target)
                with self._lock:
                    self._pairs.append((client, server))
                muted = threading.Event()
                threading.Thread(target=self._upward, args=(client, server, muted), daemon=True).start()
                threading.Thread(target=self._downward, args=(server, client, muted), daemon=True).start()

    def _upward(self, client: socket.socket, server: socket.socket, muted: threading.Event) -> None:
        with suppress(OSError), client, server:
            while data := client.recv(1 << 16):
                trigger = self._trigger
                if trigger is not None and trigger[0] in data:
                    self._trigger = None
                    muted.set()
                    if trigger[1]:
                        server.sendall(data)
                        # The server has it; give it the time to do it, then let nobody hear of it.
                        server.shutdown(socket.SHUT_WR)
                        threading.Event().wait(0.3)
                    self.cut()
                    return
                server.sendall(data)

    def _downward(self, server: socket.socket, client: socket.socket, muted: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if not muted.is_set():
                    client.sendall(data)
