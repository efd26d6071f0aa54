"""The table of checks that the plan decides by, and where each of them applies."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hagane.engines.config import EngineConfig, StageConfig
from hagane.errors import PipelineError, UnknownStage
from hagane.validation import GateVerdict, QualityGate

__all__ = ["Checks", "Policy", "build_checks", "gate_stage_verdict", "review_verdict"]

Row = tuple[str, tuple[str, ...], "int | None", int, int]

# The first rows of every table.
ERROR = 0
VALIDATION = 1
GATE_STAGE = 2
REVIEW_REJECT = 3

WORDS = ("PASS", "COACH", "REVISE", "REJECT")
KNOWN = "PASS, COACH, REVISE or REJECT"
_VERDICT = re.compile(rf"(?:\w+\.)?({'|'.join(WORDS)})")


@dataclass(frozen=True)
class Policy:
    """What follows failures that no quality gate is about: after retries, a resilient engine goes back a stage."""

    on_error: tuple[str, ...] = ("retry", "fail")
    on_invalid: tuple[str, ...] = ("retry", "reject")


@dataclass
class Checks:
    """All checks of a pipeline.

    Attributes:
        rows: name, ladder of actions, stage to go back to, retries, rollbacks; the plan names a check by its place.
        by_stage: the quality gates of each stage's output, with their places.
        final: the quality gates of the merged results, with their places.
        revise: the place of each review stage's check.
        isolated: the place of the error check of each stage without which the run goes on.
    """

    rows: list[Row]
    by_stage: dict[str, list[tuple[int, QualityGate]]] = field(default_factory=dict)
    final: list[tuple[int, QualityGate]] = field(default_factory=list)
    revise: dict[str, int] = field(default_factory=dict)
    isolated: dict[str, int] = field(default_factory=dict)

    def error(self, stage: str) -> int:
        """Find the check that fails when `stage` raises."""
        return self.isolated.get(stage, ERROR)

    def gate(self, place: int) -> QualityGate | None:
        """Find the quality gate at `place`, if it is one."""
        everywhere = [*self.final, *(pair for pairs in self.by_stage.values() for pair in pairs)]
        return next((gate for number, gate in everywhere if number == place), None)

    @property
    def gates(self) -> list[QualityGate]:
        """Every quality gate once."""
        pairs = [*self.final, *(pair for gates in self.by_stage.values() for pair in gates)]
        return list(dict(pairs).values())


def build_checks(
    stages: list[StageConfig], gates: list[QualityGate], config: EngineConfig, revisions: int, policy: Policy
) -> Checks:
    """Lay out the table.

    Raises:
        PipelineError: two gates of one name, or a required stage without a gate.
        UnknownStage: a gate or a review names a stage that the pipeline does not have.
    """
    builder = _Builder([stage.name for stage in stages], config, revisions, policy)
    for gate in gates:
        builder.add(gate, gate.stages)
    for stage in stages:
        for gate in stage.gates:
            builder.add(gate, [stage.name])
        if stage.review:
            builder.add_review(stage)
        if stage.on_error == "isolate":
            builder.add_isolated(stage)
        if stage.required and not builder.checks.by_stage.get(stage.name):
            raise PipelineError(f"stage {stage.name!r} is required but no quality gate checks it; give it one")
        _refuse_ways_around(stage, [gate for _, gate in builder.checks.by_stage.get(stage.name, ())])
    return builder.checks


def _refuse_ways_around(stage: StageConfig, gates: list[QualityGate]) -> None:
    """Refuse what would take a stage over, or leave it out, without a check that is required."""
    if stage.required and stage.on_error == "isolate":
        raise PipelineError(f"stage {stage.name!r} is required, so on_error='isolate' cannot go on without it")
    demanded = stage.required or any(gate.required for gate in gates)
    for gate in gates:
        # Without the output nothing reaches later stages that a required gate has not seen.
        way = "fallback" if "fallback" in gate.steps else "skip" if stage.required and "skip" in gate.steps else None
        if demanded and way is not None:
            raise PipelineError(
                f"gate {gate.name!r} may {way} the output of stage {stage.name!r}, which would go around what is "
                "required there; let it retry, roll back, escalate or abort"
            )


class _Builder:
    def __init__(self, names: list[str], config: EngineConfig, revisions: int, policy: Policy) -> None:
        self.names = names
        self.revisions = revisions
        self.retries = config.max_retries
        self.seen: dict[str, QualityGate] = {}
        rows: list[Row] = [
            ("error", policy.on_error, None, config.max_retries, revisions),
            ("validation", policy.on_invalid, None, revisions, revisions),
            ("gate stage", ("reject",), None, 0, 0),
            ("review", ("reject",), None, 0, 0),
        ]
        self.checks = Checks(rows)

    def add(self, gate: QualityGate, stages: Any) -> None:
        if self.seen.setdefault(gate.name, gate) is not gate:
            raise PipelineError(f"two quality gates are named {gate.name!r}; names must differ")
        retries = self.revisions if gate.max_attempts is None else gate.max_attempts - 1
        rollbacks = self.revisions if gate.max_rollbacks is None else gate.max_rollbacks
        if inspect.iscoroutinefunction(gate.fallback) or inspect.iscoroutinefunction(
            getattr(gate.fallback, "__call__", None)  # noqa: B004
        ):
            raise PipelineError(f"gate {gate.name!r}: the fallback is async; give a dict or a plain function")
        target = None if gate.rollback_to is None else self.place(gate.rollback_to, f"gate {gate.name!r}")
        for stage in gate.stages or () if stages is None else stages:
            if target is not None and target > self.place(stage, f"gate {gate.name!r}"):
                raise PipelineError(
                    f"gate {gate.name!r} of stage {stage!r} goes back to {gate.rollback_to!r}, which comes later; "
                    "rollback_to names a stage that runs before it, or the stage itself"
                )
        place = len(self.checks.rows)
        self.checks.rows.append((gate.name, gate.steps, target, retries, rollbacks))
        if stages is None:
            self.checks.final.append((place, gate))
        for stage in stages or ():
            self.place(stage, f"gate {gate.name!r}")
            self.checks.by_stage.setdefault(stage, []).append((place, gate))

    def add_review(self, stage: StageConfig) -> None:
        target = 0 if stage.retry_from is None else self.place(stage.retry_from, f"stage {stage.name!r}")
        if stage.retry_from is not None and target >= self.place(stage.name, ""):
            raise PipelineError(
                f"stage {stage.name!r} sends work back to {stage.retry_from!r}, which does not come before it; "
                "retry_from names an earlier stage"
            )
        self.checks.revise[stage.name] = len(self.checks.rows)
        self.checks.rows.append((stage.name, ("rollback", "reject"), target, 0, self.revisions))

    def add_isolated(self, stage: StageConfig) -> None:
        self.checks.isolated[stage.name] = len(self.checks.rows)
        # Not the name of a gate: those are words of users.
        self.checks.rows.append((f"error:{stage.name}", ("retry", "skip"), None, self.retries, 0))

    def place(self, stage: str, who: str) -> int:
        if stage not in self.names:
            raise UnknownStage(f"{who} names stage {stage!r}; the stages are {', '.join(self.names)}")
        return self.names.index(stage)


async def gate_stage_verdict(stage: StageConfig, agents: int, output: dict[str, Any]) -> GateVerdict:
    """Whether a gate stage of so many agents lets the run go on; `output` is nobody else's. Anything but true is no."""
    check = stage.gate_check or partial(_passed, agents)
    verdict = await QualityGate(stage.name, check).evaluate(output)
    if verdict.outcome == "failed":
        return GateVerdict(stage.name, "failed", str(output.get("reason") or "gate refused"))
    return verdict


