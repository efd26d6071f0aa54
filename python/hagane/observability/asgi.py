"""GET /metrics inside a web application: an ASGI app of its own, or a route of FastAPI or Starlette.

Nothing here needs a web framework: ASGI is a calling convention.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from hagane import _core
from hagane.errors import MetricError
from hagane.observability._exporter import make_exporter
from hagane.observability.metrics import MetricsCollector, get_metrics

__all__ = ["metrics_app", "mount_metrics"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answers = Callable[..., Awaitable[tuple[int, list[tuple[str, str]], bytes]]]
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
    answer = _answers(exporter, reads_files=(collector or get_metrics())._registry.shared)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await _answer(answer, scope, send)
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

    It comes before the routes that are there, so that one which takes every path does not hide it. Dependencies of
    the whole FastAPI application, such as its authentication, do not guard it: give `bearer_token`, or keep the path
    from the public. Other arguments are those of `metrics_app`.
    Raises `TypeError` for an application without Starlette's `router.routes`, `MetricError` for a path without its
    slash.
    """
    routes = getattr(getattr(app, "router", None), "routes", None)
    if not path.startswith("/"):
        raise MetricError(f"path {path!r} must begin with a slash: mount_metrics(app, {'/' + path!r})")
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


def _answers(exporter: _core.MetricsExporter, *, reads_files: bool) -> Answers:
    """Ask the exporter: at once, or in a thread where it reads the files of other processes."""

    async def answer(*asked: Any) -> tuple[int, list[tuple[str, str]], bytes]:
        if not reads_files:
            return exporter.answer(*asked)
        import asyncio

        return await asyncio.to_thread(exporter.answer, *asked)

    return answer


async def _answer(answer: Answers, scope: Scope, send: Send) -> None:
    method = str(scope["method"])
    headers: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        # A list may be spread over several headers of one name.
        text = value.decode("latin-1")
        headers[name.lower()] = f"{headers[name.lower()]},{text}" if name.lower() in headers else text
    asked = (method, headers.get(b"authorization"), headers.get(b"accept"), headers.get(b"accept-encoding"))
    status, answered, body = await answer(*asked)
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
