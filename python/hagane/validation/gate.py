"""Quality gates: a check with a name, and what follows when it fails."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hagane import _core
from hagane.validation.told import told

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
        check: called with the output; gives a bool, or a number (int, float or Decimal) if there is a `threshold`. May
            be async. An exception, another type, a missing score or NaN counts as a failure.
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
        ValueError: an unknown action, a missing fallback, a threshold that is no finite number, a count that is
            no whole number or below its least.
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
        empty = self.stages is not None and not list(self.stages)
        self._want(not empty, "stages is empty, so nothing is checked; name some, or give None for the merged results")
        score = self.threshold
        self._want(score is None or is_finite_number(score), f"threshold is {told(score)}; give a finite number")
        self._want_count("max_attempts", self.max_attempts, 1)
        self._want_count("max_rollbacks", self.max_rollbacks, 0)

    def _want_count(self, name: str, count: Any, least: int) -> None:
        self._want(count is None or type(count) is int, f"{name} is {told(count)}; give a whole number or None")
        self._want(count is None or count >= least, f"{name} is {told(count)}; the least is {least}")

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
            return GateVerdict(self.name, "error", f"the check raised {type(error).__name__}: {told(error)}")
        return self._by_threshold(said) if self.threshold is not None else self._by_truth(said)

    def _by_truth(self, said: Any) -> GateVerdict:
        truth = _truth(said)
        if truth is None:
            return GateVerdict(self.name, "error", f"the check gave {_unfit(said)}, which is no bool; {_advice(said)}")
        return GateVerdict(self.name, "passed") if truth else GateVerdict(self.name, "failed", "the check gave False")

    def _by_threshold(self, said: Any) -> GateVerdict:
        threshold = float(self.threshold if self.threshold is not None else "nan")
        outcome, score = _core.judge_score(said, threshold)
        reason = "" if outcome == "passed" else f"the score is {_unfit(said)}, the threshold {told(self.threshold)}"
        return GateVerdict(self.name, outcome, reason, score)


def is_finite_number(value: Any) -> bool:
    """Whether something is an int or a float that a float can hold; True and False are not."""
    try:
        return issubclass(type(value), (int, float)) and type(value) is not bool and math.isfinite(value)
    except Exception:  # An int beyond the floats, or a class whose own conversion refuses.
        return False


def _truth(said: Any) -> bool | None:
    """Tell what a check gave; None unless it is truly a bool, whatever else it says of itself.

    numpy's truth values are no instances of bool, yet comparisons of its numbers give them.
    """
    numpy = sys.modules.get("numpy")
    is_truth = type(said) is bool or (numpy is not None and type(said) is getattr(numpy, "bool_", None))
    return bool(said) if is_truth else None


def _unfit(said: Any) -> str:
    """Show what a check gave; a coroutine that nobody will await is closed, so that it does not complain later."""
    if inspect.iscoroutine(said):
        said.close()
    return told(said)


def _advice(said: Any) -> str:
    return "await it in the check" if inspect.isawaitable(said) else "use threshold= for scores"
