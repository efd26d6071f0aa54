"""Questions to a person: what is asked, what an answer means, and until when it counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from hagane.engines.feedback import bounded
from hagane.errors import PipelineError
from hagane.hitl.asked import asked_of

if TYPE_CHECKING:
    from hagane.hitl.types import InterruptPayload

__all__ = [
    "Decision",
    "answer_of",
    "interrupt_in",
    "is_interrupt",
    "is_late",
    "payload_of",
    "question_of",
    "question_of_agent",
    "read_command",
    "request_of",
    "signal_of",
]

WORDS = ("approve", "update", "retry", "reject", "cancel", "resume")
# AgentFlow's word for what an interrupt is about, by what the plan asks.
KINDS = {"output": "escalation", "results": "escalation", "before": "approval", "after": "approval"}


def is_interrupt(error: BaseException) -> bool:
    """Whether this is an `InterruptSignal`, hagane's or AgentFlow's: control flow, never a failure."""
    return interrupt_in(error) is not None


def interrupt_in(error: BaseException) -> Any:
    """Find the `InterruptSignal` that `error` is, or the first one of a task group's in which all are such; or None."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "InterruptSignal" in kinds:
        return error
    if "BaseExceptionGroup" in kinds:  # Python 3.10 has none of its own
        found = [interrupt_in(inner) for inner in getattr(error, "exceptions", ())]
        return found[0] if found and None not in found else None
    return None


@dataclass(frozen=True)
class Decision:
    """What a person said: `word` (approve, update, retry, reject, cancel, resume), `value` and who said it.

    `late`: nobody said it, the time was over.
    """

    word: str
    value: Any = None
    issuer: str | None = None
    late: bool = False

    @property
    def comment(self) -> str:
        """The value as text for feedback."""
        return "" if self.value is None else str(self.value)


def read_command(command: Any, ask: str) -> Decision:
    """Understand a `Command`, its dict, or one of its words. `ask` is what the plan asked.

    Raises:
        PipelineError: it is none of them, or says nothing about this question.
    """
    fields = command if isinstance(command, Mapping) else {"type": command} if isinstance(command, str) else None
    if fields is None:
        fields = {name: getattr(command, name, None) for name in ("type", "value", "issuer")}
    word = str(getattr(fields.get("type"), "value", fields.get("type"))).lower()
    if word not in WORDS:
        raise PipelineError(f"the command {command!r:.200} is not understood; use one of {', '.join(WORDS)}")
    value = fields.get("value")
    if word == "resume":
        if ask in ("output", "results"):
            raise PipelineError("'resume' decides nothing about a refused output; say approve, update, retry or reject")
        word = "resume" if ask == "agent" else "approve"
    if word == "update" and not isinstance(value, Mapping):
        raise PipelineError(f"an update is a dict of new values, not {type(value).__name__}")
    return Decision(word, value, fields.get("issuer"))


def request_of(command: Any) -> tuple[str | None, float | None]:
    """Give the id of the request that a command names in its metadata, and when it was issued (seconds since 1970)."""
    fields = command if isinstance(command, Mapping) else getattr(command, "__dict__", {})
    metadata = fields.get("metadata")
    about = metadata.get("request_id") if isinstance(metadata, Mapping) else None
    try:
        issued_at = _seconds(fields.get("issued_at"))
    except ValueError as error:
        raise PipelineError(f"the command's issued_at is no time: {error}") from error
    return None if about is None else str(about), issued_at


def question_of(
    ask: str,
    *,
    stage: str,
    pipeline: str,
    reason: str,
    complaint: Mapping[str, Any],
    now: float,
    seconds: float,
    name: str,
) -> dict[str, Any]:
    """Make the question that is stored while the run waits; times are seconds since 1970."""
    action = f"stage_{ask}_{stage}" if ask in ("before", "after") else f"escalation_{stage}"
    return {
        "id": name,
        "ask": ask,
        "kind": KINDS[ask],
        "stage": stage,
        "gate": complaint.get("gate"),
        "action": action,
        "reason": reason,
        "context": bounded({"stage_name": stage, "timing": ask, **complaint}),
        "requester": pipeline,
        "asked_at": now,
        "expires_at": now + seconds,
    }


