"""Webhooks, received by a real listener."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import hmac
import http.server
import json
import threading
import urllib.error

import pytest

from hagane.hitl import ApprovalManager, ApprovalRequest, ApprovalStatus, HITLConfig
from hagane.hitl.notifications import SIGNATURE_HEADER, slack, webhook


@pytest.fixture
def listener():
    """What arrived, as (headers, body); `answer` is the status that the next posts get."""
    arrived = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            arrived.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(server.answer)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.answer, server.arrived = 200, arrived
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


REQUEST = ApprovalRequest(
    id="one", action="deploy", resource_id="鋼", reason="big", priority="high", context={"when": dt.date(2026, 11, 23)}
)


async def test_a_webhook_gets_the_request_as_json_and_signed(listener):
    await webhook(listener.url, secret="s")(REQUEST)
    ((headers, body),) = listener.arrived
    told = json.loads(body)
    assert (told["id"], told["action"], told["resource_id"], told["context"]) == (
        "one",
        "deploy",
        "鋼",
        {"when": "2026-11-23"},
    )
    assert headers[SIGNATURE_HEADER] == "sha256=" + hmac.new(b"s", body, hashlib.sha256).hexdigest()


async def test_slack_gets_a_message(listener):
    until = REQUEST.model_copy(update={"expires_at": dt.datetime(2026, 11, 23, 18)})
    await slack(listener.url)(until)
    ((_, body),) = listener.arrived
    text = json.loads(body)["text"]
    assert "*deploy 鋼* (high) waits for approval: big" in text
    assert "`one`, until 2026-11-23 18:00:00 UTC" in text


async def test_a_configured_channel_is_told_and_one_that_refuses_stops_nobody(listener, caplog):
    listener.answer = 500
    manager = ApprovalManager(HITLConfig(notification_channels=["hook"]), channels={"hook": webhook(listener.url)})

    async def decide(request):
        while not listener.arrived or "could not be told" not in caplog.text:
            await asyncio.sleep(0.01)
        await manager.reject(request.id)

    manager._notification_callback = decide
    assert (await manager.request_approval(REQUEST.model_copy())).status is ApprovalStatus.REJECTED
    with pytest.raises(urllib.error.HTTPError):
        await webhook(listener.url)(REQUEST)


@pytest.mark.parametrize("channel", [webhook, slack])
def test_only_web_addresses_are_taken(channel):
    with pytest.raises(ValueError, match="begins with https://"):
        channel("file:///etc/passwd")
