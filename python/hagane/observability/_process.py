"""The one registry of the process: what the standard metrics write to and `serve_metrics` shows.

Made at import, under the import lock, so that no two threads can end up with two of them.
"""

from __future__ import annotations

from hagane.observability.definitions import register
from hagane.observability.multiprocess import make_registry

__all__ = ["FAMILIES", "REGISTRY"]

REGISTRY = make_registry()
FAMILIES = register(REGISTRY)
