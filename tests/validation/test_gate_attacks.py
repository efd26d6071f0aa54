"""Checks that lie, break or forget to await: a gate passes on a true bool or a number that reaches; it never raises."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hagane.validation import QualityGate


class SaysBool:
    """Is a bool by what it says of its class."""

    __class__ = bool  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return True


class SaysInt(SaysBool):
    __class__ = int  # type: ignore[assignment]

    def __float__(self) -> float:
        return 100.0

    __index__ = __int__ = lambda self: 100


Named = type("bool_", (), {"__module__": "numpy", "__bool__": lambda self: True})


class Refusing:
    def refuse(self, *_: object) -> Any:
        raise RuntimeError("refused")

    __eq__ = __bool__ = __repr__ = __str__ = __float__ = __lt__ = __ge__ = refuse
    __hash__ = object.__hash__


class LyingInt(int):
    """Is 3, and says that it is 100."""

    def __float__(self) -> float:
        return 100.0

    def __ge__(self, other: object) -> bool:
        return True

    __index__ = __int__ = __abs__ = lambda self: 100


class RefusingInt(int):
    __float__ = __repr__ = __bool__ = __ge__ = __index__ = Refusing.refuse


class LyingFloat(float):
    def __float__(self) -> float:
        return 100.0

    def __ge__(self, other: object) -> bool:
        return True


class LyingText(str):
    __slots__ = ()

    def __float__(self) -> float:
        return 100.0


class LyingDecimal(Decimal):
    def __float__(self) -> float:
        return 100.0

    def is_nan(self) -> bool:
        return False


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


async def verdict(said: Any, **settings: Any) -> tuple[str, float | None]:
    found = await QualityGate("g", lambda output: said, **settings).evaluate({})
    assert found.passed == (found.outcome == "passed")
    assert (found.reason == "") == found.passed
    assert len(found.reason) < 250
    assert "\n" not in found.reason
    return found.outcome, found.score


NUMPY_TRUE, NUMPY_FALSE = numpy.bool_(1), numpy.bool_(0)
NO_BOOLS = [None, 0, 1, 1.0, "True", "", [], [True], {}, SaysBool(), Named(), Refusing(), RefusingInt(1), LyingInt(1)]
NO_BOOLS += [numpy.array([True]), numpy.float64(1), object, math.nan, lambda: True, iter([True])]


@pytest.mark.parametrize("said", NO_BOOLS, ids=lambda said: type(said).__name__)
async def test_only_a_true_bool_passes_where_truth_is_asked(said: Any) -> None:
    assert await verdict(said) == ("error", None)


async def test_a_bool_is_believed_and_so_is_numpy_s() -> None:
    for yes, no in ((True, False), (NUMPY_TRUE, NUMPY_FALSE)):
        assert await verdict(yes) == ("passed", None)
        assert await verdict(no) == ("failed", None)


NO_SCORES = [None, True, False, NUMPY_TRUE, "80", b"80", LyingText("3"), [80], {"score": 80}, 80j, SaysInt()]
NO_SCORES += [Refusing(), numpy.array([80]), Fraction(80), object(), SaysBool()]


@pytest.mark.parametrize("said", NO_SCORES, ids=lambda said: type(said).__name__)
async def test_what_is_no_number_is_no_score(said: Any) -> None:
    assert await verdict(said, threshold=-1e308) == ("error", None)


@pytest.mark.parametrize("said", [math.nan, numpy.float64("nan"), Decimal("nan"), Decimal("snan")], ids=repr)
async def test_nan_reaches_nothing(said: Any) -> None:
    outcome, score = await verdict(said, threshold=-1e308)
    assert outcome == "error"
    assert score is not None
    assert math.isnan(score)


@pytest.mark.parametrize("kind", [int, LyingInt, RefusingInt, LyingFloat, LyingDecimal, numpy.float64, float, Decimal])
async def test_a_score_is_what_it_is_and_not_what_it_says(kind: Any) -> None:
    assert await verdict(kind(3), threshold=50) == ("failed", 3.0)
    assert await verdict(kind(3), threshold=3) == ("passed", 3.0)


@pytest.mark.parametrize(
    ("said", "outcome", "score"),
    [
        (10**400, "passed", math.inf),
        (-(10**400), "failed", -math.inf),
        (math.inf, "passed", math.inf),
        (-math.inf, "failed", -math.inf),
        (Decimal("70.1"), "passed", 70.1),
        (Decimal("1e999999"), "passed", math.inf),
        (Decimal("-inf"), "failed", -math.inf),
    ],
)
async def test_scores_beyond_the_floats_stand_on_their_side(said: Any, outcome: str, score: float) -> None:
    assert await verdict(said, threshold=70) == (outcome, score)


@pytest.mark.parametrize("settings", [{}, {"threshold": 1}])
@pytest.mark.parametrize("error", [ValueError("no"), Wordless(), StopIteration(), RecursionError()], ids=repr)
async def test_a_check_that_raises_is_an_error(error: Exception, settings: dict[str, Any]) -> None:
    def check(output: Any) -> bool:
        raise error

    found = await QualityGate("g", check, **settings).evaluate({})
    assert (found.outcome, found.passed) == ("error", False)
    assert type(error).__name__ in found.reason


@pytest.mark.parametrize("settings", [{}, {"threshold": 1}])
async def test_what_a_check_forgot_to_await_does_not_pass(settings: dict[str, Any]) -> None:
    async def inner(output: Any) -> bool:
        return True

    async def forgetful(output: Any) -> Any:
        return inner(output)

    async def generating(output: Any) -> Any:
        yield True

    # Warnings are errors here: a coroutine that nobody awaits would fail this test as well.
    for check in (forgetful, generating):
        found = await QualityGate("g", check, **settings).evaluate({})
        assert found.outcome == "error"
    assert (await QualityGate("g", inner).evaluate({})).passed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": True}, "threshold is True; give a finite number"),
        ({"threshold": "70"}, "threshold is '70'"),
        ({"threshold": math.nan}, "threshold is nan"),
        ({"threshold": math.inf}, "threshold is inf"),
        ({"threshold": 10**400}, "threshold is 1000"),
        ({"threshold": SaysInt()}, "threshold is <"),
        ({"threshold": Decimal(70)}, "threshold is Decimal"),
        ({"max_attempts": True}, "max_attempts is True; give a whole number"),
        ({"max_attempts": "3"}, "max_attempts is '3'"),
        ({"max_attempts": 1.5}, "max_attempts is 1.5"),
        ({"max_rollbacks": -1}, "max_rollbacks is -1; the least is 0"),
    ],
)
def test_settings_of_a_gate_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QualityGate("g", bool, **settings)


ANYTHING = st.one_of(
    *(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.decimals(),
        st.text(),
        st.binary(),
        st.complex_numbers(),
    ),
    *(st.lists(st.booleans()), st.dictionaries(st.text(), st.floats()), st.fractions(), st.from_type(type)),
)


@given(ANYTHING, st.none() | st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9))
async def test_a_gate_passes_by_this_rule_only(said: Any, threshold: float | None) -> None:
    outcome, _ = await verdict(said, threshold=threshold)
    if threshold is None:
        assert (outcome == "passed") == (said is True)
    else:
        is_number = isinstance(said, (int, float, Decimal)) and type(said) is not bool
        # A Decimal is compared as the float next to it; float() refuses a signalling NaN.
        value = said if not isinstance(said, Decimal) else math.nan if said.is_nan() else float(said)
        assert (outcome == "passed") == (is_number and value >= threshold)
