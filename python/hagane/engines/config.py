"""How an engine and its stages are configured. Names and defaults of the first fields are AgentFlow's."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hagane.errors import PipelineError
from hagane.validation import QualityGate

__all__ = [
    "CONFLICTS",
    "EXPIRIES",
    "EngineConfig",
    "HITLEngineConfig",
    "Quorum",
    "StageConfig",
    "parse_on_error",
    "quorum",
]

CONFLICTS = ("reject", "wait", "supersede")
EXPIRIES = ("reject", "cancel", "error", "accept")
_QUORUM = re.compile(r"quorum\((\d+)\)")


@dataclass(frozen=True)
class Quorum:
    """At least `least` of a stage's parallel agents must succeed."""

    least: int


def quorum(least: int) -> Quorum:
    """Let a parallel stage go on when at least `least` of its agents succeed: `StageConfig(on_error=quorum(2))`.

    Raises:
        PipelineError: `least` is not a positive whole number.
    """
    if isinstance(least, bool) or not isinstance(least, int) or least < 1:
        raise PipelineError(f"a quorum of {least!r} is none; give a whole number from 1 up")
    return Quorum(least)


def parse_on_error(said: str | Quorum) -> str | Quorum:
    """Understand `on_error`: fail, isolate, a `Quorum`, or the text `quorum(2)`.

    Raises:
        PipelineError: it is none of them.
    """
    if isinstance(said, Quorum) or said in ("fail", "isolate"):
        return said
    found = _QUORUM.fullmatch(said) if isinstance(said, str) else None
    if found is None:
        raise PipelineError(f"on_error is {said!r}; use 'fail', 'isolate' or quorum(k)")
    return quorum(int(found.group(1)))


@dataclass
class StageConfig:
    """One stage of a pipeline.

    Attributes:
        name: unique in the pipeline.
        agent: a class or instance with `run`, `invoke` or `process`, or a callable; sync or async.
        agents: several of them instead; one after the other, or at the same time with `parallel`.
        gate: the stage decides whether the run goes on at all.
        review: the stage judges the earlier ones: `verdict` or `overall_verdict` is PASS, COACH (goes on with advice;
            the run is partial), REVISE or REJECT.
        gate_check: what a gate stage's output must satisfy, sync or async; by default its field `passed` must not be
            false, of each of several agents. What is neither true nor false refuses.
        retry_from: where REVISE goes back to; None for the first stage.
        parallel: run `agents` at the same time.
        interrupt_before: a person must approve before the stage runs.
        interrupt_after: a person must approve the output before it is taken over.
        gates: quality gates for this stage's output.
        required: the stage must have a quality gate.
        on_error: what follows when the stage raises and retries are spent: "fail" ends the run; "isolate" goes on
            without it (of a parallel stage: without the agents that failed); `quorum(k)` goes on if at least k of the
            parallel agents succeeded. Going on without something makes the run partial.
        compensate: undoes what the stage did, when the run goes back before it or is cancelled: a function, sync or
            async, of a dict with `stage`, `output` (None if none was accepted), `effects` (results by name),
            `idempotency_key` and `inputs`. Called once per execution that stood; repeated after a crash or an
            exception until it succeeds.
        max_attempts: how often the stage may be started in the whole run; None for no limit of its own.
        timeout_seconds: wall time of all its attempts together, in seconds; None for no limit of its own.
        max_tokens: tokens of language models for all its attempts together.
        max_cost: cost of the same, in whole units of the currency.
        reserve_tokens: tokens that must be left before an attempt is started.
        reserve_cost: cost that must be left before an attempt is started.
    """

    name: str
    agent: Any = None
    agents: list[Any] | None = None
    gate: bool = False
    review: bool = False
    gate_check: Callable[[dict[str, Any]], Any] | None = None
    retry_from: str | None = None
    parallel: bool = False
    interrupt_before: bool = False
    interrupt_after: bool = False
    gates: Sequence[QualityGate] = ()
    required: bool = False
    on_error: str | Quorum = "fail"
    compensate: Callable[[dict[str, Any]], Any] | None = None
    max_attempts: int | None = None
    timeout_seconds: float | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    reserve_tokens: int = 0
    reserve_cost: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise PipelineError(f"a stage is named {self.name!r}; give it a name that is text and not empty")
        self.on_error = parse_on_error(self.on_error)
        many = len(self.agents or ()) + (self.agent is not None)
        if isinstance(self.on_error, Quorum) and (not self.parallel or self.on_error.least > max(many, 1)):
            raise PipelineError(
                f"stage {self.name!r}: a quorum of {self.on_error.least} needs parallel=True and as many agents; "
                f"it has {many}"
            )
        if self.review and many > 1:
            raise PipelineError(
                f"stage {self.name!r}: a review by {many} agents has no verdict; give each its own stage"
            )
        if self.compensate is not None and not callable(self.compensate):
            raise PipelineError(f"stage {self.name!r}: compensate is {self.compensate!r}; give a function")
        for what in ("max_attempts", "max_tokens"):
            check_count(f"stage {self.name!r}: {what}", getattr(self, what))
        check_count(f"stage {self.name!r}: reserve_tokens", self.reserve_tokens, optional=False)
        for what in ("timeout_seconds", "max_cost"):
            _check_amount(f"stage {self.name!r}: {what}", getattr(self, what))
        _check_amount(f"stage {self.name!r}: reserve_cost", self.reserve_cost, optional=False)


