"""The metrics that every hagane program has, and the functions by which its parts report into them.

No function here ever raises: a metric that cannot be written is logged once and the program goes on.
`declare_*` creates the series at 0, so that the first event after a scrape is an increase and not a birth.
Durations are seconds; labels are strings.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec

from hagane import _core
from hagane.observability._process import FAMILIES
from hagane.observability.definitions import (
    AGENT_STATUSES,
    APPROVAL_STATUSES,
    GATE_VERDICTS,
    LLM_STATUSES,
    SANDBOX_OUTCOMES,
    TOKEN_TYPES,
)
from hagane.observability.spending import tell_usage
from hagane.observability.tracing import current_trace_exemplar

__all__ = [
    "agent_dequeued",
    "agent_ended",
    "agent_queued",
    "agent_run",
    "agent_started",
    "approval",
    "approval_requested",
    "approval_waited",
    "approval_waiting",
    "checkpoint_saved",
    "declare_agent",
    "declare_approval",
    "declare_gate",
    "declare_llm",
    "declare_llm_cost",
    "declare_sandbox",
    "declare_stage",
    "declare_store",
    "escalation_waiting",
    "gate_verdict",
    "llm_call",
    "llm_cost",
    "llm_estimated_tokens",
    "llm_first_token",
    "llm_tokens",
    "pipeline_waiting",
    "rollback",
    "sandbox_run",
    "stage_retry",
    "stage_run",
]

P = ParamSpec("P")
_complained: set[str] = set()


def _quiet(report: Callable[P, None]) -> Callable[P, None]:
    """Make `report` unable to break the program that is being measured."""

    @wraps(report)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            report(*args, **kwargs)
        except Exception as error:
            complain_once(report.__name__, error)

    return quiet


def complain_once(name: str, error: Exception) -> None:
    """Log that the report `name` failed, unless that was said before; never raises, whatever is hooked to the log."""
    if name in _complained:
        return
    _complained.add(name)
    import logging

    # Filters and handlers are the program's own, and it must go on though they raise.
    with suppress(Exception):
        logging.getLogger("hagane.observability").warning(
            "%s could not write its metric (%s: %s); the program goes on, and this is said once",
            name,
            type(error),
            error,
        )


@_quiet
def declare_agent(agent: str) -> None:
    """Create every series of `agent` at 0."""
    for status in AGENT_STATUSES:
        FAMILIES.counters["agent_execution_total"].labels(agent, status)
    FAMILIES.histograms["agent_execution_duration_seconds"].labels(agent)
    FAMILIES.gauges["agent_executions_in_progress"].labels(agent)
    FAMILIES.gauges["agent_queue_depth"].labels(agent)


def agent_meter(agent: str) -> _core.RunMeter:
    """Return what counts and times the runs of `agent`, its series created at 0; unlike the reports it may raise."""
    ended = [FAMILIES.counters["agent_execution_total"].labels(agent, status) for status in AGENT_STATUSES]
    duration = FAMILIES.histograms["agent_execution_duration_seconds"].labels(agent)
    in_progress = FAMILIES.gauges["agent_executions_in_progress"].labels(agent)
    return _core.RunMeter(agent, in_progress, duration, ended)


@_quiet
def agent_run(agent: str, status: str, seconds: float) -> None:
    """Count one ended run of `agent`; status is one of `AGENT_STATUSES`."""
    FAMILIES.counters["agent_execution_total"].labels(agent, status).inc(1)
    FAMILIES.histograms["agent_execution_duration_seconds"].labels(agent).observe(seconds, current_trace_exemplar())


@_quiet
def agent_started(agent: str) -> None:
    """One more run of `agent` is in progress; pair it with `agent_ended`."""
    FAMILIES.gauges["agent_executions_in_progress"].labels(agent).inc(1)


@_quiet
def agent_ended(agent: str) -> None:
    """One run of `agent` less is in progress."""
    FAMILIES.gauges["agent_executions_in_progress"].labels(agent).dec(1)


@_quiet
def agent_queued(agent: str) -> None:
    """One more run of `agent` waits for a place; pair it with `agent_dequeued`."""
    FAMILIES.gauges["agent_queue_depth"].labels(agent).inc(1)


@_quiet
def agent_dequeued(agent: str) -> None:
    """One run of `agent` less waits."""
    FAMILIES.gauges["agent_queue_depth"].labels(agent).dec(1)


@_quiet
def declare_llm(provider: str, model: str) -> None:
    """Create every series of this model at 0."""
    for status in LLM_STATUSES:
        FAMILIES.counters["llm_request_total"].labels(provider, model, status)
    for token_type in TOKEN_TYPES:
        FAMILIES.counters["llm_tokens_total"].labels(provider, model, token_type)
        FAMILIES.counters["llm_estimated_tokens_total"].labels(provider, model, token_type)
    FAMILIES.histograms["llm_latency_seconds"].labels(provider, model)
    FAMILIES.histograms["llm_time_to_first_token_seconds"].labels(provider, model)


@_quiet
def llm_call(
    provider: str, model: str, *, status: str, seconds: float, input_tokens: int = 0, output_tokens: int = 0
) -> None:
    """Count one model call; status is one of `LLM_STATUSES`, tokens are those that the provider reported."""
    FAMILIES.counters["llm_request_total"].labels(provider, model, status).inc(1)
    FAMILIES.histograms["llm_latency_seconds"].labels(provider, model).observe(seconds, current_trace_exemplar())
    FAMILIES.counters["llm_tokens_total"].labels(provider, model, "input").inc(input_tokens)
    FAMILIES.counters["llm_tokens_total"].labels(provider, model, "output").inc(output_tokens)
    tell_usage(input_tokens + output_tokens, 0.0)


@_quiet
def llm_tokens(provider: str, model: str, input_tokens: int, output_tokens: int) -> None:
    """Count tokens of a call that was counted before they became known."""
    FAMILIES.counters["llm_tokens_total"].labels(provider, model, "input").inc(input_tokens)
    FAMILIES.counters["llm_tokens_total"].labels(provider, model, "output").inc(output_tokens)
    tell_usage(input_tokens + output_tokens, 0.0)


@_quiet
def llm_estimated_tokens(provider: str, model: str, input_tokens: int, output_tokens: int) -> None:
    """Count guessed tokens of a call for which the provider reported none."""
    FAMILIES.counters["llm_estimated_tokens_total"].labels(provider, model, "input").inc(input_tokens)
    FAMILIES.counters["llm_estimated_tokens_total"].labels(provider, model, "output").inc(output_tokens)
    tell_usage(input_tokens + output_tokens, 0.0)


@_quiet
def llm_first_token(provider: str, model: str, seconds: float) -> None:
    """Observe the time from the start of a streamed call to its first token."""
    FAMILIES.histograms["llm_time_to_first_token_seconds"].labels(provider, model).observe(
        seconds, current_trace_exemplar()
    )


@_quiet
def declare_llm_cost(provider: str, model: str, currency: str) -> None:
    """Create the cost of this model at 0."""
    FAMILIES.counters["llm_cost_total"].labels(provider, model, currency)


@_quiet
def llm_cost(provider: str, model: str, currency: str, amount: float) -> None:
    """Add what one call cost, in whole units of `currency`."""
    FAMILIES.counters["llm_cost_total"].labels(provider, model, currency).inc(amount)
    tell_usage(0, amount)


@_quiet
def declare_stage(pipeline: str, stage: str) -> None:
    """Create every series of this stage and its pipeline at 0."""
    FAMILIES.gauges["pipeline_escalations_waiting"].labels(pipeline)
    FAMILIES.histograms["pipeline_stage_duration_seconds"].labels(pipeline, stage)
    FAMILIES.counters["pipeline_stage_retries_total"].labels(pipeline, stage)
    FAMILIES.counters["pipeline_rollbacks_total"].labels(pipeline, stage)


@_quiet
def stage_run(pipeline: str, stage: str, seconds: float) -> None:
    """Count one attempt of a stage, whatever became of it."""
    FAMILIES.histograms["pipeline_stage_duration_seconds"].labels(pipeline, stage).observe(
        seconds, current_trace_exemplar()
    )


@_quiet
def stage_retry(pipeline: str, stage: str) -> None:
    """Count one attempt after the first."""
    FAMILIES.counters["pipeline_stage_retries_total"].labels(pipeline, stage).inc(1)


@_quiet
def declare_gate(pipeline: str, gate: str) -> None:
    """Create every series of this gate at 0."""
    for verdict in GATE_VERDICTS:
        FAMILIES.counters["pipeline_gate_verdicts_total"].labels(pipeline, gate, verdict)


@_quiet
def gate_verdict(pipeline: str, gate: str, verdict: str) -> None:
    """Count one verdict, one of `GATE_VERDICTS`."""
    FAMILIES.counters["pipeline_gate_verdicts_total"].labels(pipeline, gate, verdict).inc(1)


@_quiet
def rollback(pipeline: str, stage: str) -> None:
    """Count one rollback to `stage`."""
    FAMILIES.counters["pipeline_rollbacks_total"].labels(pipeline, stage).inc(1)


@_quiet
def pipeline_waiting(pipeline: str, change: int) -> None:
    """`change` runs more (1) or less (-1) wait for a person in this process."""
    FAMILIES.gauges["pipeline_escalations_waiting"].labels(pipeline).inc(change)


@_quiet
def declare_approval(action: str) -> None:
    """Create every series of this action at 0."""
    for status in APPROVAL_STATUSES:
        FAMILIES.counters["hitl_approval_total"].labels(action, status)
        FAMILIES.histograms["hitl_wait_seconds"].labels(action, status)
    FAMILIES.counters["hitl_requested_total"].labels(action)
    FAMILIES.gauges["hitl_waiting"].labels(action)
    FAMILIES.gauges["hitl_escalations_waiting"].labels(action)


@_quiet
def approval(action: str, status: str) -> None:
    """Count one answered request, status is one of `APPROVAL_STATUSES`."""
    FAMILIES.counters["hitl_approval_total"].labels(action, status).inc(1)


@_quiet
def approval_requested(action: str) -> None:
    """Count one request, answered or not."""
    FAMILIES.counters["hitl_requested_total"].labels(action).inc(1)


@_quiet
def approval_waiting(action: str, change: int) -> None:
    """One request more (1) or less (-1) is waited for."""
    FAMILIES.gauges["hitl_waiting"].labels(action).inc(change)


@_quiet
def escalation_waiting(action: str, change: int) -> None:
    """One escalated request more (1) or less (-1) is waited for."""
    FAMILIES.gauges["hitl_escalations_waiting"].labels(action).inc(change)


@_quiet
def approval_waited(action: str, status: str, seconds: float) -> None:
    """Observe how long a request waited for its answer, one of `APPROVAL_STATUSES`."""
    FAMILIES.histograms["hitl_wait_seconds"].labels(action, status).observe(seconds)


@_quiet
def declare_sandbox(provider: str) -> None:
    """Create every series of this provider at 0."""
    for outcome in SANDBOX_OUTCOMES:
        FAMILIES.counters["sandbox_execution_total"].labels(provider, outcome)
    FAMILIES.histograms["sandbox_execution_duration_seconds"].labels(provider)


@_quiet
def sandbox_run(provider: str, outcome: str, seconds: float) -> None:
    """Count one run of code, outcome is one of `SANDBOX_OUTCOMES`."""
    FAMILIES.counters["sandbox_execution_total"].labels(provider, outcome).inc(1)
    FAMILIES.histograms["sandbox_execution_duration_seconds"].labels(provider).observe(
        seconds, current_trace_exemplar()
    )


@_quiet
def declare_store(store: str) -> None:
    """Create every series of this checkpoint store at 0."""
    FAMILIES.counters["checkpoint_bytes_total"].labels(store)
    FAMILIES.histograms["checkpoint_duration_seconds"].labels(store)


@_quiet
def checkpoint_saved(store: str, bytes: int, seconds: float) -> None:  # noqa: A002
    """Count one checkpoint of `bytes` bytes that took `seconds`."""
    FAMILIES.counters["checkpoint_bytes_total"].labels(store).inc(bytes)
    FAMILIES.histograms["checkpoint_duration_seconds"].labels(store).observe(seconds, current_trace_exemplar())
