"""Tracing costs nothing without OpenTelemetry, and what goes wrong with it reaches nobody."""

from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from hagane.observability import tracing


def run(program: str) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_opentelemetry_is_never_imported_nor_asked_for():
    program = """
import asyncio, sys
asked = []
class Watch:
    def find_spec(self, name, path, target=None):
        asked.append(name)
sys.meta_path.insert(0, Watch())
from hagane.agents import ScriptedModel
from hagane.engines import PipelineEngine
from hagane.observability.tracing import current_trace_exemplar
model = ScriptedModel(["hi"])
async def agent(inputs):
    return {"text": (await model.complete([{"role": "user", "content": "x"}])).text, "e": current_trace_exemplar()}
result = asyncio.run(PipelineEngine([{"name": "a", "agent": agent}]).run({}))
assert result["status"] == "success", result
assert not [name for name in asked if name.startswith("opentelemetry")]
print(result["results"]["a"]["e"], "opentelemetry" in sys.modules)
"""
    assert run(program) == "None False"


def test_an_api_without_an_sdk_records_nothing_and_harms_nothing():
    program = """
import opentelemetry.trace
from hagane.observability import tracing
with tracing.span("x", {"a": 1}) as span:
    span.set({"b": 2})
    span.fail("why")
    print(tracing.current_trace_exemplar())
"""
    assert run(program) == "None"


def test_an_exemplar_is_the_current_sampled_span(spans):
    assert tracing.current_trace_exemplar() is None
    with tracing.span("outer"):
        exemplar = tracing.current_trace_exemplar()
    context = spans.one("outer").context
    assert exemplar == {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
    # OpenMetrics allows 128 characters for names and values together.
    assert sum(len(name) + len(value) for name, value in exemplar.items()) <= 128


def test_a_span_that_is_not_sampled_is_no_exemplar():
    tracer = TracerProvider(sampler=ALWAYS_OFF).get_tracer("test")
    with tracer.start_as_current_span("unsampled"):
        assert tracing.current_trace_exemplar() is None


def test_an_exception_is_recorded_and_goes_on(spans):
    with pytest.raises(KeyError), tracing.span("failing"):
        raise KeyError("k")
    span = spans.one("failing")
    assert (span.attributes["error.type"], span.events[0].name) == ("KeyError", "exception")


class Broken(TracerProvider):
    def get_tracer(self, *_: object, **__: object) -> object:  # type: ignore[override]
        raise RuntimeError("broken")


def test_a_broken_provider_breaks_no_program(monkeypatch):
    monkeypatch.setattr(trace, "get_tracer", Broken().get_tracer)
    with tracing.span("x") as span:
        span.set({"a": object()})
        span.end()
    assert span is tracing.NO_SPAN


def test_an_attribute_of_an_odd_type_is_left_out(spans, caplog):
    with tracing.span("odd") as span:
        span.set({"none": None, "fine": 1})
    assert dict(spans.one("odd").attributes) == {"fine": 1}
