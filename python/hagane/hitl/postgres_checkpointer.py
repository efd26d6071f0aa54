"""Checkpoints in PostgreSQL."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

from hagane.hitl.document_checkpointer import DEFAULT_KEEP
from hagane.hitl.documents import Documents
from hagane.hitl.server_checkpointer import ServerCheckpointer, without_password

__all__ = ["PostgresCheckpointer"]


class PostgresCheckpointer(ServerCheckpointer):
    """Checkpoints in PostgreSQL, in the encoding of the other stores: every type comes back as it was.

    A lost connection is made anew within a time budget; `sslmode` in the URL is honoured.

    Args:
        url: `postgresql://...`; else the environment's DATABASE_URL; else the next five.
        host: The server.
        port: Its port.
        database: The database.
        user: The user.
        password: The password, if there is one.
        table_name: Checkpointers with different names see nothing of each other.
        keep: How many checkpoints of a thread stay, the newest.
        schema: The database schema that holds the store's tables; it is made if it is not there.
        retry_seconds: How long a connection that cannot be had, or breaks, is tried for again.
    """

    def __init__(
        self,
        url: str | None = None,
        host: str = "localhost",
        port: int = 5432,
        database: str = "agentflow",
        user: str = "postgres",
        password: str | None = None,
        table_name: str = "checkpoints",
        *,
        keep: int = DEFAULT_KEEP,
        schema: str = "hagane",
        retry_seconds: float = 10.0,
    ) -> None:
        super().__init__(keep=keep, kind="postgres", namespace=f"hitl.{table_name}")
        self._url = url or os.environ.get("DATABASE_URL")
        self._host = host
        self._port = port
        self._database = database
        self._user = user
        self._password = password
        self._table_name = table_name
        self._schema = schema
        self._retry_seconds = retry_seconds

    def _open(self) -> Documents:
        from hagane._core import PostgresStore

        return PostgresStore(
            self._url or self._made_url(),
            schema=self._schema,
            retry_seconds=self._retry_seconds,
            keep=None,
            max_age_seconds=None,
        )

    def _made_url(self) -> str:
        user = quote(self._user, safe="")
        secret = "" if self._password is None else f":{quote(self._password, safe='')}"
        return f"postgresql://{user}{secret}@{self._host}:{self._port}/{quote(self._database, safe='')}"

    def _close(self, documents: Any) -> None:
        documents.close()

    def _place(self) -> str:
        return without_password(self._url or self._made_url()) or ""

    def get_status(self) -> dict[str, Any]:
        """Return where this is and whether it is connected; a password in the URL is not shown."""
        return {
            "backend": "postgresql",
            "url": without_password(self._url),
            "host": self._host,
            "port": self._port,
            "database": self._database,
            "table_name": self._table_name,
            "connected": self.is_connected(),
        }
