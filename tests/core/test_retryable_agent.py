"""Agents that try again: after which errors, and how long they wait."""

from __future__ import annotations

import asyncio
import sys
import types

import pytest

from hagane.core import RetryableAgent, RetryConfig
from hagane.hitl import InterruptSignal, InterruptType
from hagane.hitl.types import InterruptPayload

STOPS = [
    InterruptSignal(InterruptPayload(interrupt_type=InterruptType.INPUT)),
    asyncio.CancelledError(),
    KeyboardInterrupt(),
]


class Agent(RetryableAgent):
    """Raises `errors` one after the other, then answers."""

    def __init__(self, *errors, **config):
        super().__init__(RetryConfig(**config) if config else None)
        self.errors = list(errors)
        self.inputs = []

    async def _run_impl(self, input_data):
        self.inputs.append(input_data)
        if len(self.inputs) <= len(self.errors):
            raise self.errors[len(self.inputs) - 1]
        return {"answer": input_data["question"]}


def downs(count):
    return [ValueError(f"down {number}") for number in range(count)]


async def test_an_agent_tries_again_until_it_succeeds(sleeps):
    agent = Agent(*downs(2))
    assert await agent.run({"question": 1}) == {"answer": 1}
    assert (len(agent.inputs), len(sleeps)) == (3, 2)


async def test_the_last_error_is_raised_after_the_last_attempt(sleeps):
    agent = Agent(*downs(9), max_attempts=4)
    with pytest.raises(ValueError, match="down 3"):
        await agent.run({"question": 1})
    assert (len(agent.inputs), len(sleeps)) == (4, 3)


async def test_t1_the_default_backoff_grows_up_to_its_bound(sleeps, longest_waits):
    with pytest.raises(ValueError, match="down"):
        await Agent(*downs(20), max_attempts=9).run({"question": 1})
    assert sleeps == [2, 4, 8, 16, 32, 60, 60, 60]


async def test_t1_the_default_backoff_has_jitter(sleeps):
    for _ in range(20):
        await Agent(ValueError("down")).run({"question": 1})
    assert all(1 <= wait <= 2 for wait in sleeps)
    assert len(set(sleeps)) == 20


async def test_a_multiplier_above_1_is_the_growth(sleeps, longest_waits):
    with pytest.raises(ValueError, match="down"):
        await Agent(*downs(9), wait_multiplier=3, wait_min=0.1, max_attempts=4).run({"question": 1})
    assert sleeps == pytest.approx([0.3, 0.9, 2.7])


async def test_no_wait_at_all_can_be_asked_for(sleeps):
    await Agent(*downs(2), wait_min=0).run({"question": 1})
    assert sleeps == [0, 0]


async def test_only_the_listed_exceptions_are_retried(sleeps):
    agent = Agent(KeyError("other"), retry_on_exceptions=[ValueError])
    with pytest.raises(KeyError):
        await agent.run({"question": 1})
    assert sleeps == []


@pytest.mark.parametrize("stop", STOPS, ids=lambda each: type(each).__name__)
async def test_an_interrupt_signal_and_a_cancellation_are_never_retried(sleeps, stop):
    agent = Agent(stop, retry_on_exceptions=[Exception])
    with pytest.raises(type(stop)):
        await agent.run({"question": 1})
    assert (len(agent.inputs), sleeps) == (1, [])


async def test_a_retry_after_is_waited_for_up_to_the_longest_wait(sleeps):
    patient, endless = ValueError("busy"), ValueError("closed")
    patient.retry_after, endless.retry_after = 55, 65
    await Agent(patient).run({"question": 1})
    assert sleeps == [55]
    with pytest.raises(ValueError, match="closed"):
        await Agent(endless).run({"question": 1})


@pytest.mark.parametrize("wrong", [{"max_attempts": 0}, {"wait_min": -1}, {"retry_on_exceptions": ["ValueError"]}])
def test_a_configuration_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RetryConfig(**wrong)


async def test_an_agent_without_the_method_says_which_one():
    class Empty(RetryableAgent):
        pass

    with pytest.raises(NotImplementedError, match="Empty must implement _run_impl"):
        await Empty(RetryConfig(max_attempts=1)).run({})


async def test_an_agent_is_initialized_while_it_is_entered():
    async with Agent() as agent:
        assert agent.is_initialized
    assert not agent.is_initialized


def test_what_agentflow_makes_says_so_where_it_is_missing(tmp_path):
    agent = Agent()
    assert (agent.get_mcp_tools(), agent.get_a2a_card(), agent.metadata, agent.get_metadata()) == ([], None, None, None)
    with pytest.raises(FileNotFoundError, match=r"none\.yaml"):
        agent.load_metadata(tmp_path / "none.yaml")
    tmp_path.joinpath("agent.yaml").write_text("meta: {}")
    for use in (
        lambda: agent.load_metadata(tmp_path / "agent.yaml"),
        lambda: agent.engine,
        lambda: agent.create_agui_emitter(1),
    ):
        with pytest.raises(ImportError, match="install AgentFlow"):
            use()


def test_what_agentflow_makes_comes_from_agentflow(tmp_path, monkeypatch):
    metadata = types.SimpleNamespace(protocols=types.SimpleNamespace(mcp=True, a2a=types.SimpleNamespace(enabled=True)))
    adapter = types.SimpleNamespace(generate_mcp_tools=lambda _: [{"name": "tool"}], generate_a2a_card=lambda _: "card")
    parts = {
        "core.engine": {"AgentFlowEngine": lambda: "engine"},
        "core.schemas": {"SchemaLoader": lambda: types.SimpleNamespace(load_from_file=lambda _path: metadata)},
        "adapters.protocol_adapter": {"ProtocolAdapter": adapter},
        "protocols.agui_emitter": {"AGUIEventEmitter": lambda engine: ("emitter", engine)},
    }
    for name in ("agentflow", "agentflow.core", "agentflow.adapters", "agentflow.protocols"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    for name, attributes in parts.items():
        module = types.ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, f"agentflow.{name}", module)
    tmp_path.joinpath("agent.yaml").write_text("meta: {}")
    agent = Agent()
    assert agent.load_metadata(tmp_path / "agent.yaml") is metadata is agent.metadata
    assert (agent.engine, agent.get_mcp_tools(), agent.get_a2a_card()) == ("engine", [{"name": "tool"}], "card")
    assert agent.create_agui_emitter("x") == ("emitter", "x")
