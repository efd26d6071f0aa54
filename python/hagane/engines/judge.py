"""What is wrong with an output: validation, gate and review stages, quality gates. Decides nothing; the plan does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hagane import _core
from hagane.engines import checks as table
from hagane.engines.checks import gate_stage_verdict, review_verdict
from hagane.engines.deadline import Deadline, OutOfTime
from hagane.engines.feedback import feedback
from hagane.engines.interrupts import is_interrupt
from hagane.engines.isolate import isolate
from hagane.engines.journal import Journal
from hagane.engines.pipeline import Pipeline
from hagane.engines.stage import BranchesFailed, Stage
from hagane.engines.trouble import may_pass, told
from hagane.observability import standard
from hagane.validation import GateVerdict, Issue, QualityGate, StageValidator, ValidationResult

__all__ = ["Judge", "Judgement", "fingerprint"]

Output = dict[str, Any]


@dataclass(frozen=True)
class Judgement:
    """What the checks found.

    Attributes:
        failures: places of the failed checks in the table; empty when the output is good.
        fingerprint: stands for what was wrong with what output; None where a repetition says nothing.
        complaint: the feedback for whoever runs next.
        advice: what a reviewer who let the output pass would do better; None without.
    """

    failures: list[int] = field(default_factory=list)
    fingerprint: str | None = None
    complaint: dict[str, Any] = field(default_factory=dict)
    advice: str | None = None


GOOD = Judgement()


class Judge:
    """Asks every check that applies and notes each verdict in the journal and the metrics."""

    def __init__(self, pipeline: Pipeline, validator: Any, journal: Journal, deadline: Deadline) -> None:
        self._name = pipeline.name
        self._checks = pipeline.checks
        self._validator = validator
        self._journal = journal
        self._deadline = deadline
        ours = type(validator) is StageValidator and "validate" not in vars(validator)
        self._trusted = ours and not validator.uses_models
        # Stages whose outputs nobody checks: neither gates nor reviews nor rules of ours, and no rules of others.
        asked = validator.asked(pipeline.ungated) if ours else pipeline.ungated
        self.unchecked = pipeline.ungated - asked if asked else pipeline.ungated
        # What is told accepted outputs, if somebody learns from them.
        learn = None if type(validator) is StageValidator and validator.anomalies is None else _learn_of(validator)
        self.learner: Callable[[str, Any], Any] | None = learn

    def raised(self, stage: str, attempt: int, error: Exception) -> Judgement:
        """Judge a stage that raised instead of giving an output."""
        message = told(error)
        # Trouble of a service may pass; anything else that comes twice will come a third time.
        errors = error.errors.values() if isinstance(error, BranchesFailed) else [error]
        passing = any(may_pass(one) for one in errors)
        complaint = feedback("error", stage=stage, attempt=attempt, message=message)
        return Judgement([self._checks.error(stage)], None if passing else _core.fingerprint([message]), complaint)

    async def stage(self, stage: Stage, attempt: int, output: Output, reviewed: Mapping[str, Any]) -> Judgement:
        """Judge a stage's output; an output that is not valid is not shown to gates. A review has `reviewed` others."""
        invalid = await self._validate(stage.name, attempt, output)
        if invalid.failures:
            return invalid
        special = await self._special(stage, attempt, output, reviewed)
        if special.failures:
            return special
        gates = self._checks.by_stage.get(stage.name)
        found = await self._gates(gates, stage.name, attempt, output, output) if gates else GOOD
        return found if found.failures or special.advice is None else special

    async def final(self, stage: str, attempt: int, output: Output, merged: Output) -> Judgement:
        """Judge the merged results after the last `stage`, whose own output is `output`."""
        return await self._gates(self._checks.final, stage, attempt, output, merged)

    async def _validate(self, stage: str, attempt: int, output: Output) -> Judgement:
        # Our own rules change nothing; models and validators of users may.
        given = output if self._trusted else isolate(output)
        try:
            work = _validated(self._validator, stage, given)
            result = await (work if self._trusted else self._deadline.bound(work))
        except Exception as error:
            if is_interrupt(error) or isinstance(error, OutOfTime):
                raise
            result = ValidationResult(passed=False, issues=(Issue("", "validator", "a verdict", told(error)),))
        # A validator of somebody else's has `passed` and `feedback`, as in the document, and maybe no more.
        found, warnings = getattr(result, "issues", ()), getattr(result, "warnings", ())
        shown = {"verdict": "passed" if result.passed else "failed", "score": getattr(result, "score", None)}
        noted = {"warnings": [str(warning) for warning in warnings]} if warnings else {}
        issues = [str(issue) for issue in found]
        self._journal.note("validation", stage=stage, attempt=attempt, **shown, issues=issues, **noted)
        if result.passed:
            return GOOD
        text = str(result.feedback)
        typed = [issue for issue in found if isinstance(issue, Issue)]
        complaint = feedback("validation", stage=stage, attempt=attempt, message=text, issues=typed, output=output)
        return Judgement([table.VALIDATION], fingerprint([text], output), complaint)

    async def _special(self, stage: Stage, attempt: int, output: Output, reviewed: Mapping[str, Any]) -> Judgement:
        """Judge the output of AgentFlow's gate and review stages."""
        if stage.config.gate:
            asked = gate_stage_verdict(stage.config, len(stage.agents), isolate(output))
            source, failing, verdict = "gate", table.GATE_STAGE, await self._deadline.bound(asked)
        elif stage.config.review:
            word, verdict = review_verdict(stage.config, output)
            source, failing = "review", self._checks.revise[stage.name] if word == "REVISE" else table.REVIEW_REJECT
        else:
            return GOOD
        self._note(stage.name, attempt, verdict)
        if verdict.passed:
            return Judgement(advice=verdict.reason) if verdict.reason else GOOD
        name, reason = stage.name, verdict.reason
        complaint = feedback(source, stage=name, attempt=attempt, message=reason, gate=name, output=output)
        # The same words about other work are no repetition.
        about = {"said": output, "about": dict(reviewed)} if stage.config.review else output
        return Judgement([failing], fingerprint([reason], about), complaint)

    async def _gates(
        self, gates: Sequence[tuple[int, QualityGate]], stage: str, attempt: int, output: Output, seen: Output
    ) -> Judgement:
        """Ask every gate about what it is to see, so that all verdicts are known."""
        failed: list[tuple[int, GateVerdict]] = []
        for place, gate in gates:
            verdict = await self._deadline.bound(gate.evaluate(isolate(seen)))
            self._note(stage, attempt, verdict)
            if not verdict.passed:
                failed.append((place, verdict))
        if not failed:
            return GOOD
        reasons = [f"{verdict.gate}: {verdict.reason}" for _, verdict in failed]
        names = ", ".join(verdict.gate for _, verdict in failed)
        text = "\n".join(reasons)
        complaint = feedback("gate", stage=stage, attempt=attempt, message=text, gate=names, output=output)
        return Judgement([place for place, _ in failed], fingerprint(reasons, seen), complaint)

    def _note(self, stage: str, attempt: int, verdict: GateVerdict) -> None:
        about = {"stage": stage, "attempt": attempt, "gate": verdict.gate}
        self._journal.note("gate", **about, verdict=verdict.outcome, reason=verdict.reason, score=verdict.score)
        standard.gate_verdict(self._name, verdict.gate, verdict.outcome)


def _learn_of(validator: Any) -> Callable[[str, Any], Any] | None:
    learn = getattr(validator, "learn", None)
    return learn if callable(learn) else None


async def _validated(validator: Any, stage: str, output: Output) -> Any:
    return await validator.validate(stage, output)


def fingerprint(reasons: Sequence[str], output: Output) -> str | None:
    """Stand for a complaint about an output, so that a repetition is seen; None for outputs that have no address."""
    try:
        return _core.fingerprint([*reasons, _core.Blob(output).address])
    except TypeError:
        return None
