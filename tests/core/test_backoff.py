"""Waits between attempts, what a server says about them, and which exceptions are no failures."""

from __future__ import annotations

import asyncio
import random
import sys
import types
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hagane.core.backoff import ceiling, is_control_flow, jittered, next_wait, retry_after
from hagane.hitl import InterruptSignal, InterruptType
from hagane.hitl.types import InterruptPayload


class Refused(Exception):
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


def answer(headers):
    return types.SimpleNamespace(headers=headers)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Refused(retry_after=7), 7.0),
        (Refused(retry_after="2.5"), 2.5),
        (Refused(response=answer({"Retry-After": "12"})), 12.0),
        (Refused(response=answer({"retry-after": "0"})), 0.0),
        (Refused(headers={"RETRY-AFTER": "3"}), 3.0),
        (Refused(response=answer({"Retry-After": "soon"})), None),
        (Refused(response=answer({"Retry-After": "-3"})), None),
        (Refused(retry_after=float("nan")), None),
        (Refused(response=answer({"Content-Length": "12"})), None),
        (Refused(response=None), None),
        (ValueError("plain"), None),
    ],
)
def test_a_servers_retry_after_is_found_where_clients_put_it(error, seconds):
    assert retry_after(error) == seconds


def test_a_retry_after_may_be_a_date(monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1_000_000.0)
    assert retry_after(Refused(headers={"Retry-After": formatdate(1_000_030, usegmt=True)})) == 30.0
    assert retry_after(Refused(headers={"Retry-After": formatdate(999_000, usegmt=True)})) == 0.0


def test_a_wait_is_at_least_what_the_server_asks_for():
    assert next_wait(Refused(retry_after=20), 0.0, 1.0) == 20.0


def test_a_server_that_asks_for_longer_than_the_longest_ends_the_attempts():
    assert next_wait(Refused(retry_after=61), 0.0, 1.0) is None
    assert next_wait(Refused(retry_after=61), 0.0, 1.0, longest=61) == 61


@given(initial=st.floats(0, 1e9), growth=st.floats(1, 1e3), failures=st.integers(1, 10**9), most=st.floats(0, 1e9))
def test_a_ceiling_never_falls_never_passes_its_bound_and_never_overflows(initial, growth, failures, most):
    now, later = (ceiling(initial, growth, each, most) for each in (failures, failures + 1))
    assert 0 <= now <= later <= most


@given(least=st.floats(0, 1e6), most=st.floats(0, 1e6), seed=st.integers())
def test_a_jittered_wait_lies_between_its_bounds(least, most, seed):
    random.seed(seed)
    assert least <= jittered(least, most) <= max(least, most)


def test_waits_are_spread_over_the_whole_range():
    drawn = [jittered(0, 1) for _ in range(2000)]
    assert min(drawn) < 0.05
    assert max(drawn) > 0.95


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(), GeneratorExit()])
def test_what_ends_a_program_or_a_task_is_no_failure(error):
    assert is_control_flow(error)


def test_an_interrupt_for_a_person_is_no_failure():
    assert is_control_flow(InterruptSignal(InterruptPayload(interrupt_type=InterruptType.INPUT)))
    assert not is_control_flow(ValueError())


def test_agentflows_own_interrupt_is_no_failure_either(monkeypatch):
    theirs = types.ModuleType("agentflow.hitl.interrupt")
    theirs.InterruptSignal = type("InterruptSignal", (Exception,), {})
    assert not is_control_flow(theirs.InterruptSignal())
    monkeypatch.setitem(sys.modules, "agentflow.hitl.interrupt", theirs)
    assert is_control_flow(theirs.InterruptSignal())
