"""Who is told what model calls in this context use: budgets of stages listen here."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

__all__ = ["model_usage", "tell_usage"]

# Called with tokens and with the cost in whole units.
model_usage: ContextVar[Callable[[int, float], None] | None] = ContextVar("hagane_model_usage", default=None)


def tell_usage(tokens: int, cost: float) -> None:
    """Tell whoever listens what one call used."""
    listener = model_usage.get()
    if listener is not None and (tokens or cost):
        listener(tokens, cost)