def _passed(agents: int, output: dict[str, Any]) -> Any:
    """What a gate stage says of itself: `passed`, which may be missing; of several agents all must say so."""
    if agents < 2 or "passed" in output:
        return output.get("passed", True)
    said = [entry.get("passed", True) for entry in output.values() if isinstance(entry, Mapping)]
    if len(said) < agents:
        raise ValueError(f"{agents - len(said)} of its {agents} agents said nothing")
    return next((one for one in said if one is not True), True)


def review_verdict(stage: StageConfig, output: dict[str, Any]) -> tuple[str, GateVerdict]:
    """Read what a review stage said: PASS, COACH, REVISE or REJECT. Anything else is an error and rejects."""
    said = [output[name] for name in ("verdict", "overall_verdict") if output.get(name) is not None]
    words = {_word(getattr(one, "value", one)) for one in said}
    word = words.pop() if len(words) == 1 else None
    reason = str(output.get("reason") or output.get("feedback") or f"the review said {word}")
    if word == "PASS":
        return word, GateVerdict(stage.name, "passed")
    if word == "COACH":
        return word, GateVerdict(stage.name, "passed", reason)
    if word in ("REVISE", "REJECT"):
        return word, GateVerdict(stage.name, "failed", reason)
    shown = " and ".join(f"{one!r:.80}" for one in said) or "missing"
    return "REJECT", GateVerdict(stage.name, "error", f"the review's verdict is {shown}; use {KNOWN}")


def _word(said: Any) -> str | None:
    """The word, also where it is written as an enum's member is shown: `Verdict.PASS`."""
    found = _VERDICT.fullmatch(str(said).strip().upper())
    return found.group(1) if found else None
