"""A scripted model server, what the process's metrics say, and instrumentation that is gone after each test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families
from scripted_model_server import ModelServer, serving

from hagane.observability import get_metrics
from hagane.observability.llm import instrument_llm, set_prices, uninstrument_llm


class Counted:
    """What was counted for one model name, over all providers unless one is given."""

    def __init__(self, model: str) -> None:
        self.model = model

    def value(self, sample: str, **labels: str) -> float:
        wanted = {"model": self.model, **labels}
        families = text_string_to_metric_families(get_metrics().to_prometheus())
        found = [one for family in families for one in family.samples if one.name == sample]
        return sum(one.value for one in found if wanted.items() <= one.labels.items())

    @property
    def calls(self) -> dict[str, float]:
        counts = {kind: self.value("llm_request_total", status=kind) for kind in ("success", "error", "cancelled")}
        return {kind: count for kind, count in counts.items() if count}

    @property
    def tokens(self) -> tuple[float, float]:
        return self.value("llm_tokens_total", type="input"), self.value("llm_tokens_total", type="output")

    @property
    def guessed(self) -> tuple[float, float]:
        name = "llm_estimated_tokens_total"
        return self.value(name, type="input"), self.value(name, type="output")

    @property
    def first_tokens(self) -> float:
        return self.value("llm_time_to_first_token_seconds_count")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    monkeypatch.setenv("no_proxy", "*")
    with serving() as running:
        yield running


@pytest.fixture
def model() -> str:
    """A name that no other test counts under."""
    return f"m-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def counted(model: str) -> Counted:
    return Counted(model)


@pytest.fixture
def instrumented() -> Iterator[Callable[..., object]]:
    """`instrumented("openai")` until the end of the test."""
    yield instrument_llm
    uninstrument_llm()
    set_prices({})
