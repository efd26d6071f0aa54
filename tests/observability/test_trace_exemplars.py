"""Exemplars of the standard metrics carry the trace that was current, for those who trace."""

from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from hagane import _core
from hagane.observability import get_metrics, metrics_tracked, standard


def exemplars(family_name, **labels):
    """Trace ids beside the buckets of one series."""
    exporter = _core.MetricsExporter(get_metrics()._registry, process=False)
    body = exporter.answer("GET", accept="application/openmetrics-text")[2].decode()
    (family,) = [family for family in text_string_to_metric_families(body) if family.name == family_name]
    return [
        sample.exemplar.labels["trace_id"]
        for sample in family.samples
        if sample.exemplar and labels.items() <= sample.labels.items()
    ]


@pytest.fixture
def tracer():
    return TracerProvider().get_tracer("test")


def trace_id(span) -> str:
    return f"{span.get_span_context().trace_id:032x}"


async def test_a_tracked_run_leads_to_its_trace(tracer):
    @metrics_tracked(agent="traced")
    async def run():
        return 1

    @metrics_tracked(agent="traced-and-failed")
    def fail():
        raise ValueError

    with tracer.start_as_current_span("outer") as span:
        await run()
        with pytest.raises(ValueError, match=r"^$"):
            fail()
    for agent in ("traced", "traced-and-failed"):
        assert exemplars("agent_execution_duration_seconds", agent=agent) == [trace_id(span)]


def test_model_calls_stages_and_sandbox_runs_lead_to_their_trace(tracer):
    with tracer.start_as_current_span("outer") as span:
        standard.llm_call("p", "traced", status="success", seconds=0.1)
        standard.stage_run("traced", "s", 0.1)
        standard.sandbox_run("traced", "ok", 0.1)
    assert exemplars("llm_latency_seconds", model="traced") == [trace_id(span)]
    assert exemplars("pipeline_stage_duration_seconds", pipeline="traced") == [trace_id(span)]
    assert exemplars("sandbox_execution_duration_seconds", provider="traced") == [trace_id(span)]


def test_a_trace_that_is_not_kept_is_no_exemplar():
    tracer = TracerProvider(sampler=ALWAYS_OFF).get_tracer("test")
    with tracer.start_as_current_span("outer"):
        standard.stage_run("not-kept", "s", 0.1)
    assert exemplars("pipeline_stage_duration_seconds", pipeline="not-kept") == []


def test_without_opentelemetry_nothing_imports_it():
    program = (
        "import sys; from hagane.observability import metrics_tracked; metrics_tracked(agent='a')(lambda: 1)();"
        "sys.exit(any(name.partition('.')[0] == 'opentelemetry' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
