"""The one registry of the process: what the standard metrics write to and `serve_metrics` shows.

Made at import, under the import lock, so that no two threads can end up with two of them.
"""

from __future__ import annotations

from hagane import _core
from hagane.observability.definitions import register

__all__ = ["FAMILIES", "REGISTRY"]

REGISTRY = _core.MetricsRegistry()
FAMILIES = register(REGISTRY)
