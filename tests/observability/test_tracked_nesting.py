"""One run of one object is counted once, however many tracked methods it goes through."""

from __future__ import annotations

import asyncio

import pytest

from hagane.observability import get_metrics, metrics_tracked


def runs(agent: str) -> tuple[int, int]:
    """How many runs succeeded, and how many are in progress."""
    total = get_metrics().counter("agent_execution_total").get({"agent": agent, "status": "success"})
    return int(total), int(get_metrics().gauge("agent_executions_in_progress").get({"agent": agent}))


class Base:
    """Every sort of tracked method."""

    def __init__(self, name):
        self.name = name

    @metrics_tracked
    async def of_async(self):
        return [1]

    @metrics_tracked
    def of_sync(self):
        return [1]

    @metrics_tracked
    def generate(self):
        yield 1

    @metrics_tracked
    async def stream(self):
        await asyncio.sleep(0)
        yield 1

    @metrics_tracked
    def handed(self):
        return self.of_async()


class Derived(Base):
    @metrics_tracked
    async def of_async(self):
        return await super().of_async()

    @metrics_tracked
    def of_sync(self):
        return super().of_sync()

    @metrics_tracked
    def generate(self):
        yield from super().generate()

    @metrics_tracked
    async def stream(self):
        async for item in super().stream():
            yield item

    @metrics_tracked
    def handed(self):
        return super().handed()


async def everything(result):
    if hasattr(result, "__aiter__"):
        return [item async for item in result]
    return list(await result) if hasattr(result, "__await__") else list(result)


@pytest.mark.parametrize("method", ["of_async", "of_sync", "generate", "stream", "handed"])
async def test_an_override_that_calls_the_overridden_method_is_one_run(method):
    agent = f"nest-{method}"
    for _ in range(2):
        assert await everything(getattr(Derived(agent), method)()) == [1]
    assert runs(agent) == (2, 0)


async def test_a_method_that_calls_another_of_its_object_is_one_run_and_of_another_object_two():
    class Agent:
        def __init__(self, name, helper=None):
            self.name, self.helper = name, helper

        @metrics_tracked
        async def run(self):
            return await self.step() + (await self.helper.run() if self.helper else 0) + await self.step()

        @metrics_tracked
        async def step(self):
            return 1

    assert await Agent("nest-outer", Agent("nest-outer", Agent("nest-third"))).run() == 6
    assert (runs("nest-outer"), runs("nest-third")) == ((2, 0), (1, 0))


async def test_methods_of_one_object_that_are_different_agents_count_each():
    class Team:
        name = "nest-team"

        @metrics_tracked
        async def run(self):
            return await self.plan()

        @metrics_tracked(agent="nest-planner")
        async def plan(self):
            return 1

    assert await Team().run() == 1
    assert (runs("nest-team"), runs("nest-planner")) == ((1, 0), (1, 0))


def test_a_method_that_calls_itself_counts_each_time():
    class Countdown:
        name = "nest-recursive"

        @metrics_tracked
        def run(self, left):
            return left and self.run(left - 1)

    class Loud(Countdown):
        name = "nest-loud"

        @metrics_tracked
        def run(self, left):
            return super().run(left)

    assert (Countdown().run(2), Loud().run(2)) == (0, 0)
    assert (runs("nest-recursive"), runs("nest-loud")) == ((3, 0), (3, 0))


async def test_what_outlives_the_run_in_which_it_was_started_is_a_run_of_its_own():
    go_on = asyncio.Event()
    started = []

    class Agent:
        name = "nest-later"

        @metrics_tracked
        async def run(self):
            started.append(asyncio.ensure_future(self.after()))

        async def after(self):
            await go_on.wait()
            return await self.step()

        @metrics_tracked
        async def step(self):
            return 1

    await Agent().run()
    go_on.set()
    await started[0]
    assert runs("nest-later") == (2, 0)


async def test_runs_of_one_object_at_the_same_time_are_runs_each():
    agent = Derived("nest-together")
    await asyncio.gather(*(agent.of_async() for _ in range(3)))
    assert runs("nest-together") == (3, 0)


async def test_an_override_with_an_agents_name_or_put_on_later_is_one_run_too():
    class Named:
        @metrics_tracked(agent="nest-named")
        async def run(self):
            return 1

    class Again(Named):
        @metrics_tracked(agent="nest-named")
        async def run(self):
            return await super().run()

    class Plain:
        name = "nest-patched"

        @metrics_tracked
        async def run(self):
            return 1

    class Patched(Plain):
        pass

    async def run(self):
        return await super(Patched, self).run()

    Patched.run = metrics_tracked(run)
    assert [await Again().run(), await Patched().run()] == [1, 1]
    assert (runs("nest-named"), runs("nest-patched")) == ((1, 0), (1, 0))
