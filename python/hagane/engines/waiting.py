"""Waiting for a run to end: the last event's result, and the synchronous form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any

from hagane.engines.journal import Event

__all__ = ["complete", "last_result"]


async def last_result(events: AsyncGenerator[Event, None]) -> dict[str, Any]:
    """Listen to a run until it has ended and give its result; raises what the run raises."""
    result: dict[str, Any] | None = None
    async with aclosing(events) as stream:
        async for event in stream:
            if event["type"] == "run_completed":
                result = event["result"]
    assert result is not None, "a run that did not raise ends with run_completed"
    return result


def complete(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Run to the end from synchronous code; inside a running loop (a notebook) in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()
