"""The application of test_workers: it counts what it is asked, in a metric and in a ledger that the test reads."""

from __future__ import annotations

import os

from hagane.observability import get_metrics, metrics_app

hits = get_metrics().counter("hits_total", "Requests.").labels()
seconds = get_metrics().histogram("seconds", "Of no meaning.", buckets=(1, 2)).labels()
show = metrics_app()
ledger = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


async def app(scope, receive, send):
    if scope["type"] != "http" or scope["path"] == "/metrics":
        await show(scope, receive, send)
        return
    hits.inc()
    seconds.observe(0.5)
    os.write(ledger, b"x")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
