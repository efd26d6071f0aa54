"""Which metrics every hagane program has: names, labels, buckets, and the values that a status label takes."""

from __future__ import annotations

from typing import NamedTuple

from hagane import _core

__all__ = [
    "AGENT_STATUSES",
    "APPROVAL_STATUSES",
    "DEFINITIONS",
    "GATE_VERDICTS",
    "LLM_STATUSES",
    "SANDBOX_OUTCOMES",
    "TOKEN_TYPES",
    "Definition",
    "Families",
    "register",
]

AGENT_STATUSES = ("success", "error", "cancelled")
LLM_STATUSES = ("success", "error", "cancelled")
APPROVAL_STATUSES = ("approved", "rejected", "expired", "cancelled")
GATE_VERDICTS = ("passed", "failed", "error")
SANDBOX_OUTCOMES = ("ok", "error", "timeout", "killed", "memory_limit", "output_limit", "sandbox_error", "cancelled")
TOKEN_TYPES = ("input", "output")

# 30 is an exact bound because the latency alert is at 30 s; the tail goes as far as such work really takes.
AGENT_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 300.0, 600.0)
LLM_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
FIRST_TOKEN_BUCKETS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0)
STAGE_BUCKETS = (0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0)
# People answer in seconds to days.
APPROVAL_BUCKETS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0)
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
    Definition("gauge", "agent_queue_depth", "Agent runs that wait for a place.", ("agent",)),
    Definition("counter", "llm_request_total", "Model calls, by how they ended.", ("provider", "model", "status")),
    Definition("histogram", "llm_latency_seconds", "How long model calls took.", ("provider", "model"), LLM_BUCKETS),
    Definition("counter", "llm_tokens_total", "Tokens that the provider reported.", ("provider", "model", "type")),
    Definition(
        "counter",
        "llm_estimated_tokens_total",
        "Tokens guessed from the length of a text, of calls whose provider reported none.",
        ("provider", "model", "type"),
    ),
    Definition(
        "histogram",
        "llm_time_to_first_token_seconds",
        "How long streamed model calls took until the first token.",
        ("provider", "model"),
        FIRST_TOKEN_BUCKETS,
    ),
    Definition(
        "counter",
        "llm_cost_total",
        "What the reported tokens cost by the prices that the program was given.",
        ("provider", "model", "currency"),
    ),
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
    Definition(
        "gauge",
        "pipeline_escalations_waiting",
        "Runs that wait for a person's decision: interrupted less decided, by this process.",
        ("pipeline",),
    ),
    Definition(
        "counter",
        "hitl_approval_total",
        "Requests for approval, by a person or a policy, by answer.",
        ("action", "status"),
    ),
    Definition("counter", "hitl_requested_total", "Requests for approval that were made.", ("action",)),
    Definition("gauge", "hitl_waiting", "Requests for approval that this process waits for.", ("action",)),
    Definition("gauge", "hitl_escalations_waiting", "Those of them that were escalated.", ("action",)),
    Definition(
        "histogram",
        "hitl_wait_seconds",
        "How long requests for approval waited, by answer.",
        ("action", "status"),
        APPROVAL_BUCKETS,
    ),
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


class Families(NamedTuple):
    """The standard families of one registry, by type and name."""

    counters: dict[str, _core.CounterFamily]
    gauges: dict[str, _core.GaugeFamily]
    histograms: dict[str, _core.HistogramFamily]


def register(registry: _core.MetricsRegistry) -> Families:
    """Create the standard families in `registry`, or find them there; MetricError if something else has a name."""
    families = Families({}, {}, {})
    for kind, name, description, label_names, buckets in _ALL:
        if kind == "counter":
            families.counters[name] = registry.counter(name, description, label_names)
        elif kind == "gauge":
            families.gauges[name] = registry.gauge(name, description, label_names)
        else:
            families.histograms[name] = registry.histogram(name, description, label_names, buckets)
    return families
