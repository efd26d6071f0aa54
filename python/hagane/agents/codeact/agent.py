"""`CodeActAgent`: a model writes a program, the sandbox runs it, the result goes back, until there is an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from hagane.agents.codeact import prompt, syntax
from hagane.agents.codeact.answer import as_files, parse_answer
from hagane.agents.codeact.approval import ACTION, Approve, approved
from hagane.agents.codeact.extract import extract_code
from hagane.agents.codeact.observation import head_and_tail, of_run
from hagane.agents.codeact.steps import Step, Transcript
from hagane.agents.llm import as_llm
from hagane.observability import metrics_tracked, standard, tracing

__all__ = ["CodeActAgent"]


class CodeActAgent:
    """An agent that acts by writing code.

    Args:
        llm: Anything that `as_llm` takes: a model, a list of replies, a callable, an object with chat(...).
        name: The agent's name in metrics; the class name by default.
        sandbox: "auto" (what `get_sandbox()` finds), a provider's name, or a sandbox object (the caller closes it).
        max_steps: Replies of the model per run, at least 1.
        step_timeout: Seconds that one program may run.
        max_seconds: Seconds for the whole run (model and sandbox together); None for no limit.
        observation_limit: Characters of a run's output that go back to the model.
        approve: `approve(code, step) -> bool`, sync or async, asked before each run; only True is consent.
        system_prompt: Replaces the default one. It must tell the model to leave its answer in `answer.json`.

    The answer is what the program leaves as JSON in the file `answer.json`: unlike a line of output, nothing that the
    program merely prints can be taken for it. Programs do not share memory between steps (each starts afresh), but
    files that a successful program wrote are there for the next.
    """

    def __init__(
        self,
        llm: Any,
        *,
        name: str | None = None,
        sandbox: Any = "auto",
        max_steps: int = 12,
        step_timeout: float = 60.0,
        max_seconds: float | None = None,
        observation_limit: int = 8000,
        approve: Approve | None = None,
        system_prompt: str | None = None,
    ) -> None:
        if max_steps < 1:
            raise ValueError(f"max_steps is {max_steps}: an agent needs at least 1")
        if step_timeout <= 0 or (max_seconds is not None and max_seconds <= 0):
            raise ValueError("step_timeout and max_seconds are seconds and must be above 0")
        self.name = name or type(self).__name__
        self.llm = as_llm(llm)
        self.max_steps = max_steps
        self.step_timeout = step_timeout
        self.max_seconds = max_seconds
        self.observation_limit = observation_limit
        self.approve = approve
        self.system_prompt = prompt.SYSTEM_PROMPT if system_prompt is None else system_prompt
        self._sandbox_choice = sandbox
        self._sandbox: Any = None
        self._kept_open = False
        standard.declare_agent(self.name)
        if approve is not None:
            standard.declare_approval(ACTION)

    async def initialize(self) -> None:
        """Open the sandbox and keep it for all runs until `cleanup`. Raises SandboxUnavailable where there is none."""
        self._open()
        self._kept_open = True

    async def cleanup(self) -> None:
        """Closes the sandbox if this agent opened it. May be called twice."""
        self._kept_open = False
        await self._close()

    async def __aenter__(self) -> CodeActAgent:
        await self.initialize()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cleanup()

    @metrics_tracked
    async def run(self, input_data: Mapping[str, Any]) -> dict[str, Any]:
        """Solves `input_data["task"]` (str), with `input_data["files"]` (name -> bytes or str) at hand.

        `input_data["_feedback"]`, where a pipeline re-runs its stage, is shown to the model.

        Returns a dict: `output` (stdout of the last program), `code` (the last program), `error` (None when there is an
        answer), `answer`, `steps` (list of dicts: step, code, status, observation, duration_ms), `usage` (input_tokens,
        output_tokens, model_calls, sandbox_runs, seconds), `files` (name -> bytes, inputs and what the programs wrote).

        Raises ValueError or TypeError for a missing task or files of another type, SandboxUnavailable and other
        `hagane.errors.SandboxError` when the sandbox itself fails, and what the model or `approve` raises. Code that
        fails is not an exception: it is shown to the model.
        """
        run = self._begin(self._prepare(input_data))
        try:
            return self._finish(input_data, run.result(await self._loop(run)))
        finally:
            if not self._kept_open:
                await self._close()

    def _prepare(self, input_data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make the request (`task`, `files`, `_feedback`) of what `run` was given; a pipeline stage overrides this."""
        return input_data

    def _finish(self, input_data: Mapping[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        """Make what `run` returns from the result: a pipeline stage overrides this."""
        return result

    def _begin(self, input_data: Mapping[str, Any]) -> Transcript:
        task = input_data.get("task")
        if not isinstance(task, str) or not task.strip():
            raise ValueError('CodeActAgent.run needs {"task": "what to do"}; `task` is missing or empty')
        files = as_files(input_data.get("files") or {})
        message = prompt.task_message(task, files, input_data.get("_feedback"))
        deadline = None if self.max_seconds is None else time.monotonic() + self.max_seconds
        return Transcript(
            [{"role": "system", "content": self.system_prompt}, {"role": "user", "content": message}], files, deadline
        )

    async def _loop(self, run: Transcript) -> str | None:
        """Takes steps until there is an answer; returns why there is none."""
        for number in range(1, self.max_steps + 1):
            if run.remaining() == 0.0:
                return self._out_of_time(run)
            started = time.perf_counter()
            try:
                step = await self._step(run, number)
            except asyncio.TimeoutError:
                if run.remaining() == 0.0:
                    return self._out_of_time(run)
                raise
            step.duration_ms = (time.perf_counter() - started) * 1000
            run.steps.append(step)
            if run.answered:
                return None
            last = number + 1 == self.max_steps
            run.say("user", step.observation + ("\n" + prompt.LAST_STEP if last else ""))
        last_line = run.steps[-1].observation.strip().splitlines()[0]
        return f"no answer within {self.max_steps} steps; the last one: {last_line}"

    async def _step(self, run: Transcript, number: int) -> Step:
        code = await asyncio.wait_for(self._generate(run), run.remaining())
        if code is None:
            return Step(number, None, "no_code", prompt.NO_CODE)
        fault = syntax.syntax_error(code)
        if fault is not None:  # no run is spent on code that cannot start
            return Step(number, code, "syntax_error", f"The program was not run. {fault}")
        if not await approved(self.approve, code, number):
            return Step(number, code, "rejected", prompt.REJECTED)
        result = await self._execute_code(code, run.files, self._time_for_a_step(run))
        run.sandbox_runs += 1
        run.output = result.stdout
        return self._judge(run, number, code, result)

    async def _generate(self, run: Transcript) -> str | None:
        return await self._generate_code(run.messages[1]["content"], run)

    async def _generate_code(self, task: str, run: Transcript | None = None) -> str | None:
        """Ask the model for the next program; None when its reply holds none. `run` has the conversation so far."""
        messages = (
            run.messages
            if run
            else [{"role": "system", "content": self.system_prompt}, {"role": "user", "content": task}]
        )
        reply = await self.llm.complete(messages)
        if run:
            run.say("assistant", reply.text)
            run.usage += reply.usage
            run.model_calls += 1
        return extract_code(reply.text)

    async def _execute_code(
        self, code: str, files: Mapping[str, bytes] | None = None, timeout: float | None = None
    ) -> Any:
        """Runs one program in the sandbox; `timeout` in seconds. Returns the sandbox's ExecutionResult."""
        with tracing.tool_span("python"):
            return await self._open().execute(code, timeout=timeout or self.step_timeout, files=dict(files or {}))

    def _parse_result(self, result: Any) -> Any:
        """The answer of a successful run.

        Raises LookupError where the program left none, ValueError (with words for the model) where it is not good.
        """
        return parse_answer(result.files)

    def _judge(self, run: Transcript, number: int, code: str, result: Any) -> Step:
        observation = of_run(result, self.observation_limit)
        if not result.success:
            return Step(number, code, "failed", observation)
        try:
            run.answer = self._parse_result(result)
        except LookupError:
            run.files.update(result.files)
            return Step(number, code, "no_answer", f"{observation}\n{prompt.NO_ANSWER}")
        except ValueError as error:
            detail = head_and_tail(str(error), self.observation_limit // 2)
            return Step(number, code, "bad_answer", f"{observation}\nThe answer is not good: {detail}")
        run.files.update(result.files)
        run.answered = True
        return Step(number, code, "answered", observation)

    def _time_for_a_step(self, run: Transcript) -> float:
        remaining = run.remaining()
        return self.step_timeout if remaining is None else max(0.001, min(self.step_timeout, remaining))

    def _out_of_time(self, run: Transcript) -> str:
        return f"no answer within {self.max_seconds} seconds ({len(run.steps)} steps)"

    def _open(self) -> Any:
        if self._sandbox is None:
            choice = self._sandbox_choice
            if choice is None or isinstance(choice, str):
                from hagane.sandbox import get_sandbox

                self._sandbox = get_sandbox(None if choice in {None, "auto"} else choice)
            else:
                self._sandbox = choice
        return self._sandbox

    async def _close(self) -> None:
        sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None and sandbox is not self._sandbox_choice:
            await sandbox.close()