def _check_amount(what: str, value: Any, *, optional: bool = True, positive: bool = False) -> None:
    if value is None and optional:
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and 0 <= value < float("inf")) or (positive and value == 0):
        least = "above 0" if positive else "from 0 up"
        raise PipelineError(f"{what} is {value!r}; give a number {least}{', or None for no limit' * optional}")


def check_count(what: str, value: Any, *, optional: bool = True, least: int = 0) -> None:
    """Refuse what is no whole number from `least` up.

    Raises:
        PipelineError: it is none.
    """
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1 << 31:
        end = ", or None for no limit" if optional else ""
        raise PipelineError(f"{what} is {value!r}; give a whole number from {least} to {(1 << 31) - 1}{end}")


@dataclass
class HITLEngineConfig:
    """Human in the loop, as AgentFlow spells it.

    Attributes:
        enabled: whether the two lists below are looked at; a stage's own `interrupt_before` always is.
        checkpointer: AgentFlow's checkpointer, for an engine without a store of its own: runs that wait for a person
            are saved there, and another process can resume them.
        interrupt_before: stages that a person must approve before they run.
        interrupt_after: stages whose output a person must approve.
        approval_required_for: AgentFlow's field; `hagane.hitl.ApprovalManager` acts on it, the engine does not.
        default_timeout_seconds: how long a decision may take, in seconds, from the interrupt.
        on_expiry: what a command means that comes later, and `resume` without a command: "error"
            (`InterruptTimeoutError`; the run goes on waiting), "reject" or "cancel" (the run ends so, whatever the
            command says), "accept" (time does not matter).
    """

    enabled: bool = False
    checkpointer: Any = None
    interrupt_before: list[str] = field(default_factory=list)
    interrupt_after: list[str] = field(default_factory=list)
    approval_required_for: list[str] = field(default_factory=list)
    default_timeout_seconds: int = 3600
    on_expiry: str = "error"

    def __post_init__(self) -> None:
        if self.on_expiry not in EXPIRIES:
            raise PipelineError(f"on_expiry is {self.on_expiry!r}; use one of {', '.join(EXPIRIES)}")


@dataclass
class EngineConfig:
    """How an engine behaves.

    Attributes:
        name: the pipeline's name, in events, metrics and the checkpoint store.
        enable_events: AgentFlow's field; `run_stream` always yields its events.
        enable_memory: AgentFlow's field; not used.
        max_retries: how often a stage that raised is run again, per stage and run.
        timeout_seconds: the most wall time that one `run` or `resume` may take, in seconds; None for no limit.
        llm_config: AgentFlow's field; handed to nobody.
        hitl: see `HITLEngineConfig`.
        extra: whatever `configure` was given that is no field.
        max_stage_starts: how often stages may be started in one run, all told; None for a bound that follows from
            the other budgets.
        max_concurrent_agents: how many agent runs the engine has at once, over all its runs in an event loop; the
            others wait, and `agent_queue_depth` counts them. None for no limit. An agent must not wait for another
            run of its own engine under a limit: both may then wait for the same place.
        max_tokens: tokens of language models for the whole run; counted are calls that hagane sees
            (`hagane.observability`'s instrumentation, `hagane.agents`) and what agents tell `current_stage().spend`.
        max_cost: cost of the same, in whole units of the currency.
        backoff_seconds: the bound of the first wait before a stage that raised is run again; it doubles with each
            retry, and the wait is drawn between 0 and the bound. A `Retry-After` that the error carries is a least.
        backoff_cap_seconds: the longest such wait that the service did not ask for.
        on_conflict: what `run` and `resume` do when the thread is being run already: "reject" (`LeaseHeld`), "wait", or
            "supersede" (the other run loses the thread and gets `LeaseLost` at its next write). A thread that waits for
            a person is given to a new run by "supersede" only.
        lease_seconds: how long another machine waits for a sign of life before it may take a stored thread over.
    """

    name: str = "engine"
    enable_events: bool = True
    enable_memory: bool = True
    max_retries: int = 2
    timeout_seconds: float | None = 300
    llm_config: dict[str, Any] = field(default_factory=dict)
    hitl: HITLEngineConfig = field(default_factory=HITLEngineConfig)
    extra: dict[str, Any] = field(default_factory=dict)
    max_stage_starts: int | None = None
    max_concurrent_agents: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    backoff_seconds: float = 0.1
    backoff_cap_seconds: float = 30.0
    on_conflict: str = "reject"
    lease_seconds: float = 30.0

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            PipelineError: a negative amount, or an unknown word.
        """
        if not isinstance(self.name, str) or not self.name:
            raise PipelineError(f"the engine is named {self.name!r}; give it a name that is text and not empty")
        if not isinstance(self.hitl, HITLEngineConfig):
            raise PipelineError(f"hitl is {type(self.hitl).__name__}; give a HITLEngineConfig(...)")
        check_count("max_retries", self.max_retries, optional=False)
        check_count("max_tokens", self.max_tokens)
        check_count("max_stage_starts", self.max_stage_starts, least=1)
        _check_amount("max_cost", self.max_cost)
        _check_amount("timeout_seconds", self.timeout_seconds, positive=True)
        for what in ("backoff_seconds", "backoff_cap_seconds"):
            _check_amount(what, getattr(self, what), optional=False)
        _check_amount("lease_seconds", self.lease_seconds, optional=False, positive=True)
        if self.on_conflict not in CONFLICTS:
            raise PipelineError(f"on_conflict is {self.on_conflict!r}; use one of {', '.join(CONFLICTS)}")
