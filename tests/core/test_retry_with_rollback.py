"""Operations that are tried again from a checkpoint."""

from __future__ import annotations

import asyncio
import functools
import threading

import pytest

from hagane.core import RetryStrategy, RollbackManager, RollbackRetryConfig
from hagane.errors import InterruptError
from hagane.hitl import (
    Command,
    InterruptSignal,
    MemoryCheckpointer,
    resume_with_command,
    set_checkpointer,
    set_thread_id,
)

NO_WAITS = {"delay_seconds": 0.0}


@pytest.fixture
def manager():
    return RollbackManager(retry_config=RollbackRetryConfig(**NO_WAITS))


async def checkpoints(manager, *values):
    return [await manager.create_checkpoint({"v": value}, description=f"v{value}") for value in values]


async def test_b3_an_operations_checkpoint_stays_while_it_is_tried():
    manager = RollbackManager(max_checkpoints=2, retry_config=RollbackRetryConfig(max_retries=2, **NO_WAITS))
    seen = []

    async def operation(state):
        seen.append(state["v"])
        state["v"] += 1
        await checkpoints(manager, *range(5))
        if len(seen) == 1:
            raise ValueError("down")

    assert (await manager.retry_with_rollback(operation, {"v": 1}))[1] == {"v": 2}
    assert seen == [1, 1]


async def test_b5_the_operation_works_on_a_fresh_copy_of_the_state_each_time(manager):
    given = {"items": []}
    seen = []

    async def operation(amount, *, state):
        state["items"].append(amount)
        seen.append(list(state["items"]))
        if len(seen) < 3:
            raise ValueError("down")
        return "done"

    result, final = await manager.retry_with_rollback(operation, given, 7)
    assert (result, final, given, seen) == ("done", {"items": [7]}, {"items": []}, [[7]] * 3)


async def test_b6_what_the_operation_makes_of_an_empty_state_is_the_final_state(manager):
    async def operation(state):
        state["made"] = state.get("made", 0) + 1
        if not operation.called:
            operation.called = True
            raise ValueError("down")

    operation.called = False
    assert await manager.retry_with_rollback(operation, {}) == (None, {"made": 1})


async def test_a_state_that_the_caller_gives_himself_is_not_replaced(manager):
    async def operation(state):
        return state

    assert await manager.retry_with_rollback(operation, {"v": 1}, "mine") == ("mine", {"v": 1})


async def test_b9_an_operation_may_be_a_partial_or_an_object(manager):
    class Adder:
        async def __call__(self, one, other):
            return one + other

    partial = functools.partial(functools.partial(Adder(), 1))
    assert (await manager.retry_with_rollback(partial, {}, 2))[0] == 3
    assert manager.get_checkpoint_chain()[-1].description == "retry: Adder"


async def test_b10_an_operation_may_block(manager):
    assert (await manager.retry_with_rollback(lambda value: value * 2, {}, 21))[0] == 42


async def test_b12_arguments_reach_the_operation_as_they_are(manager):
    client = threading.Lock()
    result, _ = await manager.retry_with_rollback(lambda *, client: client, {}, client=client)
    assert result is client


async def test_b13_an_alternative_attempt_gets_no_argument_that_nobody_gave(manager):
    seen = []

    async def operation(model):
        seen.append(model)
        raise ValueError(f"{model} is down")

    with pytest.raises(ValueError, match="big is down"):
        await manager.retry_with_rollback(operation, {}, model="big")
    assert seen == ["big"] * 3


async def test_an_alternative_attempt_takes_what_the_configuration_has():
    config = RollbackRetryConfig(alternative={"model": "other"}, **NO_WAITS)
    seen = []

    async def operation(model, strategy):
        seen.append((model, strategy))
        raise ValueError("down")

    with pytest.raises(ValueError, match="down"):
        await RollbackManager(retry_config=config).retry_with_rollback(operation, {}, model="big")
    kinds = RetryStrategy.SAME, RetryStrategy.ALTERNATIVE, RetryStrategy.SIMPLIFIED
    assert seen == list(zip(["big", "other", "big"], kinds, strict=True))


async def test_a_simplified_attempt_is_smaller_and_colder():
    config = RollbackRetryConfig(strategies=[RetryStrategy.SIMPLIFIED])
    manager = RollbackManager(retry_config=config)
    seen = dict
    options = {"max_tokens": 4000, "temperature": 0.9}
    assert (await manager.retry_with_rollback(seen, {}, **options))[0] == {"max_tokens": 1000, "temperature": 0.0}
    assert (await manager.retry_with_rollback(seen, {}, max_tokens=None))[0] == {"max_tokens": None}


async def test_a_person_can_be_asked_for_assistance():
    config = RollbackRetryConfig(strategies=[RetryStrategy.SAME, RetryStrategy.HUMAN_ASSIST], **NO_WAITS)
    checkpointer = MemoryCheckpointer()
    set_checkpointer(checkpointer)

    async def operation(port):
        if port == 1:
            raise ConnectionError("port 1 is closed")
        return port

    def run():
        set_thread_id("assisted")
        return RollbackManager(retry_config=config).retry_with_rollback(operation, {}, port=1)

    with pytest.raises(InterruptSignal) as asked:
        await run()
    assert asked.value.payload.prompt == "operation failed: ConnectionError: port 1 is closed"
    await resume_with_command(Command.approve({"port": 2}), checkpointer, asked.value.payload.id)
    assert (await run())[0] == 2
    with pytest.raises(InterruptSignal) as asked:
        await run()
    await resume_with_command(Command.reject("no"), checkpointer, asked.value.payload.id)
    with pytest.raises(ConnectionError):
        await run()


async def test_with_nobody_to_ask_the_operations_own_error_is_raised():
    config = RollbackRetryConfig(strategies=[RetryStrategy.SAME, RetryStrategy.HUMAN_ASSIST], **NO_WAITS)
    with pytest.raises(ZeroDivisionError) as raised:
        await RollbackManager(retry_config=config).retry_with_rollback(lambda: 1 / 0, {})
    assert isinstance(raised.value.__cause__, InterruptError)


async def test_waits_grow_below_a_jittered_ceiling(sleeps, longest_waits):
    manager = RollbackManager(retry_config=RollbackRetryConfig(max_retries=4, delay_seconds=0.5, backoff_multiplier=3))
    with pytest.raises(ZeroDivisionError):
        await manager.retry_with_rollback(lambda: 1 / 0, {})
    assert sleeps == [0.5, 1.5, 4.5]


async def test_cancellation_goes_back_and_is_raised_at_once(manager):
    async def operation(state):
        await checkpoints(manager, 9)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await manager.retry_with_rollback(operation, {"v": 1})
    assert [each.status for each in manager.get_checkpoint_chain()] == ["active", "rolled_back"]


async def test_there_is_always_a_first_attempt_and_always_a_strategy():
    config = RollbackRetryConfig(max_retries=0, strategies=[])
    assert (await RollbackManager(retry_config=config).retry_with_rollback(lambda strategy: strategy, {}))[
        0
    ] is RetryStrategy.SAME
