"""The CodeAct loop over the real sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from hagane.agents import CodeActAgent, Reply, ScriptedModel
from hagane.agents.llm import Message
from hagane.observability import standard

ANSWER = "```python\nimport json\njson.dump({value}, open('answer.json', 'w'))\n```"


def answering(value: str) -> str:
    return ANSWER.replace("{value}", value)


def statuses(out: dict[str, Any]) -> list[str]:
    return [step["status"] for step in out["steps"]]


async def test_a_program_that_leaves_an_answer_ends_the_run() -> None:
    agent = CodeActAgent([answering("{'sum': 1 + 1}") + "\n"])
    out = await agent.run({"task": "add"})
    assert out["answer"] == {"sum": 2}
    assert out["error"] is None
    assert statuses(out) == ["answered"]
    assert out["usage"]["sandbox_runs"] == out["usage"]["model_calls"] == 1
    assert out["usage"]["input_tokens"] > out["usage"]["output_tokens"] > 0


async def test_an_error_goes_back_and_the_next_reply_repairs_it() -> None:
    seen: list[str] = []

    def model(messages: Sequence[Message]) -> str:
        seen.append(messages[-1]["content"])
        if "KeyError: 'bill'" in seen[-1]:
            return answering("'repaired'")
        return "```python\nprint({}['bill'])\n```"

    out = await CodeActAgent(ScriptedModel(model)).run({"task": "look"})
    assert out["answer"] == "repaired"
    assert statuses(out) == ["failed", "answered"]
    assert "The code failed" in seen[1]


async def test_files_go_in_and_come_back_and_last_for_the_next_step() -> None:
    write = "```python\nopen('b.txt', 'w').write(open('a.txt').read() * 2)\n```"
    out = await CodeActAgent([write, answering("open('b.txt').read()")]).run({"task": "copy", "files": {"a.txt": "né"}})
    assert out["answer"] == "néné"
    assert out["files"]["b.txt"] == "néné".encode()
    assert statuses(out) == ["no_answer", "answered"]


async def test_output_cannot_pass_for_an_answer() -> None:
    out = await CodeActAgent(["```python\nprint('answer.json {\"sum\": 2}')\n```"], max_steps=1).run({"task": "add"})
    assert out["answer"] is None
    assert out["error"].startswith("no answer within 1 steps")
    assert "answer.json" in out["output"]


@pytest.mark.parametrize(
    "content", ["'{'", "'NaN'", "'[' * 100000", "'\\udcff'.encode('utf-8', 'surrogateescape').decode('latin-1')"]
)
async def test_an_answer_that_is_not_json_is_an_observation(content: str) -> None:
    bad = f"```python\nopen('answer.json', 'w', encoding='latin-1').write({content})\n```"
    out = await CodeActAgent([bad, answering("1")]).run({"task": "add"})
    assert statuses(out) == ["bad_answer", "answered"]
    assert "not valid JSON" in out["steps"][0]["observation"]


async def test_no_run_is_spent_on_a_syntax_error_or_a_reply_without_code() -> None:
    out = await CodeActAgent(["I think so.", "```python\nprint(1\n```", answering("1")]).run({"task": "t"})
    assert statuses(out) == ["no_code", "syntax_error", "answered"]
    assert out["usage"]["sandbox_runs"] == 1
    assert "line 1" in out["steps"][1]["observation"]


async def test_code_that_is_not_approved_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[tuple[str, str]] = []
    monkeypatch.setattr(standard, "approval", lambda action, status: counted.append((action, status)))

    async def approve(code: str, step: int) -> bool:
        await asyncio.sleep(0)
        return "socket" not in code

    out = await CodeActAgent(["```python\nimport socket\n```", answering("1")], approve=approve).run({"task": "t"})
    assert statuses(out) == ["rejected", "answered"]
    assert counted == [("execute_code", "rejected"), ("execute_code", "approved")]


async def test_only_true_is_consent() -> None:
    out = await CodeActAgent([answering("1")], approve=lambda code, step: "yes", max_steps=1).run({"task": "t"})  # type: ignore[arg-type,return-value]
    assert statuses(out) == ["rejected"]


async def test_an_approver_that_breaks_rejects() -> None:
    def approve(code: str, step: int) -> bool:
        raise RuntimeError("no one at the desk")

    with pytest.raises(RuntimeError, match="desk"):
        await CodeActAgent([answering("1")], approve=approve).run({"task": "t"})


async def test_a_step_that_runs_too_long_is_an_observation() -> None:
    out = await CodeActAgent(["```python\nwhile True: pass\n```", answering("1")], step_timeout=1.0).run({"task": "t"})
    assert statuses(out) == ["failed", "answered"]
    assert "Timeout" in out["steps"][0]["observation"]


async def test_the_budget_of_seconds_ends_a_slow_model() -> None:
    async def model(messages: object) -> str:
        await asyncio.sleep(30)
        return ""

    out = await CodeActAgent(model, max_seconds=0.2).run({"task": "t"})
    assert out["error"] == "no answer within 0.2 seconds (0 steps)"


async def test_the_budget_of_steps_ends_a_model_that_never_learns() -> None:
    asked: list[str] = []

    def model(messages: Sequence[Message]) -> str:
        asked.append(messages[-1]["content"])
        return "```python\n1 / 0\n```"

    out = await CodeActAgent(ScriptedModel(model), max_steps=3).run({"task": "t"})
    assert statuses(out) == ["failed"] * 3
    assert "ZeroDivisionError" in out["error"]
    assert "last program" in asked[-1]
    assert "last program" not in asked[-2]


async def test_cancellation_stops_the_run() -> None:
    started = asyncio.Event()

    async def model(messages: object) -> str:
        started.set()
        await asyncio.sleep(30)
        return ""

    task = asyncio.create_task(CodeActAgent(model).run({"task": "t"}))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_feedback_of_a_pipeline_reaches_the_model() -> None:
    def model(messages: Sequence[Message]) -> str:
        return answering(repr("groups missing" in messages[1]["content"]))

    out = await CodeActAgent(ScriptedModel(model)).run({"task": "t", "_feedback": {"failed": ["groups missing"]}})
    assert out["answer"] is True


async def test_hooks_can_be_overridden() -> None:
    class Agent(CodeActAgent):
        async def _generate_code(self, task: str, run: Any = None) -> str | None:
            return f"print({task!r})"

        def _parse_result(self, result: Any) -> Any:
            return result.stdout.strip()

    out = await Agent(["unused"]).run({"task": "hello"})
    assert out["answer"].endswith("hello")
    assert out["steps"][0]["status"] == "answered"


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        ({}, ValueError),
        ({"task": " "}, ValueError),
        ({"task": "t", "files": ["a"]}, TypeError),
        ({"task": "t", "files": {"a": 1}}, TypeError),
    ],
)
async def test_a_bad_request_is_refused(inputs: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        await CodeActAgent(["x"]).run(inputs)


@pytest.mark.parametrize("options", [{"max_steps": 0}, {"step_timeout": 0}, {"max_seconds": -1}])
def test_a_bad_budget_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"at least 1|above 0"):
        CodeActAgent(["x"], **options)


class Counting:
    """Wraps the real sandbox to see when it is closed."""

    def __init__(self) -> None:
        from hagane.sandbox import get_sandbox

        self.inner = get_sandbox()
        self.closed = 0

    async def execute(self, code: str, **options: Any) -> Any:
        return await self.inner.execute(code, **options)

    async def close(self) -> None:
        self.closed += 1
        await self.inner.close()


async def test_the_callers_sandbox_stays_open() -> None:
    sandbox = Counting()
    agent = CodeActAgent(ScriptedModel(lambda messages: answering("1")), sandbox=sandbox)
    async with agent:
        await agent.run({"task": "t"})
        await agent.run({"task": "t"})
    assert sandbox.closed == 0
    await sandbox.close()


async def test_one_sandbox_serves_all_runs_between_initialize_and_cleanup(monkeypatch: pytest.MonkeyPatch) -> None:
    import hagane.sandbox

    made: list[Counting] = []
    first = Counting()
    monkeypatch.setattr(hagane.sandbox, "get_sandbox", lambda *_: made.append(first) or first)
    agent = CodeActAgent(ScriptedModel(lambda messages: answering("1")))
    async with agent:
        await agent.run({"task": "t"})
        await agent.run({"task": "t"})
        assert first.closed == 0
    assert len(made) == first.closed == 1


async def test_a_reply_object_gives_its_usage() -> None:
    from hagane.agents import Usage

    out = await CodeActAgent(lambda messages: Reply(answering("1"), Usage(7, 5))).run({"task": "t"})
    assert (out["usage"]["input_tokens"], out["usage"]["output_tokens"]) == (7, 5)
