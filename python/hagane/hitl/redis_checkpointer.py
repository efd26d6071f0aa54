"""Checkpoints in Redis, over redis-py (`pip install hagane[redis]`)."""

from __future__ import annotations

import os
from typing import Any

from hagane.hitl.document_checkpointer import DEFAULT_KEEP
from hagane.hitl.documents import Documents
from hagane.hitl.server_checkpointer import ServerCheckpointer, without_password

__all__ = ["RedisCheckpointer"]


class RedisCheckpointer(ServerCheckpointer):
    """Checkpoints in Redis, in the encoding of the other stores: every type comes back as it was.

    Redis keeps what it was told to keep: how much a crash of the server loses is up to its own settings
    (`appendonly`, `appendfsync`).

    Args:
        url: `redis://`, `rediss://` or `unix://`; else the environment's REDIS_URL; else the next four.
        host: The server.
        port: Its port.
        db: The number of the database.
        password: The password, if there is one.
        ttl: Seconds after which a checkpoint is forgotten; 0 for never.
        key_prefix: What all keys begin with.
        keep: How many checkpoints of a thread stay, the newest.
    """

    def __init__(
        self,
        url: str | None = None,
        host: str = "localhost",
        port: int = 6379,
        db: int = 0,
        password: str | None = None,
        ttl: int = 86400,
        key_prefix: str = "agentflow",
        *,
        keep: int = DEFAULT_KEEP,
    ) -> None:
        if ttl < 0:
            raise ValueError(f"ttl is {ttl}; give seconds, or 0 for checkpoints that stay")
        super().__init__(keep=keep, kind="redis")
        self._url = url or os.environ.get("REDIS_URL")
        self._host = host
        self._port = port
        self._db = db
        self._password = password
        self._ttl = ttl
        self._key_prefix = key_prefix

    def _open(self) -> Documents:
        from hagane.hitl.redis_documents import RedisDocuments

        where: dict[str, Any] = {"host": self._host, "port": self._port, "db": self._db, "password": self._password}
        return RedisDocuments(self._url, prefix=self._key_prefix, ttl=self._ttl, **({} if self._url else where))

    def _close(self, documents: Any) -> None:
        documents.close()

    def _place(self) -> str:
        return without_password(self._url) or f"redis://{self._host}:{self._port}/{self._db}"

    def get_status(self) -> dict[str, Any]:
        """Return where this is and whether it is connected; a password in the URL is not shown."""
        return {
            "backend": "redis",
            "url": without_password(self._url),
            "host": self._host,
            "port": self._port,
            "db": self._db,
            "ttl": self._ttl,
            "connected": self.is_connected(),
        }
