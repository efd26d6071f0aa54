"""Quality gates: a check with a name, and what follows when it fails."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hagane import _core

ON_FAIL = ("retry", "rollback", "escalate", "skip", "fallback", "abort")
ON_EXHAUSTED = ("escalate", "skip", "fallback", "abort")


@dataclass(frozen=True)
class GateVerdict:
    """What a gate said: `outcome` is passed, failed or error; `score` is set for gates with a threshold."""

    gate: str
    outcome: str
    reason: str = ""
    score: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the output may go on. An error counts as a failure."""
        return self.outcome == "passed"


@dataclass(frozen=True)
class QualityGate:
    """A check between stages.

    Attributes:
        name: unique in its pipeline; used in events and metrics.
        check: called with the output; gives a bool, or a number if there is a `threshold`. May be async. An exception,
            another type, a missing score or NaN counts as a failure.
        on_fail: retry | rollback | escalate | skip | fallback | abort.
        stages: the stages whose output is checked; None checks the merged results once, after the last stage.
        threshold: the least number that passes.
        rollback_to: where a rollback goes; None for the stage before the one that failed (after the last stage: the
            stage before the last).
        fallback: what stands for the output: a dict, or a function of the refused output that gives one.
        max_attempts: how often the gate lets a stage run in all; None for the engine's `max_revisions` retries.
        max_rollbacks: how often it may go back; None for `max_revisions`.
        required: such a gate may not be passed by: skip and fallback are refused.
        on_exhausted: what follows when retries or rollbacks are spent: escalate | skip | fallback | abort.

    Raises:
        ValueError: an unknown action, a missing fallback, a threshold that is no number, a count below its least.
        TypeError: `check` cannot be called.
    """

    name: str
    check: Callable[[Any], Any]
    on_fail: str = "retry"
    stages: Sequence[str] | None = field(default=None, kw_only=True)
    threshold: float | None = field(default=None, kw_only=True)
    rollback_to: str | None = field(default=None, kw_only=True)
    fallback: Any = field(default=None, kw_only=True)
    max_attempts: int | None = field(default=None, kw_only=True)
    max_rollbacks: int | None = field(default=None, kw_only=True)
    required: bool = field(default=False, kw_only=True)
    on_exhausted: str = field(default="escalate", kw_only=True)

    def __post_init__(self) -> None:
        if not callable(self.check):
            raise TypeError(f"gate {self.name!r}: check is {type(self.check).__name__}; give a function of the output")
        self._want(self.on_fail in ON_FAIL, f"on_fail is {self.on_fail!r}; use one of {', '.join(ON_FAIL)}")
        known = f"on_exhausted is {self.on_exhausted!r}; use one of {', '.join(ON_EXHAUSTED)}"
        self._want(self.on_exhausted in ON_EXHAUSTED, known)
        self._want("fallback" not in self.steps or self.fallback is not None, "falling back needs fallback=...")
        passing_by = self.required and not {"skip", "fallback"}.isdisjoint(self.steps)
        self._want(not passing_by, "a required gate cannot be passed by with skip or fallback")
        self._want(not isinstance(self.stages, str), f"stages is the string {self.stages!r}; give a list of names")
        score = self.threshold
        self._want(score is None or (_is_number(score) and score == score), f"threshold is {score!r}; give a number")
        attempts, rollbacks = self.max_attempts, self.max_rollbacks
        self._want(attempts is None or attempts >= 1, f"max_attempts is {attempts}; the least is 1")
        self._want(rollbacks is None or rollbacks >= 0, f"max_rollbacks is {rollbacks}; the least is 0")

    def _want(self, fine: bool, otherwise: str) -> None:
        if not fine:
            raise ValueError(f"gate {self.name!r}: {otherwise}")

    @property
    def steps(self) -> tuple[str, ...]:
        """What follows a failure, in order: `on_exhausted` comes in when retries or rollbacks are spent."""
        return (self.on_fail, self.on_exhausted) if self.on_fail in ("retry", "rollback") else (self.on_fail,)

    async def evaluate(self, output: Any) -> GateVerdict:
        """Ask the check about `output`. Never raises an `Exception`: what the check raises is its verdict."""
        try:
            said = self.check(output)
            if inspect.isawaitable(said):
                said = await said
        except Exception as error:
            return GateVerdict(self.name, "error", f"the check raised {type(error).__name__}: {error}")
        return self._by_threshold(said) if self.threshold is not None else self._by_truth(said)

    def _by_truth(self, said: Any) -> GateVerdict:
        # numpy's truth values are not instances of bool, yet comparisons of its numbers give them.
        if not isinstance(said, bool) and (type(said).__module__, type(said).__name__[:4]) != ("numpy", "bool"):
            return GateVerdict(
                self.name, "error", f"the check gave {said!r:.80}, which is no bool; use threshold= for scores"
            )
        return GateVerdict(self.name, "passed") if said else GateVerdict(self.name, "failed", "the check gave False")

    def _by_threshold(self, said: Any) -> GateVerdict:
        threshold = self.threshold if self.threshold is not None else float("nan")
        outcome = _core.judge_score(said, threshold)
        score = float(said) if _is_number(said) else None
        reason = "" if outcome == "passed" else f"the score is {said!r:.80}, the threshold {threshold}"
        return GateVerdict(self.name, outcome, reason, score)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
