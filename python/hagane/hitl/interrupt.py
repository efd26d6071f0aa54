"""Stopping a run until a person has decided.

`interrupt()` raises `InterruptSignal`; whoever drives the run keeps the state and ends it. When the run is done again
with the answer at hand, the same call returns the answer. What stands before the call is executed again then, so it
should have no effects, or effects that can be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from hagane.errors import InterruptError, InterruptTimeoutError
from hagane.hitl.kinds import InterruptType

if TYPE_CHECKING:
    from hagane.hitl.checkpointer import Checkpointer
    from hagane.hitl.pending import Execution
    from hagane.hitl.types import ApprovalRequest, ApprovalResponse, Command, InterruptPayload

__all__ = [
    "Given",
    "InterruptError",
    "InterruptSignal",
    "InterruptTimeoutError",
    "answers",
    "clear_interrupt",
    "get_current_interrupt",
    "given_answers",
    "interrupt",
    "is_interrupted",
    "resume_with_command",
    "set_checkpointer",
    "set_thread_id",
]


class InterruptSignal(Exception):
    """A run stops here until somebody decides: control flow, no failure; nothing retries it or counts it as one.

    Attributes:
        payload: Where, why and what is asked.
        asked_by: Which of a stage's several agents asks, as the engine calls it.
    """

    asked_by: str | None = None

    def __init__(self, payload: InterruptPayload) -> None:
        self.payload = payload
        super().__init__(_sentence(payload))

    def __reduce__(self) -> tuple[type[InterruptSignal], tuple[InterruptPayload]]:
        return type(self), (self.payload,)


def _sentence(payload: Any) -> str:
    """What a person reads who meets the signal as an uncaught exception; `payload` may be anything."""
    request, state = getattr(payload, "request", None), getattr(payload, "state", None)
    asked = getattr(request, "reason", None) or getattr(payload, "prompt", None) or "a decision is wanted"
    node, name = getattr(payload, "node_id", None), getattr(payload, "id", payload)
    where = f"stage {node!r} waits" if node else "the run waits"
    thread = state.get("thread_id") if isinstance(state, dict) else None
    how = (
        f"thread {thread!r}; go on with resume({thread!r}, Command.approve()), or .update({{...}}), .retry(...), "
        ".reject(...), .cancel()"
        if thread
        else "go on with resume(thread_id, command)"
    )
    return f"{where} for a person: {asked} (interrupt {name}, {how})"


class Given(Protocol):
    """What a driver has for one node's calls of `interrupt()`: answers, and names."""

    def answer(self, payload: InterruptPayload) -> ApprovalResponse | None:
        """Give the answer to this question, each once; None if there is none yet."""

    @property
    def flow_id(self) -> str | None:
        """The pipeline's run, if there is one."""

    @property
    def node_id(self) -> str | None:
        """The stage, if there is one."""


class _Given:
    """Answers in their order, whatever is asked."""

    def __init__(self, responses: Sequence[ApprovalResponse], flow_id: str | None, node_id: str | None) -> None:
        self._remaining = iter(tuple(responses))
        self.flow_id = flow_id
        self.node_id = node_id

    def answer(self, payload: InterruptPayload) -> ApprovalResponse | None:
        """Give the next answer."""
        return next(self._remaining, None)


_current_interrupt: ContextVar[InterruptPayload | None] = ContextVar("hagane_current_interrupt", default=None)
_current_checkpointer: ContextVar[Checkpointer | None] = ContextVar("hagane_current_checkpointer", default=None)
_current_thread_id: ContextVar[str | None] = ContextVar("hagane_current_thread_id", default=None)
# Mutable and shared on purpose by the tasks that a run starts: they belong to one execution.
_current_execution: ContextVar[Execution | None] = ContextVar("hagane_current_execution", default=None)
# What this context has for calls of `interrupt()`; an engine sets it in a context that it made for a node.
given_answers: ContextVar[Given | None] = ContextVar("hagane_given_answers", default=None)


def get_current_interrupt() -> InterruptPayload | None:
    """Return what this context was interrupted for, None if it was not."""
    return _current_interrupt.get()


def is_interrupted() -> bool:
    """Tell whether this context was interrupted."""
    return _current_interrupt.get() is not None


def clear_interrupt() -> None:
    """Forget that this context was interrupted."""
    _current_interrupt.set(None)


