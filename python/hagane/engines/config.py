"""How an engine and its stages are configured. Names and defaults are AgentFlow's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hagane.errors import PipelineError
from hagane.validation import QualityGate


@dataclass
class StageConfig:
    """One stage of a pipeline.

    Attributes:
        name: unique in the pipeline.
        agent: a class or instance with `run`, `invoke` or `process`, or a callable; sync or async.
        agents: several of them instead; one after the other, or at the same time with `parallel`.
        gate: the stage decides whether the run goes on at all.
        review: the stage judges the earlier ones: `verdict` or `overall_verdict` is PASS, REVISE or REJECT.
        gate_check: what a gate stage's output must satisfy; by default its field `passed` must not be false.
        retry_from: where REVISE goes back to; None for the first stage.
        parallel: run `agents` at the same time. One that fails fails the stage.
        interrupt_before: not available yet; True raises.
        interrupt_after: not available yet; True raises.
        gates: quality gates for this stage's output.
        required: the stage must have a quality gate.
    """

    name: str
    agent: Any = None
    agents: list[Any] | None = None
    gate: bool = False
    review: bool = False
    gate_check: Callable[[dict[str, Any]], bool] | None = None
    retry_from: str | None = None
    parallel: bool = False
    interrupt_before: bool = False
    interrupt_after: bool = False
    gates: Sequence[QualityGate] = ()
    required: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise PipelineError(f"a stage is named {self.name!r}; give it a name that is text and not empty")
        if self.interrupt_before or self.interrupt_after:
            raise PipelineError(
                f"stage {self.name!r}: interrupt_before and interrupt_after are not available in this version; "
                "use a quality gate with on_fail='escalate'"
            )


@dataclass
class HITLEngineConfig:
    """Human in the loop, as AgentFlow spells it. Kept so that configurations carry over; not acted on yet."""

    enabled: bool = False
    checkpointer: Any = None
    interrupt_before: list[str] = field(default_factory=list)
    interrupt_after: list[str] = field(default_factory=list)
    approval_required_for: list[str] = field(default_factory=list)
    default_timeout_seconds: int = 3600


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
