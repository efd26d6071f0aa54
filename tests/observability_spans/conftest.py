"""OpenTelemetry's own SDK keeps the spans of each test in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

# The scripted model server stands with the tests of model metrics.
sys.path.insert(0, str(Path(__file__).parents[1] / "observability_llm"))


class Spans:
    """The finished spans, by name and by how they hang together."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    @property
    def all(self) -> list[ReadableSpan]:
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        found = self.named(name)
        assert len(found) == 1, f"{len(found)} of {name!r} among {[span.name for span in self.all]}"
        return found[0]

    def path(self, span: ReadableSpan) -> list[str]:
        """The names from the root down to `span`."""
        by_id = {one.context.span_id: one for one in self.all}
        names: list[str] = []
        at: ReadableSpan | None = span
        while at is not None:
            names.insert(0, at.name)
            at = by_id.get(at.parent.span_id) if at.parent is not None else None
        return names

    def attributes(self, name: str) -> dict[str, Any]:
        return dict(self.one(name).attributes or {})


@pytest.fixture(scope="session")
def exporter() -> InMemorySpanExporter:
    # A process can set its provider only once.
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[Spans]:
    exporter.clear()
    yield Spans(exporter)
    exporter.clear()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from scripted_model_server import serving

    monkeypatch.setenv("no_proxy", "*")
    with serving() as running:
        yield running
