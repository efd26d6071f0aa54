"""The one registry of the process: what the standard metrics write to and `serve_metrics` shows."""

from __future__ import annotations

from functools import cache

from hagane import _core

__all__ = ["process_registry"]


@cache
def process_registry() -> _core.MetricsRegistry:
    """Return the registry that every part of this process reports into."""
    return _core.MetricsRegistry()
