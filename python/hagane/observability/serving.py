"""The scrape listener: Rust, on a thread of its own, so that it answers while Python holds the GIL."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache

from hagane import _core
from hagane.observability.metrics import MetricsCollector, get_metrics

__all__ = ["serve_metrics"]


def serve_metrics(
    port: int = 0, host: str = "127.0.0.1", *, collector: MetricsCollector | None = None
) -> _core.MetricsServer:
    """Answer GET /metrics on `host`:`port` (0 picks a free port) until `close()`, the end of a `with`, or exit.

    The answer has whatever `collector` exports; without one, the metrics of the process. A child made by `os.fork()`
    does not serve; it may call `serve_metrics` itself.
    Raises `MetricsServerError` (an `OSError`) if the port is taken or the address is none of this machine.
    """
    _leave_listeners_to_the_parent_on_fork()
    return _core.start_metrics_server((collector or get_metrics())._registry, host, port)


@cache
def _leave_listeners_to_the_parent_on_fork() -> None:
    os.register_at_fork(after_in_child=_close_inherited)


def _close_inherited() -> None:
    for descriptor in _core.abandon_inherited_servers():
        # Closed already is as good: the point is that the child holds none of them.
        with suppress(OSError):
            os.close(descriptor)
