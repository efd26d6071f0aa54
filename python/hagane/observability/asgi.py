"""GET /metrics inside a web application: an ASGI app of its own, or a route of FastAPI or Starlette.

Nothing here needs a web framework: ASGI is a calling convention.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from hagane import _core
from hagane.observability._exporter import make_exporter
from hagane.observability.metrics import MetricsCollector

__all__ = ["metrics_app", "mount_metrics"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def metrics_app(
    *,
    collector: MetricsCollector | None = None,
    bearer_token: str | None = None,
    created: bool = False,
    process_metrics: bool | None = None,
    own_metrics: bool | None = None,
) -> ASGIApp:
    """Return an ASGI app that answers GET and HEAD with the metrics, whatever the path it is mounted at.

    Arguments and formats are those of `serve_metrics`; in multi-process mode, where each worker answers for all, the
    exporter's own metrics are left out too unless they are asked for. Raises `MetricError` for a token that no header
    can carry.
    """
    exporter = make_exporter(
        collector, bearer_token, created=created, process_metrics=process_metrics, own_metrics=own_metrics
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await _answer(exporter, scope, send)
        else:
            # What the convention asks of an app that has nothing to say to a web socket.
            await receive()
            await send({"type": "websocket.close"})

    return app


def mount_metrics(
    app: Any,
    path: str = "/metrics",
    *,
    collector: MetricsCollector | None = None,
    bearer_token: str | None = None,
    created: bool = False,
    process_metrics: bool | None = None,
    own_metrics: bool | None = None,
) -> None:
    """Add GET `path` to a FastAPI or Starlette application; it stays out of the OpenAPI schema.

    It comes before the routes that are there, so that one which takes every path does not hide it. Other arguments
    are those of `metrics_app`. Raises `TypeError` for an application without Starlette's `router.routes`.
    """
    routes = getattr(getattr(app, "router", None), "routes", None)
    if not isinstance(routes, list):
        raise TypeError(
            f"{type(app).__name__} has no router.routes: mount_metrics takes a FastAPI or Starlette application; "
            "in others mount metrics_app()"
        )
    from starlette.routing import Route

    exporter = metrics_app(
        collector=collector,
        bearer_token=bearer_token,
        created=created,
        process_metrics=process_metrics,
        own_metrics=own_metrics,
    )
    routes.insert(0, Route(path, _Endpoint(exporter), include_in_schema=False))


class _Endpoint:
    """An ASGI app that is no function, which Starlette would take for a request handler."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


async def _answer(exporter: _core.MetricsExporter, scope: Scope, send: Send) -> None:
    method = str(scope["method"])
    headers: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        # A list may be spread over several headers of one name.
        text = value.decode("latin-1")
        headers[name.lower()] = f"{headers[name.lower()]},{text}" if name.lower() in headers else text
    status, answered, body = exporter.answer(
        method, headers.get(b"authorization"), headers.get(b"accept"), headers.get(b"accept-encoding")
    )
    sent = [(name.encode(), value.encode()) for name, value in answered]
    sent.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
