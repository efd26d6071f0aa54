"""The metrics that every hagane program has, and the functions by which its parts report into them.

No function here ever raises: a metric that cannot be written is logged once and the program goes on.
`declare_*` creates the series at 0, so that the first event after a scrape is an increase and not a birth.
Durations are seconds; labels are strings.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import TYPE_CHECKING, NamedTuple, ParamSpec

if TYPE_CHECKING:
    from hagane import _core

__all__ = [
    "AGENT_STATUSES",
    "APPROVAL_STATUSES",
    "DEFINITIONS",
    "GATE_VERDICTS",
    "LLM_STATUSES",
    "SANDBOX_OUTCOMES",
    "Definition",
    "agent_ended",
    "agent_run",
    "agent_started",
    "approval",
    "checkpoint_saved",
    "declare_agent",
    "declare_approval",
    "declare_gate",
    "declare_llm",
    "declare_sandbox",
    "declare_stage",
    "gate_verdict",
    "llm_call",
    "register",
    "rollback",
    "sandbox_run",
    "stage_retry",
    "stage_run",
]

AGENT_STATUSES = ("success", "error", "cancelled")
LLM_STATUSES = ("success", "error", "cancelled")
APPROVAL_STATUSES = ("approved", "rejected", "expired", "cancelled")
GATE_VERDICTS = ("passed", "failed", "error")
SANDBOX_OUTCOMES = ("ok", "error", "timeout", "killed", "memory_limit", "output_limit", "sandbox_error")

# 30 is an exact bound because the latency alert is at 30 s; the tail goes as far as such work really takes.
AGENT_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 300.0, 600.0)
LLM_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
STAGE_BUCKETS = (0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0)
SANDBOX_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
CHECKPOINT_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Definition(NamedTuple):
    """A standard metric: `buckets` is None unless it is a histogram (upper bounds in seconds)."""

    kind: str
    name: str
    description: str
    label_names: tuple[str, ...]
    buckets: tuple[float, ...] | None = None


_ALL = (
    Definition("counter", "agent_execution_total", "Agent runs that ended, by how they ended.", ("agent", "status")),
    Definition("histogram", "agent_execution_duration_seconds", "How long agent runs took.", ("agent",), AGENT_BUCKETS),
    Definition("gauge", "agent_executions_in_progress", "Agent runs that have begun and not ended.", ("agent",)),
    Definition("counter", "llm_request_total", "Model calls, by how they ended.", ("provider", "model", "status")),
    Definition("histogram", "llm_latency_seconds", "How long model calls took.", ("provider", "model"), LLM_BUCKETS),
    Definition("counter", "llm_tokens_total", "Tokens that the provider reported.", ("provider", "model", "type")),
    Definition(
        "histogram",
        "pipeline_stage_duration_seconds",
        "How long stage attempts took.",
        ("pipeline", "stage"),
        STAGE_BUCKETS,
    ),
    Definition("counter", "pipeline_stage_retries_total", "Stage attempts after the first.", ("pipeline", "stage")),
    Definition(
        "counter", "pipeline_gate_verdicts_total", "Verdicts of quality gates.", ("pipeline", "gate", "verdict")
    ),
    Definition("counter", "pipeline_rollbacks_total", "Rollbacks, by the stage returned to.", ("pipeline", "stage")),
    Definition("counter", "hitl_approval_total", "Requests for a human's approval, by answer.", ("action", "status")),
    Definition("counter", "sandbox_execution_total", "Sandbox runs, by outcome.", ("provider", "outcome")),
    Definition(
        "histogram",
        "sandbox_execution_duration_seconds",
        "How long sandbox runs took.",
        ("provider",),
        SANDBOX_BUCKETS,
    ),
    Definition("counter", "checkpoint_bytes_total", "Bytes written to checkpoint stores.", ("store",)),
    Definition(
        "histogram",
        "checkpoint_duration_seconds",
        "How long saving a checkpoint took.",
        ("store",),
        CHECKPOINT_BUCKETS,
    ),
)
DEFINITIONS: dict[str, Definition] = {definition.name: definition for definition in _ALL}


class _Families(NamedTuple):
    counters: dict[str, _core.CounterFamily]
    gauges: dict[str, _core.GaugeFamily]
    histograms: dict[str, _core.HistogramFamily]


def register(registry: _core.MetricsRegistry) -> _Families:
    """Create the standard families in `registry`, or find them there; MetricError if something else has a name."""
    families = _Families({}, {}, {})
    for _, name, description, label_names, buckets in (d for d in _ALL if d.kind == "histogram"):
        families.histograms[name] = registry.histogram(name, description, label_names, buckets)
    for _, name, description, label_names, _ in (d for d in _ALL if d.kind == "counter"):
        families.counters[name] = registry.counter(name, description, label_names)
    for _, name, description, label_names, _ in (d for d in _ALL if d.kind == "gauge"):
        families.gauges[name] = registry.gauge(name, description, label_names)
    return families


@cache
def _families() -> _Families:
    from hagane.observability._process import process_registry

    return register(process_registry())


P = ParamSpec("P")
_complained: set[str] = set()


def _quiet(report: Callable[P, None]) -> Callable[P, None]:
    """Make `report` unable to break the program that is being measured."""

    @wraps(report)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            report(*args, **kwargs)
        except Exception as error:
            _complain_once(report.__name__, error)

    return quiet


def _complain_once(name: str, error: Exception) -> None:
    if name in _complained:
        return
    _complained.add(name)
    import logging

    logging.getLogger("hagane.observability").warning(
        "%s could not write its metric (%s: %s); the program goes on, and this is said once", name, type(error), error
    )


def _count(name: str, amount: float, *labels: str) -> None:
    _families().counters[name].labels(*labels).inc(amount)


def _time(name: str, seconds: float, *labels: str) -> None:
    _families().histograms[name].labels(*labels).observe(seconds)


def _declare(name: str, *labels: str) -> None:
    families = _families()
    kind = DEFINITIONS[name].kind
    if kind == "counter":
        families.counters[name].labels(*labels)
    elif kind == "gauge":
        families.gauges[name].labels(*labels)
    else:
        families.histograms[name].labels(*labels)


@_quiet
def declare_agent(agent: str) -> None:
    """Create every series of `agent` at 0."""
    for status in AGENT_STATUSES:
        _declare("agent_execution_total", agent, status)
    _declare("agent_execution_duration_seconds", agent)
    _declare("agent_executions_in_progress", agent)


@_quiet
def agent_run(agent: str, status: str, seconds: float) -> None:
    """Count one ended run of `agent`; status is one of `AGENT_STATUSES`."""
    _count("agent_execution_total", 1, agent, status)
    _time("agent_execution_duration_seconds", seconds, agent)


@_quiet
def agent_started(agent: str) -> None:
    """One more run of `agent` is in progress; pair it with `agent_ended`."""
    _families().gauges["agent_executions_in_progress"].labels(agent).inc(1)


@_quiet
def agent_ended(agent: str) -> None:
    """One run of `agent` less is in progress."""
    _families().gauges["agent_executions_in_progress"].labels(agent).dec(1)


@_quiet
def declare_llm(provider: str, model: str) -> None:
    """Create every series of this model at 0."""
    for status in LLM_STATUSES:
        _declare("llm_request_total", provider, model, status)
    for token_type in ("input", "output"):
        _declare("llm_tokens_total", provider, model, token_type)
    _declare("llm_latency_seconds", provider, model)


@_quiet
def llm_call(
    provider: str, model: str, *, status: str, seconds: float, input_tokens: int = 0, output_tokens: int = 0
) -> None:
    """Count one model call; status is one of `LLM_STATUSES`, tokens are those that the provider reported."""
    _count("llm_request_total", 1, provider, model, status)
    _time("llm_latency_seconds", seconds, provider, model)
    _count("llm_tokens_total", input_tokens, provider, model, "input")
    _count("llm_tokens_total", output_tokens, provider, model, "output")


@_quiet
def declare_stage(pipeline: str, stage: str) -> None:
    """Create every series of this stage at 0."""
    _declare("pipeline_stage_duration_seconds", pipeline, stage)
    _declare("pipeline_stage_retries_total", pipeline, stage)
    _declare("pipeline_rollbacks_total", pipeline, stage)


@_quiet
def stage_run(pipeline: str, stage: str, seconds: float) -> None:
    """Count one attempt of a stage, whatever became of it."""
    _time("pipeline_stage_duration_seconds", seconds, pipeline, stage)


@_quiet
def stage_retry(pipeline: str, stage: str) -> None:
    """Count one attempt after the first."""
    _count("pipeline_stage_retries_total", 1, pipeline, stage)


@_quiet
def declare_gate(pipeline: str, gate: str) -> None:
    """Create every series of this gate at 0."""
    for verdict in GATE_VERDICTS:
        _declare("pipeline_gate_verdicts_total", pipeline, gate, verdict)


@_quiet
def gate_verdict(pipeline: str, gate: str, verdict: str) -> None:
    """Count one verdict, one of `GATE_VERDICTS`."""
    _count("pipeline_gate_verdicts_total", 1, pipeline, gate, verdict)


@_quiet
def rollback(pipeline: str, stage: str) -> None:
    """Count one rollback to `stage`."""
    _count("pipeline_rollbacks_total", 1, pipeline, stage)


@_quiet
def declare_approval(action: str) -> None:
    """Create every series of this action at 0."""
    for status in APPROVAL_STATUSES:
        _declare("hitl_approval_total", action, status)


@_quiet
def approval(action: str, status: str) -> None:
    """Count one answered request, status is one of `APPROVAL_STATUSES`."""
    _count("hitl_approval_total", 1, action, status)


@_quiet
def declare_sandbox(provider: str) -> None:
    """Create every series of this provider at 0."""
    for outcome in SANDBOX_OUTCOMES:
        _declare("sandbox_execution_total", provider, outcome)
    _declare("sandbox_execution_duration_seconds", provider)


@_quiet
def sandbox_run(provider: str, outcome: str, seconds: float) -> None:
    """Count one run of code, outcome is one of `SANDBOX_OUTCOMES`."""
    _count("sandbox_execution_total", 1, provider, outcome)
    _time("sandbox_execution_duration_seconds", seconds, provider)


@_quiet
def checkpoint_saved(store: str, bytes: int, seconds: float) -> None:  # noqa: A002: the name that the other parts use
    """Count one checkpoint of `bytes` bytes that took `seconds`."""
    _count("checkpoint_bytes_total", bytes, store)
    _time("checkpoint_duration_seconds", seconds, store)
