"""What a stage is told about its last attempt: bounded, and without secrets, wherever they stand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pipeline_helpers import Scripted, stages
from pydantic import BaseModel, field_validator

from hagane.engines import PipelineEngine
from hagane.engines.feedback import DEPTH_LIMIT, ITEMS_LIMIT, TEXT_LIMIT, bounded
from hagane.rollback import Blob, Store
from hagane.validation import QualityGate, ValidationConfig

SECRET = "hunter2-0123456789"
SECRETS = ["password", "db_passwd", "client_secret", "access_token", "api_key", "apiKey", "Authorization"]
SECRETS += ["aws_credentials", "PRIVATE_KEY"]
# Where in an output the secret stands.
PLACES = {
    "at the top": lambda key: {key: SECRET},
    "in a dict": lambda key: {"server": {"login": {key: SECRET}}},
    "in a list": lambda key: {"servers": [{"name": "a"}, {key: SECRET}]},
    "as a dict": lambda key: {key: {"value": SECRET}},
    "as a list": lambda key: {key: [SECRET]},
    "at the deepest that is shown": lambda key: nested(DEPTH_LIMIT - 1, {key: SECRET}),
}


def nested(depth: int, innermost: Any) -> Any:
    for _ in range(depth):
        innermost = {"in": innermost}
    return innermost


async def told_about(output: dict[str, Any], store: Store | None = None) -> dict[str, Any]:
    """Let a gate refuse `output` once; what the stage is given at its second attempt."""
    agent = Scripted(output, {"fine": True})
    gate = QualityGate("fine", lambda seen: "fine" in seen, stages=["a"])
    engine = PipelineEngine(stages(a=agent), quality_gates=[gate], checkpoint_store=store)
    assert (await engine.run({}, "t"))["status"] == "success"
    return dict(agent.given[1]["_feedback"]["previous_output"])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("key", SECRETS)
def test_a_secret_is_replaced_wherever_it_stands(key: str, place: str) -> None:
    shown = repr(asyncio.run(told_about(PLACES[place](key))))
    assert SECRET not in shown
    assert key in shown, "that there was one may be seen"


async def test_what_is_no_secret_is_told_as_it_is() -> None:
    output = {"text": "draft", "parts": [{"n": 1, "x": 0.5, "done": False, "none": None}]}
    assert await told_about(output) == output


async def test_a_secret_of_a_refused_output_is_in_no_checkpoint_and_no_event(store: Store | None) -> None:
    await told_about({"server": {"password": SECRET}}, store)
    if store is None:
        return
    listed = store.checkpoints("t")
    kept = [blob.value() for one in listed for blob in store.load(one.checkpoint).values()]
    assert len(kept) > 3
    assert SECRET not in repr(kept)
    assert SECRET not in repr(store.events(store.head("t").run.run_id))


async def test_a_long_text_is_cut_and_its_length_told() -> None:
    edge, long = "e" * TEXT_LIMIT, "x" * (TEXT_LIMIT + 1)
    told = await told_about({"edge": edge, "long": long, "deep": [long]})
    assert told["edge"] == edge
    assert told["long"].startswith("x" * TEXT_LIMIT)
    assert len(told["long"]) < TEXT_LIMIT + 50
    assert str(len(long)) in told["long"]
    assert told["deep"] == [told["long"]]


async def test_a_long_message_and_long_issues_are_cut() -> None:
    agent = Scripted(ValueError("x" * 10 * TEXT_LIMIT), {})
    assert (await PipelineEngine(stages(a=agent)).run({}))["status"] == "success"
    assert TEXT_LIMIT <= len(agent.given[1]["_feedback"]["message"]) < TEXT_LIMIT + 50


@pytest.mark.parametrize("make", [list, tuple, lambda numbers: {str(n): n for n in numbers}])
async def test_of_many_items_the_first_are_told(make: Any) -> None:
    told = await told_about({"edge": make(range(ITEMS_LIMIT)), "many": make(range(10 * ITEMS_LIMIT))})
    assert len(told["edge"]) == ITEMS_LIMIT
    assert told["many"] == told["edge"]


async def test_what_lies_deeper_than_the_limit_is_named_by_its_type() -> None:
    told = await told_about({"deep": nested(3 * DEPTH_LIMIT, "bottom"), "list": [[[[[[[1]]]]]]]})
    levels, at = 0, told["deep"]
    while isinstance(at, dict):
        levels, at = levels + 1, at["in"]
    assert (levels, at) == (DEPTH_LIMIT - 1, "<dict>")
    assert "bottom" not in repr(told)


class Strict(BaseModel):
    words: list[str] = []

    @field_validator("words")
    @classmethod
    def _none_is_good(cls, words: list[str]) -> list[str]:
        if words:
            raise ValueError("e" * 2 * TEXT_LIMIT)
        return words


class Numbers(BaseModel):
    numbers: list[int] = []


async def issues_told(schema: type[BaseModel], output: dict[str, Any]) -> list[dict[str, Any]]:
    agent = Scripted(output, {})
    config = ValidationConfig(schemas={"a": schema})
    assert (await PipelineEngine(stages(a=agent), validation_config=config).run({}))["status"] == "success"
    return list(agent.given[1]["_feedback"]["issues"])


async def test_of_many_issues_the_first_are_told() -> None:
    told = await issues_told(Numbers, {"numbers": ["x"] * 3 * ITEMS_LIMIT})
    assert [issue["path"] for issue in told] == [f"numbers[{n}]" for n in range(ITEMS_LIMIT)]


async def test_a_long_issue_is_cut() -> None:
    [told] = await issues_told(Strict, {"words": ["x"]})
    assert "e" * (TEXT_LIMIT // 2) in told["expected"]
    assert len(told["expected"]) < TEXT_LIMIT + 50


@pytest.mark.parametrize("value", [2**65, -(2**65), "\ud800", object(), b"bytes", {1: {2, 3}}, {"\ud800": 1}])
def test_what_cannot_be_told_as_it_is_is_told_so_that_it_can_be_stored(value: Any) -> None:
    told = bounded({"x": value})
    assert Blob(told).value() == told
