"""What a checkpoint can hold: every type comes back as it was, or is refused with its path."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import pathlib
import threading
import uuid

import pydantic
import pytest

from hagane.errors import SnapshotError
from hagane.hitl import CheckpointData, InterruptType
from hagane.hitl.types import ApprovalRequest, InterruptPayload
from hagane.rollback import register


def data(checkpoint_id="c", thread_id="t", **fields):
    return CheckpointData(checkpoint_id=checkpoint_id, thread_id=thread_id, **fields)


class Colour(enum.Enum):
    RED = 1


TYPES = {
    "none": None,
    "bool": True,
    "int": -7,
    "big int": 1 << 200,
    "float": 0.1,
    "infinity": float("-inf"),
    "text": "鋼 \U0001f528 \n",
    "bytes": b"\x00\xff",
    "bytearray": bytearray(b"\x01"),
    "list": [1, [2]],
    "tuple": (1, (2,)),
    "empty tuple": (),
    "set": {1, 2},
    "frozenset": frozenset({"a"}),
    "dict": {"a": {"b": 1}},
    "ordered dict": collections.OrderedDict([("b", 1), ("a", 2)]),
    "deque": collections.deque([1, 2], maxlen=3),
    "datetime": dt.datetime(2026, 11, 23, 17, 30, 1, 5),
    "datetime with zone": dt.datetime(2026, 11, 23, tzinfo=dt.timezone(dt.timedelta(hours=9))),
    "date": dt.date(2026, 11, 23),
    "time": dt.time(17, 30, 1, 5),
    "timedelta": dt.timedelta(days=-1, microseconds=3),
    "decimal": decimal.Decimal("1.10"),
    "uuid": uuid.UUID(int=5),
    "path": pathlib.Path("/tmp/x"),
    "complex": 1 + 2j,
}


@pytest.mark.parametrize("name", TYPES)
async def test_c_every_type_comes_back_as_it_was(checkpointer, name):
    value = TYPES[name]
    await checkpointer.save(data(state={"value": value}, results={"nested": [{"value": value}]}))
    loaded = await checkpointer.load("c")
    for back in (loaded.state["value"], loaded.results["nested"][0]["value"]):
        assert (back, type(back)) == (value, type(value))
    assert getattr(loaded.state["value"], "tzinfo", None) == getattr(value, "tzinfo", None)


class Size(enum.Enum):
    LARGE = "l"


@dataclasses.dataclass
class Point:
    x: int
    tags: set


class Order(pydantic.BaseModel):
    number: int
    price: decimal.Decimal


for registered in (Size, Point, Order):
    register(registered, name=f"tests.hitl.{registered.__name__}")
INSTANCES = [Size.LARGE, Point(1, {"a"}), Order(number=1, price="1.10")]


@pytest.mark.parametrize("value", INSTANCES, ids=lambda each: type(each).__name__)
async def test_c_registered_classes_come_back_as_they_were(checkpointer, value):
    await checkpointer.save(data(state={"value": value}))
    back = (await checkpointer.load("c")).state["value"]
    assert (back, type(back)) == (value, type(value))


async def test_c_an_unknown_type_is_refused_with_its_path_and_nothing_is_saved(checkpointer):
    await checkpointer.save(data(state={"v": 1}))
    for unknown in (Colour.RED, threading.Lock(), object()):
        with pytest.raises(SnapshotError, match=r"checkpoint c\.state\.items\[1\]\.x"):
            await checkpointer.save(data(state={"items": [0, {"x": unknown}]}))
    assert (await checkpointer.load("c")).state == {"v": 1}


async def test_a_dumped_interrupt_payload_can_be_saved(checkpointer):
    request = ApprovalRequest(action="delete", reason="r", context={"when": dt.date(2026, 1, 1)})
    payload = InterruptPayload(interrupt_type=InterruptType.REVIEW, request=request, state={"set": {1}})
    await checkpointer.save(data(interrupt_payload=payload.model_dump()))
    loaded = (await checkpointer.load("c")).interrupt_payload
    assert InterruptPayload(**loaded) == payload
