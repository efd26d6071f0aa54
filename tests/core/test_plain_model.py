"""Models with pydantic and without it: the same classes to whoever uses them."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import textwrap
from enum import Enum
from typing import Any

import pydantic
import pytest

from hagane.core import plain_model


class Colour(str, Enum):
    RED = "red"


def models(base, field):
    """The same two models over either base."""

    class Inner(base):
        number: int

    class Outer(base):
        name: str
        colour: Colour = Colour.RED
        amount: float = field(default=1.0, ge=0.0)
        wait: int | float | None = None
        inner: Inner | None = field(default=None)
        items: list[str] = field(default_factory=list)
        kinds: list[type[Exception]] = field(default_factory=lambda: [ValueError])
        more: dict[str, Any] = field(default_factory=dict)
        at: dt.datetime | None = None
        anything: Any = None

    # What `from __future__ import annotations` cannot see inside a function.
    for model in (Inner, Outer):
        module = sys.modules[model.__module__]
        module.Inner = Inner
    if base is pydantic.BaseModel:
        Outer.model_rebuild(_types_namespace={**globals(), "Inner": Inner})
    return Outer, Inner


@pytest.fixture(params=["pydantic", "plain"])
def outer(request, monkeypatch):
    monkeypatch.setitem(globals(), "Inner", None)
    if request.param == "pydantic":
        return models(pydantic.BaseModel, pydantic.Field)[0]
    return models(plain_model.PlainModel, plain_model.Field)[0]


def test_defaults_are_nobody_elses(outer):
    one, other = outer(name="a"), outer(name="a")
    one.items.append("x")
    assert (other.items, other.colour, other.amount, other.inner, other.kinds) == (
        [],
        Colour.RED,
        1.0,
        None,
        [ValueError],
    )


def test_values_are_converted_as_the_annotations_say(outer):
    made = outer(name="a", colour="red", amount=2, wait=3, inner={"number": 4}, at="2026-11-23T12:00:00", more={"x": 1})
    assert (made.colour, made.amount, type(made.amount), type(made.wait)) == (Colour.RED, 2.0, float, int)
    assert (made.inner.number, made.at) == (4, dt.datetime(2026, 11, 23, 12))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"name": None},
        {"name": "a", "colour": "green"},
        {"name": "a", "amount": -1},
        {"name": "a", "amount": "much"},
        {"name": "a", "inner": {}},
        {"name": "a", "inner": {"number": "four"}},
        {"name": "a", "inner": 4},
        {"name": "a", "items": [1]},
        {"name": "a", "items": "abc"},
        {"name": "a", "kinds": [int]},
        {"name": "a", "more": []},
        {"name": "a", "at": "soon"},
    ],
)
def test_a_value_that_does_not_fit_is_a_value_error_that_names_the_field(outer, wrong):
    field = [*wrong, "name"][-1] if len(wrong) < 2 else list(wrong)[1]
    with pytest.raises(ValueError, match=field):
        outer(**wrong)


def test_a_dump_is_a_copy_and_makes_the_same_again(outer):
    made = outer(name="鋼", inner={"number": 4}, more={"a": [1]}, at=dt.datetime(2026, 11, 23, 12), kinds=[])
    dump = made.model_dump()
    assert dump["inner"] == {"number": 4}
    assert dump["at"] is made.at
    dump["more"]["a"].append(2)
    assert made.more == {"a": [1]}
    assert outer.model_validate(made.model_dump()) == made
    assert outer.model_validate_json(made.model_dump_json()) == made
    assert made.model_dump(mode="json")["at"] == "2026-11-23T12:00:00"
    assert made.model_dump(mode="json")["colour"] == "red"
    assert set(made.model_dump(exclude_none=True)) == {
        "name",
        "colour",
        "amount",
        "inner",
        "items",
        "kinds",
        "more",
        "at",
    }
    assert list(outer.model_fields) == list(dump)
    assert outer.model_fields["name"].is_required()


def test_a_copy_takes_updates(outer):
    made = outer(name="a")
    assert made.model_copy(update={"name": "b"}).name == "b"
    assert (made.name, made.model_copy() == made, made == outer(name="b"), made == "a") == ("a", True, False, False)
    assert outer.model_validate(made) == made
    with pytest.raises(ValueError, match="Outer"):
        outer.model_validate(5)
    assert "name='a'" in repr(made)
    with pytest.raises(TypeError):
        hash(made)


WITHOUT = """
    import asyncio, sys
    sys.modules["pydantic"] = None  # As if it were not installed.

    from hagane.hitl import *
    from hagane.core import RetryConfig, RetryableAgent

    class Agent(RetryableAgent):
        async def _run_impl(self, data):
            return await interrupt(ApprovalRequest(action="delete", reason="r", context={"n": (1,)}))

    async def main():
        checkpointer = MemoryCheckpointer()
        set_checkpointer(checkpointer)
        set_thread_id("t")
        try:
            await Agent(RetryConfig(wait_min=0)).run({})
        except InterruptSignal as signal:
            payload = signal.payload
        await resume_with_command(Command.approve({"x": 1}), checkpointer, payload.id)
        set_thread_id("t")
        answer = await Agent().run({})
        manager = ApprovalManager(HITLConfig(auto_approve_low_risk=True))
        low = await manager.request_approval(ApprovalRequest(action="read", reason="r", priority="low"))
        assert "pydantic" not in {name.partition(".")[0] for name, module in sys.modules.items() if module}
        print(payload.request.context, answer.approved, answer.modifications, answer.status.value, low.approver)

    asyncio.run(main())
"""


def test_interrupts_approvals_and_retries_work_where_pydantic_is_not_installed():
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(WITHOUT)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.stdout, result.stderr) == ("{'n': (1,)} True {'x': 1} approved policy\n", "")
