"""Retries, circuit breakers and checkpoints of a program's own state."""

from __future__ import annotations

__all__: list[str] = []
