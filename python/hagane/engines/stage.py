"""Running one attempt of a stage: its agents, one after the other or together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from hagane.engines.agents import Agent, as_dict
from hagane.engines.config import Quorum, StageConfig
from hagane.engines.effects import StageContext, current, running_stage, stand_in
from hagane.engines.interrupts import interrupt_in, is_interrupt
from hagane.engines.isolate import isolate
from hagane.engines.limit import Limit
from hagane.engines.progress import ANSWER_KEYS, ASKER_KEY
from hagane.engines.trouble import said, told

__all__ = ["FAILED_KEY", "BranchesFailed", "Stage"]

# Where a stage's output says which of its agents failed.
FAILED_KEY = "_failed"


@dataclass
class BranchesFailed(Exception):
    """Parallel agents failed, and too few succeeded for the stage to stand; the first error is the cause."""

    stage: str
    errors: dict[str, Exception] = field(default_factory=dict)

    def __str__(self) -> str:
        named = "; ".join(f"{name}: {told(error)}" for name, error in self.errors.items())
        return f"{len(self.errors)} of the agents of stage {self.stage!r} failed: {named}"


class Stage:
    """A stage with its agents: the form in which the engine runs it.

    `name` is the stage's name; `await execute(inputs)` runs its agents once, with no checks.
    """

    def __init__(self, config: StageConfig, agents: list[Any], limit: Limit | None = None) -> None:
        self.config = config
        self.name = config.name
        self.agents = agents
        self._known = [Agent(agent, config.name) for agent in agents]
        self._limit = limit or Limit(None)

    async def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Run the agents on `inputs`, which is not changed; the output is nobody else's object.

        One agent: its result. Several: a dict by the agents' names, or `<stage>_<number>` when they run in parallel.
        With `on_error` isolate or a quorum, `_failed` holds what became of the agents that failed: by the same names,
        `type` and `message`.

        Raises:
            BranchesFailed: too few of the parallel agents succeeded.
        """
        return await self._execute_on(isolate(inputs))

    async def execute_in(self, context: StageContext, given: dict[str, Any]) -> dict[str, Any]:
        """`execute` on inputs that are nobody else's and may be changed, with what the agents can ask for.

        None of that is taken back: whoever calls this gives it a context of its own.
        """
        stand_in(context)
        if type(self) is not Stage or "execute" in self.__dict__:  # somebody's override
            return as_dict(await self.execute(given))
        agents, known = self.agents, self._known
        if len(agents) == 1 == len(known) and agents[0] is known[0].given and self._limit.places is None:
            return isolate(await known[0].run(given))  # type: ignore[no-any-return]
        return await self._execute_on(given)

    async def _execute_on(self, given: dict[str, Any]) -> dict[str, Any]:
        agents, known = self.agents, self._known
        if [id(agent) for agent in agents] != [id(agent.given) for agent in known]:
            self._known = [Agent(agent, self.name) for agent in agents]
        if len(agents) == 1:
            output = await self._call(self._known[0], given)
        elif self.config.parallel:
            output = await self._together(given)
        else:
            output = await self._in_turn(given)
        return isolate(output)  # type: ignore[no-any-return]

    async def _call(self, agent: Agent, inputs: dict[str, Any]) -> dict[str, Any]:
        if self._limit.places is None:
            return await agent.run(inputs)
        async with self._limit.place(agent.name):
            return await agent.run(inputs)

    async def _together(self, inputs: dict[str, Any]) -> dict[str, Any]:
        named = {f"{self.name}_{number}": agent for number, agent in enumerate(self._known)}
        tasks = {name: asyncio.ensure_future(self._branch(name, agent, inputs)) for name, agent in named.items()}
        try:
            if self.config.on_error == "fail":
                return dict(zip(tasks, await asyncio.gather(*tasks.values()), strict=True))
            done = await asyncio.gather(*tasks.values(), return_exceptions=True)
        finally:
            # The first failure fails the stage; the others must not go on behind its back.
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        return self._counted(dict(zip(tasks, done, strict=True)))

    async def _branch(self, name: str, agent: Agent, inputs: dict[str, Any]) -> dict[str, Any]:
        # In a task of its own, so nothing is taken back.
        context = running_stage()
        if context is not None:
            current.set(context.branch(name))
        return await _asking_as(name, self._call(agent, _without_answers_to_others(name, isolate(inputs))))

    def _counted(self, done: dict[str, Any]) -> dict[str, Any]:
        """Keep what succeeded, if it is enough."""
        stops = [end for end in done.values() if isinstance(end, BaseException) and not _is_failure(end)]
        if stops:
            raise stops[0]
        errors = {name: end for name, end in done.items() if isinstance(end, Exception)}
        least = self.config.on_error.least if isinstance(self.config.on_error, Quorum) else 1
        if len(done) - len(errors) < least:
            raise BranchesFailed(self.name, errors) from next(iter(errors.values()))
        output = {name: end for name, end in done.items() if name not in errors}
        if errors:
            output[FAILED_KEY] = {
                name: {"type": type(error).__name__, "message": said(error)} for name, error in errors.items()
            }
        return output

    async def _in_turn(self, given: dict[str, Any]) -> dict[str, Any]:
        combined: dict[str, Any] = {}
        context = running_stage()
        for number, agent in enumerate(self._known):
            name = f"{self.name}_{number}"
            if context is not None:
                current.set(context.asking_as(name))
            work = self._call(agent, _without_answers_to_others(name, isolate(given)))
            result = await _asking_as(name, work)
            combined[_unused(agent.name, combined)] = result
            given.update(result)
        return combined


async def _asking_as(name: str, work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Await the work of one of several agents; a question of its is marked as its own."""
    try:
        return isolate(await work)  # type: ignore[no-any-return]
    except Exception as error:
        signal = interrupt_in(error)
        if signal is not None:
            signal.asked_by = name
        raise


def _without_answers_to_others(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Leave a person's answer to the agent that asked."""
    if inputs.get(ASKER_KEY, name) != name:
        for key in ANSWER_KEYS:
            inputs.pop(key, None)
    return inputs


def _is_failure(end: BaseException) -> bool:
    return isinstance(end, Exception) and not is_interrupt(end)


def _unused(name: str, taken: dict[str, Any]) -> str:
    number, candidate = 2, name
    while candidate in taken:
        number, candidate = number + 1, f"{name}_{number}"
    return candidate
