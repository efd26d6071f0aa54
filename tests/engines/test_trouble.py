"""Which errors are retried as often as configured, and which are given up when they repeat."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from pipeline_helpers import stages

from hagane.engines import EngineConfig, PipelineEngine
from hagane.engines.trouble import may_pass

openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")
REQUEST = httpx.Request("POST", "http://127.0.0.1/model")


def answered(kind: Any, status: int, **headers: str) -> Exception:
    response = httpx.Response(status, headers=headers, request=REQUEST)
    return kind("the same text each time", response=response, body=None)  # type: ignore[no-any-return]


PASSING = [
    ConnectionError("reset"),
    httpx.ConnectError("All connection attempts failed"),
    httpx.ReadTimeout("timed out"),
    openai.APIConnectionError(request=REQUEST),
    openai.APITimeoutError(request=REQUEST),
    answered(openai.RateLimitError, 429, **{"Retry-After": "0"}),
    answered(openai.InternalServerError, 503),
    answered(anthropic.InternalServerError, 529),
    httpx.HTTPStatusError("502", request=REQUEST, response=httpx.Response(502)),
]
LASTING = [
    ValueError("no number"),
    KeyError("rows"),
    answered(openai.AuthenticationError, 401),
    answered(openai.BadRequestError, 400),
    httpx.HTTPStatusError("404", request=REQUEST, response=httpx.Response(404)),
]


def named(errors: list[Exception]) -> Any:
    return pytest.mark.parametrize(
        "error", errors, ids=lambda error: f"{type(error).__module__}.{type(error).__name__}"
    )


class Failing:
    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.times, self.calls = error, times, 0

    async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return {"rows": 3}


async def run(error: Exception) -> dict[str, Any]:
    config = EngineConfig(max_retries=4, backoff_seconds=0.0)
    return await PipelineEngine(stages(load=Failing(error, 3)), config=config).run({})


@named(PASSING)
async def test_trouble_of_a_service_is_retried_as_often_as_configured(error: Exception) -> None:
    result = await run(error)
    assert (result["status"], result["attempts"]["load"]) == ("success", 4)


@named(LASTING)
async def test_an_error_that_repeats_is_given_up_and_the_reason_says_so(error: Exception) -> None:
    result = await run(error)
    assert (result["status"], result["attempts"]["load"]) == ("failed", 2)
    assert "the same as before" in result["reason"]


@pytest.mark.parametrize("status", [True, "503", 0, 7000, None])
def test_what_is_no_http_status_says_nothing(status: Any) -> None:
    error = RuntimeError("x")
    error.response = SimpleNamespace(status_code=status)  # type: ignore[attr-defined]
    assert not may_pass(error)


async def test_an_error_that_is_its_own_cause_is_looked_at_once() -> None:
    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        try:
            raise ValueError("x")
        except ValueError as error:
            raise error from error

    result = await PipelineEngine(stages(a=agent), config=EngineConfig(backoff_seconds=0.0)).run({})
    assert result["status"] == "failed"