def set_checkpointer(checkpointer: Checkpointer) -> None:
    """Keep this context's interrupts in `checkpointer`."""
    _current_checkpointer.set(checkpointer)
    _current_execution.set(None)


def set_thread_id(thread_id: str) -> None:
    """Begin to execute `thread_id`, from its start, in this context."""
    _current_thread_id.set(thread_id)
    _current_execution.set(None)


@contextmanager
def answers(
    responses: Sequence[ApprovalResponse],
    *,
    thread_id: str,
    flow_id: str | None = None,
    node_id: str | None = None,
) -> Iterator[None]:
    """Drive one node: within, the n-th `interrupt()` returns the n-th response, the one after the last raises.

    For engines, which keep interrupts and answers with their own run: no checkpointer is asked for. Tasks and threads
    (`asyncio.to_thread`) that begin within share the count. The driver has to know that the same is asked in the same
    order as when the answers were given; hagane's engines do not rely on it.
    """
    token = given_answers.set(_Given(responses, flow_id, node_id))
    try:
        yield
    finally:
        given_answers.reset(token)


async def interrupt(
    request: ApprovalRequest | str,
    *,
    interrupt_type: InterruptType = InterruptType.APPROVAL,
    options: list[str] | None = None,
    timeout_seconds: int | float | None = None,
    node_id: str | None = None,
    flow_id: str | None = None,
    state: dict[str, Any] | None = None,
) -> ApprovalResponse:
    """Ask a person; return the answer if it is there, else stop the run.

    In an engine an answer belongs to what was asked: it is given to a call with the same request (action, reason,
    resource, context), type and options, by the same agent of the stage. Anything else is asked anew, so nothing that
    differs from attempt to attempt, such as the time, should be in them.

    Args:
        request: What is asked; a text is a prompt for input.
        interrupt_type: What kind of answer is wanted.
        options: The answers that there are to choose from.
        timeout_seconds: How long an answer counts; else the request's, else one hour.
        node_id: The stage or node.
        flow_id: The pipeline or flow.
        state: What the program wants to find in the payload.

    Raises:
        InterruptSignal: There is no answer yet.
        InterruptTimeoutError: The time for an answer is over.
        InterruptError: No engine drives this run and no checkpointer is set.
        ValueError: A timeout below 0.
    """
    from hagane.hitl import pending

    given = given_answers.get()
    payload = pending.payload_of(
        request,
        interrupt_type=interrupt_type,
        options=options,
        timeout_seconds=timeout_seconds,
        node_id=node_id or (given.node_id if given else None),
        flow_id=flow_id or (given.flow_id if given else None),
        state=state,
    )
    try:
        response = await _answer(payload, given)
    except InterruptSignal as signal:
        _current_interrupt.set(signal.payload)
        raise
    _current_interrupt.set(None)
    return response


async def _answer(payload: InterruptPayload, given: Given | None) -> ApprovalResponse:
    if given is not None:
        response = given.answer(payload)
        if response is None:
            raise InterruptSignal(payload)
        return response
    return await _execution().ask(payload)


def _execution() -> Execution:
    """Return what this context has been through since its thread began."""
    execution = _current_execution.get()
    if execution is None:
        from hagane.hitl.pending import begin

        execution = begin(_current_checkpointer.get(), _current_thread_id.get())
        _current_thread_id.set(execution.thread_id)
        _current_execution.set(execution)
    return execution


async def resume_with_command(command: Command, checkpointer: Checkpointer, checkpoint_id: str) -> ApprovalResponse:
    """Decide the interrupt that a checkpoint holds; the interrupted call returns this answer when it is made again.

    APPROVE and REJECT decide; CANCEL gives up. UPDATE and RETRY approve nothing: the answer is `pending`, with the
    updates or the feedback as `modifications`. RESUME answers a question (input, review) with its value and approves
    nothing else. A value that is not a dictionary is `modifications["value"]`. After the deadline the answer is
    `expired` whatever the command says.

    Raises:
        InterruptError: No such checkpoint, none that holds an interrupt, or one that was decided already.
        ValueError: A value that is none of the options, or updates that are not a dictionary.
    """
    from hagane.hitl.pending import decide

    return await decide(command, checkpointer, checkpoint_id)
