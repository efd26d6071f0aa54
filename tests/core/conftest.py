"""Virtual time: waits are recorded and take none."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

import hagane.hitl.interrupt  # noqa: F401

interrupts = sys.modules["hagane.hitl.interrupt"]

real_sleep = asyncio.sleep


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits that a test's code asked for, in seconds."""
    waited: list[float] = []

    async def pretend(seconds: float, *_: object) -> None:
        waited.append(seconds)
        await real_sleep(0)

    monkeypatch.setattr(asyncio, "sleep", pretend)
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


@pytest.fixture
def longest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw each wait at its upper bound."""
    monkeypatch.setattr("random.uniform", lambda _least, most: most)


@pytest.fixture(autouse=True)
def nobody_to_ask():
    """No checkpointer and no thread from another test."""
    for variable in (interrupts._current_checkpointer, interrupts._current_thread_id, interrupts._current_execution):
        variable.set(None)
    interrupts.clear_interrupt()
