"""Which checkpointer a program gets, by argument or environment."""

from __future__ import annotations

import logging
import os
from typing import Any

from hagane.hitl.interface import Checkpointer

__all__ = ["get_checkpointer"]

BACKENDS = ("memory", "sqlite", "redis", "postgres")


def get_checkpointer(backend: str | None = None, **kwargs: Any) -> Checkpointer:
    """Return a checkpointer; `kwargs` are its own arguments.

    Which one: `backend` ("memory", "sqlite", "redis" or "postgres"), else the environment's CHECKPOINTER_BACKEND, else
    redis if REDIS_URL is set, else postgres if DATABASE_URL is a PostgreSQL address, else memory. A backend that is
    asked for and cannot be had is an error, never memory instead.

    Raises:
        ValueError: A backend that there is not.
    """
    chosen = backend or os.environ.get("CHECKPOINTER_BACKEND") or _detected()
    logging.getLogger("hagane.hitl").info("checkpoints are kept in %s", chosen)
    if chosen == "memory":
        from hagane.hitl.checkpointer import MemoryCheckpointer

        return MemoryCheckpointer(**kwargs)
    if chosen == "sqlite":
        from hagane.hitl.sqlite_checkpointer import SqliteCheckpointer

        return SqliteCheckpointer(**kwargs)
    if chosen == "redis":
        from hagane.hitl.redis_checkpointer import RedisCheckpointer

        return RedisCheckpointer(**kwargs)
    if chosen == "postgres":
        from hagane.hitl.postgres_checkpointer import PostgresCheckpointer

        return PostgresCheckpointer(**kwargs)
    raise ValueError(f"there is no checkpointer {chosen!r}; there are {', '.join(BACKENDS)}")


def _detected() -> str:
    if os.environ.get("REDIS_URL"):
        return "redis"
    database = os.environ.get("DATABASE_URL", "")
    # As SQLAlchemy writes it too: postgresql+asyncpg://...
    return "postgres" if database.startswith(("postgres:", "postgresql:", "postgresql+")) else "memory"
