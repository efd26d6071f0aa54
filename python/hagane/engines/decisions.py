"""What a person's decision does to a run that waits for it."""

from __future__ import annotations

from typing import Any

from hagane import _core
from hagane.engines.config import HITLEngineConfig
from hagane.engines.feedback import bounded, feedback
from hagane.engines.interrupts import Decision, answer_of, is_late, read_command, request_of
from hagane.engines.isolate import isolate
from hagane.engines.progress import OUTPUT_KEY
from hagane.engines.run import Run
from hagane.engines.stored import Stored, awaiting
from hagane.errors import InterruptTimeoutError, PipelineError
from hagane.observability import standard

__all__ = ["apply", "decision_on"]

LATE = "the time for a decision was over"
COUNTED = {"approve": "approved", "resume": "approved", "update": "approved", "cancel": "cancelled"}


def decision_on(stored: Stored, command: Any, config: HITLEngineConfig, now: float) -> Decision:
    """Understand a command for the question that a run waits with; changes nothing.

    Raises:
        PipelineError: no command, one that is not understood, or one that does not fit the question.
        InterruptTimeoutError: it comes too late, and the policy is to say so.
    """
    question = stored.progress.question
    late = is_late(question, now) and config.on_expiry != "accept"
    if late and config.on_expiry == "error":
        raise InterruptTimeoutError(
            f"{LATE}: thread {stored.thread_id!r}, stage {question.get('stage')!r}; "
            "decide all the same with an engine whose HITLEngineConfig.on_expiry is 'accept', or go back with "
            "RollbackController"
        )
    if late:
        return Decision(config.on_expiry, LATE, late=True)
    if command is None:
        raise PipelineError(awaiting(stored.thread_id, question))
    decision = read_command(command, question["ask"])
    _meant_for(command, question, stored.thread_id)
    if decision.word == "approve" and question["ask"] == "output" and "output" not in stored.progress.pending:
        raise PipelineError(
            f"stage {question['stage']!r} raised and has no output to approve; say update, retry, reject or cancel"
        )
    return decision


def _meant_for(command: Any, question: dict[str, Any], thread_id: str) -> None:
    """See that whoever decided had seen this question: an answer that comes twice must not answer the next one.

    Raises:
        PipelineError: it names another request, or was issued before this question was asked.
    """
    about, issued_at = request_of(command)
    if about is not None and about != question["id"]:
        raise PipelineError(
            f"the command is about request {about!r}, which thread {thread_id!r} does not wait for (any more); "
            + awaiting(thread_id, question)
        )
    if about is None and issued_at is not None and issued_at < question["asked_at"]:
        raise PipelineError(
            "the command was issued before this question was asked, so it answers another one (a decision that came "
            f"twice?); decide again, or name the request in metadata['request_id']; {awaiting(thread_id, question)}"
        )


def apply(run: Run, decision: Decision, pipeline: str) -> _core.Action:
    """Do what the person said; return what the plan says to it. The next commit makes it final.

    Raises:
        PipelineError: the answer is none of the options that the agent gave.
        SnapshotError: the update cannot be stored.
    """
    progress, question = run.progress, run.progress.question
    ask, stage = question["ask"], question["stage"]
    run.output = isolate(progress.pending.get("output", {}))
    if ask == "agent" and decision.word not in ("retry", "cancel"):
        ids = {"run_id": run.journal.run_id, "thread_id": run.journal.thread_id}
        answer = answer_of(decision, question, **ids)
        progress.answers[stage] = [*progress.answers.get(stage, []), answer]
    elif decision.word == "update":
        _update(run, ask, stage, dict(decision.value))
    run.decided = True
    run.stands_at(question.get("attempt", 1), _complaint(decision, question, run.output))
    progress.question, progress.pending = {}, {}
    if decision.word == "retry" and ask in ("agent", "before") and decision.value is not None:
        progress.feedback[stage] = run.complaint
    status = "expired" if decision.late else COUNTED.get(decision.word, "rejected")
    standard.approval(str(question["action"]), status)
    standard.pipeline_waiting(pipeline, -1)
    return run.plan.decided("approve" if decision.word == "resume" else decision.word)


def _update(run: Run, ask: str, stage: str, changes: dict[str, Any]) -> None:
    if ask == "before":
        changed = {**run.progress.changes.get(stage, {}), **isolate(changes)}
        run.check_storable("changes", {stage: changed})
        run.progress.changes[stage] = changed
        return
    output = {**run.output, **isolate(changes)}
    run.check_storable(f"{OUTPUT_KEY}{stage}", output)
    run.output = output
    run.progress.forget(stage)


def _complaint(decision: Decision, question: dict[str, Any], output: dict[str, Any]) -> dict[str, Any]:
    """What the stage that runs next is told; of what was wrong before, the reason."""
    message = decision.comment or str(question.get("reason", ""))
    told = feedback(
        "human",
        stage=question["stage"],
        attempt=question.get("attempt", 1),
        message=message,
        gate=question.get("gate"),
        output=output,
    )
    issues = question.get("context", {}).get("issues")
    return {**told, "issues": issues or [], "comment": bounded(decision.value), "issuer": decision.issuer}
