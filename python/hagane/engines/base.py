"""What every engine is: something that runs inputs to a result, once set up, by AgentFlow's protocol."""

from __future__ import annotations

import asyncio
import copy
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hagane.engines.config import EngineConfig, HITLEngineConfig
from hagane.engines.environment import Environment
from hagane.engines.waiting import blocked_loops, complete
from hagane.errors import PipelineError

__all__ = ["BaseEngine", "EngineConfig", "HITLEngineConfig", "RunNames", "check_inputs"]


class RunNames(NamedTuple):
    """Under which names a call of `run` runs; several calls on one engine at the same time do not share them."""

    flow_id: str
    thread_id: str


@dataclass
class _Waking:
    """An engine's initialisation, under way in `loop`; `over` is done when it has ended, one way or the other."""

    loop: asyncio.AbstractEventLoop
    over: Future[None] = field(default_factory=Future)
    task: asyncio.Task[None] | None = None


class BaseEngine(ABC):
    """Base of engines, with AgentFlow's interface. Subclasses implement `_initialize` and `_execute`.

    Args:
        config: see `EngineConfig`.
        environment: clocks, names and waiting, for tests.
    """

    def __init__(self, config: EngineConfig | None = None, *, environment: Environment | None = None) -> None:
        self._config = config or EngineConfig()
        self._environment = environment or Environment()
        self._logger = logging.getLogger("hagane.engines")
        self._initialized = False
        self._waking: _Waking | None = None
        self._waking_lock = threading.Lock()
        self._names: ContextVar[RunNames | None] = ContextVar("hagane_run_names", default=None)
        self._last_names: RunNames | None = None

    @property
    def config(self) -> EngineConfig:
        """The configuration."""
        return self._config

    def configure(self, **kwargs: Any) -> BaseEngine:
        """Change fields of the configuration for later runs; unknown names go to `config.extra`.

        Raises:
            PipelineError: a value that cannot be meant; nothing is changed then.
        """
        former = self._config
        # Another engine may have been given the same object.
        self._config = copy.copy(former)
        self._config.extra = dict(former.extra)
        for name, value in kwargs.items():
            if hasattr(former, name):
                setattr(self._config, name, value)
            else:
                self._config.extra[name] = value
        try:
            self._config.check()
        except PipelineError:
            self._config = former
            raise
        return self

    @abstractmethod
    async def _initialize(self) -> None:
        """Set the engine up; called once, before the first run."""

    @abstractmethod
    async def _execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Run `inputs`, which may be changed, and give the result."""

    async def run(self, inputs: dict[str, Any], thread_id: str | None = None) -> dict[str, Any]:
        """Run `inputs`, which is not changed, and give the result.

        Raises:
            InterruptSignal: a person has to decide something first.
        """
        if not self._initialized:
            await self._wake()
        check_inputs(inputs)
        names = self._new_names(thread_id)
        token = self._names.set(names)
        try:
            return await self._execute(dict(inputs))
        finally:
            self._names.reset(token)

    async def run_stream(
        self, inputs: dict[str, Any], thread_id: str | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Run `inputs` and yield what happens, each event with `seq` (1, 2, 3, ...), `type`, `at` and names.

        The first is `run_started`; the last is `run_completed`, with `result`, or `run_failed`, after which the
        exception is raised.
        """
        await self._wake()
        check_inputs(inputs)
        names = self._new_names(thread_id)
        seq = 0

        def event(kind: str, **body: Any) -> dict[str, Any]:
            nonlocal seq
            seq += 1
            about = {"run_id": names.flow_id, "thread_id": names.thread_id}
            return {"seq": seq, "type": kind, "at": self._environment.clock(), **body, **about}

        yield event("run_started", pipeline=self._config.name)
        result = None
        try:
            async for happened in self._execute_stream(dict(inputs)):
                if happened.get("type") == "result":
                    result = happened.get("data")
                yield event(happened.get("type", "event"), **{k: v for k, v in happened.items() if k != "type"})
        except Exception as error:
            yield event("run_failed", error={"type": type(error).__name__, "message": str(error)})
            raise
        yield event("run_completed", status="success", result=result)

    async def _execute_stream(self, inputs: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Give one event of type `result`; subclasses may give more."""
        yield {"type": "result", "data": await self._execute(inputs)}

    def run_sync(self, inputs: dict[str, Any], thread_id: str | None = None) -> dict[str, Any]:
        """`run` for scripts and notebooks; see there."""
        return complete(self.run(inputs, thread_id=thread_id) if thread_id is not None else self.run(inputs))

    async def resume(self, thread_id: str, command: Any = None) -> dict[str, Any]:
        """Go on with an interrupted run; engines that keep nothing cannot.

        Raises:
            PipelineError: always, here.
        """
        raise PipelineError(f"{type(self).__name__} keeps no checkpoints, so thread {thread_id!r} cannot be resumed")

    def resume_sync(self, thread_id: str, command: Any = None) -> dict[str, Any]:
        """`resume` for scripts and notebooks; see there."""
        return complete(self.resume(thread_id, command))

    @property
    def thread_id(self) -> str | None:
        """The thread of the run in which this is asked; outside, of the run that began last."""
        running = self._running_thread()
        if running is not None:
            return running
        names = self._names.get() or self._last_names
        return None if names is None else names.thread_id

    def _running_thread(self) -> str | None:
        """The thread whose agents are asking, None where none of this engine's are."""
        return None

    @property
    def _flow_id(self) -> str | None:
        names = self._names.get() or self._last_names
        return None if names is None else names.flow_id

    @property
    def is_hitl_enabled(self) -> bool:
        """Whether the configuration wants a human in the loop."""
        return self._config.hitl.enabled

    @property
    def progress_emitter(self) -> Any:
        """AgentFlow's property; None, because events come from `run_stream`."""
        return None

    def _new_names(self, thread_id: str | None) -> RunNames:
        if thread_id is not None and (not isinstance(thread_id, str) or not thread_id):
            raise PipelineError(f"thread_id is {thread_id!r}; give text that is not empty, or None for a new thread")
        new = self._environment.new_id
        names = RunNames(f"run-{new()}", thread_id or f"thread-{new()}")
        self._last_names = names
        return names

    async def _wake(self) -> None:
        """Initialise once, also when several runs begin at the same time, on one event loop or on several.

        Raises:
            PipelineError: it waits for itself: the loop that initialises is blocked by this very call.
        """
        while not self._initialized:
            with self._waking_lock:
                waking, begins = self._waking, self._waking is None
                if waking is None:
                    waking = self._waking = _Waking(asyncio.get_running_loop())
            if begins:
                waking.task = asyncio.ensure_future(self._initialize_once(waking))
            if waking.loop is asyncio.get_running_loop():
                assert waking.task is not None, "begun in this loop"
                await asyncio.shield(waking.task)
            else:
                if waking.loop in blocked_loops.get():
                    raise PipelineError(
                        "the engine is being initialised in the event loop that this call blocks; "
                        "await engine.run(...) there instead of engine.run_sync(...)"
                    )
                # What became of it, whoever began it says; here it is tried anew if need be.
                await asyncio.wrap_future(waking.over)

    async def _initialize_once(self, waking: _Waking) -> None:
        try:
            await self._initialize()
            self._initialized = True
            self._awoken()
        finally:
            with self._waking_lock:
                self._waking = None
            if not waking.over.done():
                waking.over.set_result(None)

    def _awoken(self) -> None:  # noqa: B027
        """Do nothing here; called once, after `_initialize`."""


def check_inputs(inputs: Any) -> None:
    """Refuse inputs that are no dict.

    Raises:
        PipelineError: they are none.
    """
    if not isinstance(inputs, Mapping):
        raise PipelineError(f"the inputs are {type(inputs).__name__}; give a dict")
