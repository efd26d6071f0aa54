"""The scrape listener: Rust, on a thread of its own, so that it answers while Python holds the GIL."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from functools import cache

from hagane import _core
from hagane.errors import MetricsServerError
from hagane.observability._exporter import make_exporter
from hagane.observability.metrics import MetricsCollector

__all__ = ["serve_metrics"]


def serve_metrics(
    port: int = 0,
    host: str = "127.0.0.1",
    *,
    collector: MetricsCollector | None = None,
    bearer_token: str | None = None,
    certificate: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
    created: bool = False,
    process_metrics: bool | None = None,
    own_metrics: bool = True,
) -> _core.MetricsServer:
    """Answer GET /metrics on `host`:`port` (0 picks a free port) until `close()`, the end of a `with`, or exit.

    The answer has whatever `collector` exports; without one, the metrics of the process. Prometheus' text format,
    OpenMetrics or protobuf, and gzip, as the request accepts. `bearer_token` must come with each request;
    `certificate` and `key` (PEM files, both) make it HTTPS. An address beyond this machine without a token is a
    `RuntimeWarning`. `created` adds OpenMetrics' `_created` samples; `process_metrics` the `process_*` of this process
    (unless told otherwise: without a collector, and not in multi-process mode); `own_metrics` the
    `hagane_exporter_*` of the exporter itself. A child made by `os.fork()` does not serve; it may call
    `serve_metrics` itself.
    Raises `MetricsServerError` (an `OSError`) if the port is taken, the address is none of this machine or the
    certificate cannot be used; `MetricError` for a token that no header can carry.
    """
    if (certificate is None) != (key is None):
        raise MetricsServerError("TLS needs both a certificate and its key: give certificate= and key=")
    exporter = make_exporter(
        collector, bearer_token, created=created, process_metrics=process_metrics, own_metrics=own_metrics
    )
    _leave_listeners_to_the_parent_on_fork()
    server = _core.start_metrics_server(exporter, host, port, certificate, key)
    if bearer_token is None and not _is_loopback(server.host):
        try:
            warnings.warn(
                f"anyone who reaches {server.url} can read the metrics; pass bearer_token= or listen on 127.0.0.1",
                RuntimeWarning,
                stacklevel=2,
            )
        except RuntimeWarning:
            # Where warnings are errors nobody gets a handle, so nobody could close it.
            server.close()
            raise
    return server


def _is_loopback(address: str) -> bool:
    import ipaddress

    return ipaddress.ip_address(address).is_loopback


@cache
def _leave_listeners_to_the_parent_on_fork() -> None:
    os.register_at_fork(after_in_child=_close_inherited)


def _close_inherited() -> None:
    for descriptor in _core.abandon_inherited_servers():
        # Closed already is as good: the point is that the child holds none of them.
        with suppress(OSError):
            os.close(descriptor)
