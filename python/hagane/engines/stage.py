"""Running one attempt of a stage: its agents, one after the other or together, within the time that is left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from hagane.engines.agents import agent_name, call
from hagane.engines.config import StageConfig
from hagane.engines.environment import Environment
from hagane.engines.isolate import isolate
from hagane.engines.limit import Limit

T = TypeVar("T")

# How long something that was told to stop may take to do so.
GRACE_SECONDS = 5.0


class OutOfTime(Exception):
    """The run's wall time is spent. Not an error of the stage, so it never counts as one."""


class Deadline:
    """The end of a run's wall time; `seconds` None is no end."""

    def __init__(self, environment: Environment, seconds: float | None) -> None:
        self._environment = environment
        self._end = None if seconds is None else environment.monotonic() + seconds

    def left(self) -> float | None:
        """Seconds left, at least 0; None without an end."""
        return None if self._end is None else max(0.0, self._end - self._environment.monotonic())

    async def bound(self, work: Awaitable[T]) -> T:
        """Await `work` for as long as there is time.

        Raises:
            OutOfTime: there was not enough; the work was cancelled.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait([task], timeout=self.left())
        except BaseException:
            await _stop(task)
            raise
        if not task.done():
            await _stop(task)
            raise OutOfTime
        return task.result()


async def _stop(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.wait([task], timeout=GRACE_SECONDS)
    if task.done() and not task.cancelled():
        task.exception()


class Stage:
    """A stage with its agents: the form in which the engine runs it.

    `name` is the stage's name; `await execute(inputs)` runs its agents once, with no checks.
    """

    def __init__(
        self, config: StageConfig, agents: list[Any], environment: Environment, limit: Limit | None = None
    ) -> None:
        self.config = config
        self.name = config.name
        self.agents = agents
        self._environment = environment
        self._limit = limit or Limit(None)

    async def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Run the agents on `inputs`, which is not changed; the output is nobody else's object.

        One agent: its result. Several: a dict by the agents' names, or `<stage>_<number>` when they run in parallel.
        """
        if len(self.agents) == 1:
            output = await self._call(self.agents[0], isolate(inputs))
        elif self.config.parallel:
            output = await self._together(inputs)
        else:
            output = await self._in_turn(inputs)
        return isolate(output)  # type: ignore[no-any-return]

    async def _call(self, agent: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        async with self._limit.place(agent_name(agent, self.name)):
            return await call(agent, self.name, inputs, self._environment)

    async def _together(self, inputs: dict[str, Any]) -> dict[str, Any]:
        tasks = [asyncio.ensure_future(self._call(agent, isolate(inputs))) for agent in self.agents]
        try:
            results = await asyncio.gather(*tasks)
        finally:
            # The first failure fails the stage; the others must not go on behind its back.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return {f"{self.name}_{number}": result for number, result in enumerate(results)}

    async def _in_turn(self, inputs: dict[str, Any]) -> dict[str, Any]:
        combined: dict[str, Any] = {}
        given = isolate(inputs)
        for agent in self.agents:
            result = await self._call(agent, isolate(given))
            combined[_unused(agent_name(agent, self.name), combined)] = result
            given.update(result)
        return combined


def _unused(name: str, taken: dict[str, Any]) -> str:
    number, candidate = 2, name
    while candidate in taken:
        number, candidate = number + 1, f"{name}_{number}"
    return candidate
