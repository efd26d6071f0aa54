"""What a decorator adds to an awaited method: ours and the document's, the latter over prometheus_client."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from functools import wraps
from typing import Any

import prometheus_client as rival

from hagane.observability import metrics_tracked

from .clock import Row, alternately

REGISTRY = rival.CollectorRegistry()
BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 300.0, 600.0)
TOTAL = rival.Counter("agent_execution", "Runs.", ["agent", "status"], registry=REGISTRY)
SECONDS = rival.Histogram("agent_execution_duration_seconds", "Seconds.", ["agent"], buckets=BUCKETS, registry=REGISTRY)


def _documents(func: Any) -> Any:
    """The document's decorator, line for line, with prometheus_client where it has AgentFlow's collector."""

    @wraps(func)
    async def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        agent_name = getattr(self, "name", self.__class__.__name__)
        start_time = time.time()
        try:
            result = await func(self, *args, **kwargs)
            TOTAL.labels(agent=agent_name, status="success").inc()
            return result
        except Exception:
            TOTAL.labels(agent=agent_name, status="error").inc()
            raise
        finally:
            SECONDS.labels(agent=agent_name).observe(time.time() - start_time)

    return wrapper


class _Agent:
    name = "bench"

    async def plain(self, value: int) -> int:
        return value

    @metrics_tracked
    async def ours(self, value: int) -> int:
        return value

    @_documents
    async def documents(self, value: int) -> int:
        return value


def _drive(coroutine: Coroutine[Any, Any, int]) -> None:
    try:
        coroutine.send(None)
    except StopIteration:
        return


def rows() -> list[Row]:
    names = {"agent": _Agent(), "drive": _drive}
    times = 30_000
    plain, ours = alternately("drive(agent.plain(1))", "drive(agent.ours(1))", names, times)
    again, theirs = alternately("drive(agent.plain(1))", "drive(agent.documents(1))", names, times)
    what = "decorator on an async method, beyond the bare call"
    return [Row(what, (ours - plain) * 1e9, (theirs - again) * 1e9, "the document's", "ns", 10, 500)]