def question_of_agent(payload: Any, *, stage: str, now: float, asker: str | None = None) -> dict[str, Any]:
    """Make the question of what an agent asked by `interrupt()`; `asker` is which of several agents."""
    shown = payload.model_dump(mode="json") if hasattr(payload, "model_dump") else {}
    request = shown.get("request") or {}
    return {
        "id": request.get("id") or shown.get("id") or stage,
        "ask": "agent",
        "kind": shown.get("interrupt_type", "approval"),
        "stage": stage,
        "gate": None,
        "action": request.get("action", "user_input"),
        "reason": request.get("reason") or shown.get("prompt") or "",
        "context": bounded(request.get("context") or {}),
        "requester": request.get("requester"),
        "asked_at": now,
        "expires_at": _seconds(request.get("expires_at")),
        "payload": shown,
        "asked": asked_of(payload, asker),
        "asker": asker,
    }


def is_late(question: Mapping[str, Any], now: float) -> bool:
    """Whether the time for an answer is over."""
    expires = question.get("expires_at")
    return expires is not None and now >= expires


def payload_of(question: Mapping[str, Any], *, run_id: str, thread_id: str) -> InterruptPayload:
    """Make AgentFlow's payload of a stored question."""
    from hagane.hitl.types import ApprovalRequest, InterruptPayload, InterruptType

    if question.get("payload"):
        return InterruptPayload(**question["payload"])
    request = ApprovalRequest(
        id=question["id"],
        action=question["action"],
        reason=question["reason"],
        context=dict(question["context"]),
        requester=question["requester"],
        priority="high" if question["kind"] == "escalation" else "normal",
        expires_at=None if question["expires_at"] is None else _moment(question["expires_at"]),
        created_at=_moment(question["asked_at"]),
        metadata={"run_id": run_id, "thread_id": thread_id},
    )
    return InterruptPayload(
        interrupt_type=InterruptType(question["kind"]),
        request=request,
        prompt=question["reason"],
        node_id=question["stage"],
        flow_id=run_id,
        state={"stage": question["stage"], "thread_id": thread_id, "run_id": run_id, "gate": question["gate"]},
    )


def signal_of(question: Mapping[str, Any], *, run_id: str, thread_id: str) -> Exception:
    """Make the `InterruptSignal` that `run` raises."""
    from hagane.hitl.interrupt import InterruptSignal

    return InterruptSignal(payload_of(question, run_id=run_id, thread_id=thread_id))


def answer_of(decision: Decision, question: Mapping[str, Any], *, run_id: str, thread_id: str) -> dict[str, Any]:
    """Make what `interrupt()` returns to the agent, and the command, as they are stored.

    Raises:
        PipelineError: the value is none of the options that the agent gave.
    """
    from hagane.hitl.answering import expired, response_to
    from hagane.hitl.types import Command, CommandType

    payload = payload_of(question, run_id=run_id, thread_id=thread_id)
    command = Command(type=CommandType(decision.word), value=decision.value, issuer=decision.issuer)
    try:
        response = expired(payload) if decision.late else response_to(command, payload)
    except ValueError as error:
        raise PipelineError(str(error)) from error
    shown = {"response": response.model_dump(mode="json"), "command": command.model_dump(mode="json")}
    return {**shown, "asked": question.get("asked"), "asker": question.get("asker")}


def _seconds(moment: Any) -> float | None:
    if moment is None:
        return None
    made = datetime.fromisoformat(str(moment).replace("Z", "+00:00"))
    return (made if made.tzinfo else made.replace(tzinfo=timezone.utc)).timestamp()


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None)
