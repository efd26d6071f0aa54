"""Checkpointers whose documents are on a server: connecting, disconnecting, and saying where."""

from __future__ import annotations

import asyncio
import logging
import threading
from abc import abstractmethod
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from hagane.errors import StoreConnectionError, StoreCorrupt, StoreError, StoreVersionError
from hagane.hitl.document_checkpointer import DocumentCheckpointer
from hagane.hitl.documents import Documents

__all__ = ["ServerCheckpointer", "without_password"]

logger = logging.getLogger("hagane.hitl")


class ServerCheckpointer(DocumentCheckpointer):
    """Connects by `connect`, or on first use; after `disconnect` only `connect` makes it usable again."""

    def __init__(self, *, keep: int, kind: str, namespace: str = "hitl") -> None:
        super().__init__(None, keep=keep, kind=kind, namespace=namespace)
        self._disconnected = False
        # Event loops and threads may share a checkpointer; the lock is only taken in threads that may wait.
        self._changing = threading.Lock()

    async def connect(self) -> None:
        """Connect, and make what is needed there; nothing if it is connected.

        Raises:
            StoreConnectionError: The server cannot be reached or refuses us (a `ConnectionError`).
            ImportError: The client package is not installed.
        """
        if self._documents is None:
            await asyncio.to_thread(self._connect)

    def _connect(self) -> None:
        with self._changing:
            if self._documents is None:
                try:
                    self._documents = self._open()
                except (StoreCorrupt, StoreVersionError):
                    raise
                except StoreError as error:
                    raise StoreConnectionError(str(error)) from error
                self._disconnected = False
                logger.info("%s is connected to %s", type(self).__name__, self._place())

    async def disconnect(self) -> None:
        """Close the connection; nothing if there is none."""
        await asyncio.to_thread(self._disconnect)

    def _disconnect(self) -> None:
        with self._changing:
            documents, self._documents = self._documents, None
            self._disconnected = True
            if documents is not None:
                self._close(documents)

    def is_connected(self) -> bool:
        """Tell whether there is a connection."""
        return self._documents is not None

    async def _store(self) -> Documents:
        if self._documents is None:
            if self._disconnected:
                raise StoreConnectionError(
                    f"{type(self).__name__} is disconnected from {self._place()}; call connect() first"
                )
            await self.connect()
        return await super()._store()

    @abstractmethod
    def _open(self) -> Documents:
        """Connect and return the documents. Blocking."""

    @abstractmethod
    def _close(self, documents: Any) -> None:
        """Close what `_open` gave. Blocking."""

    @abstractmethod
    def _place(self) -> str:
        """Return where the server is, for messages; no password."""


def without_password(url: str | None) -> str | None:
    """Return a URL with `***` for its password."""
    parts = urlsplit(url or "")
    if not url or parts.password is None:
        return url
    user, place = parts.username or "", parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:***@{place}"))
