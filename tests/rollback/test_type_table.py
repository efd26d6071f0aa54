"""Every type that a state may hold comes back exactly, or is refused where it is saved; none is changed in silence."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from registered_types import Answer, Colour, Frozen, Level, Permission, Point
from store_helpers import begin, values

from hagane._core import Blob
from hagane.errors import SnapshotError
from hagane.rollback import Store

EXACT: dict[str, Any] = {
    "None": None,
    "bool": True,
    "int": -(2**63),
    "int beyond 64 bits": -(2**200) + 1,
    "float": 0.1,
    "float NaN": math.nan,
    "float infinity": -math.inf,
    "complex": complex(-0.0, math.inf),
    "str": "鋼\0\U0001f525",
    "bytes": b"\0\xff",
    "bytearray": bytearray(b"\0\xff"),
    "list": [1, [2, [3]]],
    "tuple": (1, (2,), ()),
    "dict": {"b": 1, "a": {"": 2}},
    "OrderedDict": OrderedDict([("b", 1), ("a", 2)]),
    "set": {1, "1", (1, 2), frozenset({3})},
    "frozenset": frozenset({b"x", None}),
    "deque": deque([1, 2, 3]),
    "deque with a length": deque([1, 2, 3], maxlen=3),
    "datetime": datetime(2024, 2, 29, 23, 59, 59, 999_999),
    "datetime with offset": datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-9, minutes=-30), "odd")),
    "datetime in a zone, second time": datetime(2024, 11, 3, 1, 30, tzinfo=ZoneInfo("America/New_York"), fold=1),
    "date": date(1, 1, 1),
    "time": time(1, 2, 3, 4, tzinfo=timezone.utc, fold=1),
    "timedelta": timedelta(days=-1, microseconds=1),
    "Decimal": Decimal("-0.100"),
    "Decimal NaN": Decimal("sNaN"),
    "UUID": UUID(int=1),
    "Path": Path("a/../b"),
    "Enum": Colour.RED,
    "IntEnum": Level.HIGH,
    "Flag": Permission.READ | Permission.WRITE,
    "dataclass": Point(1, [2.0], note="x"),
    "frozen dataclass": Frozen((1, 2)),
    "Pydantic model": Answer(text="x", score=Decimal("0.10")),
    "numpy array": np.arange(6, dtype=">i2").reshape(2, 3),
    "numpy array, Fortran order": np.asfortranarray(np.ones((2, 3), dtype=np.float16)),
    "numpy array of no dimension": np.array(1 + 2j),
    "numpy array, empty": np.zeros((0, 3), dtype=bool),
    "numpy array of text": np.array(["鋼", "x"]),
    "numpy moments": np.array(["2024-01-01", "NaT"], dtype="datetime64[D]"),
    "numpy scalar": np.float32(0.1),
    "numpy text": np.str_("鋼\ud800"),
    "numpy text, empty": np.array(["", "a"])[0],
    "numpy text with NUL at its end": np.str_("abc\0"),
    "numpy text of another byte order": np.array(["鋼"], dtype=">U3")[0],
    "numpy bytes, empty": np.bytes_(b""),
    "numpy bytes with NUL at their end": np.bytes_(b"abc\0\0"),
    "numpy array of long long": np.arange(3, dtype=np.longlong),
    "numpy array of long long, another byte order": np.arange(3, dtype=np.ulonglong).astype(">Q"),
    "numpy long long": np.longlong(-5),
}

REFUSED: dict[str, Any] = {
    "class": int,
    "function": len,
    "generator": (one for one in ()),
    "range": range(3),
    "lock-like object": object(),
    "memoryview": memoryview(b"x"),
    "defaultdict": defaultdict(list),
    "Counter": Counter("x"),
    "Fraction": Fraction(1, 3),
    "exception": ValueError("x"),
    "ellipsis": ...,
    "lone surrogate": "\ud800",
    "dict with keys of other types": {1: 2},
    "unregistered dataclass": type("Unknown", (Point,), {})(1, []),
    "unregistered Enum": __import__("enum").Enum("Other", "A").A,
    "numpy array of objects": np.array([object()]),
    "numpy record": np.zeros(1, dtype=[("a", int)]),
    "numpy array of a dtype with metadata": np.zeros(1, dtype=np.dtype("i8", metadata={"unit": "m"})),
    "numpy array of text of no width": np.zeros(3, dtype=[("a", "U0")])["a"],
    "masked array": np.ma.array([1], mask=[True]),
}


def same(one: Any, other: Any) -> bool:
    """Of one type and equal all the way down, NaN to NaN, order and dtype included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (np.ndarray, np.generic)):
        flags = one.flags.c_contiguous == other.flags.c_contiguous and one.dtype.char == other.dtype.char
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes() and flags
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple, deque)):
        fits = len(one) == len(other) and getattr(one, "maxlen", None) == getattr(other, "maxlen", None)
        return fits and all(map(same, one, other))
    if isinstance(one, (set, frozenset)):
        return one == other and {type(item) for item in one} == {type(item) for item in other}
    if isinstance(one, (datetime, time)):
        return repr(one) == repr(other) and one.utcoffset() == other.utcoffset()
    return repr(one) == repr(other)


@pytest.mark.parametrize("name", EXACT)
def test_it_comes_back_exactly(name: str) -> None:
    assert same(Blob({"value": EXACT[name], "in a list": [EXACT[name]]}).value()["in a list"][0], EXACT[name])


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_its_path(name: str) -> None:
    with pytest.raises(SnapshotError, match=r"^results\.stage\[1\]"):
        Blob({"stage": [0, REFUSED[name]]}, "results")


def test_every_store_gives_all_of_them_back(store: Store) -> None:
    begin(store, **EXACT)
    found = values(store, store.head("t").checkpoint)
    assert [name for name in EXACT if not same(found[name], EXACT[name])] == []


def test_an_array_that_comes_back_can_be_written_and_is_nobody_elses() -> None:
    array = np.zeros(3)
    blob = Blob(array)
    array[0] = 1
    back = blob.value()
    back[1] = 2
    assert blob.value().tolist() == [0, 0, 0]
    assert back.flags.owndata


def test_a_stored_order_is_that_of_the_ordered_dict() -> None:
    moved = OrderedDict([("a", 1), ("b", 2)])
    moved.move_to_end("a")
    assert list(Blob(moved).value()) == ["b", "a"]
