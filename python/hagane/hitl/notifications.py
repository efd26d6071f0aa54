"""Ready-made notification channels: a webhook that takes JSON, and Slack's incoming webhooks."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import urllib.error
import urllib.request
from typing import Any

from hagane.core.model import BaseModel
from hagane.hitl.escalation import ApprovalCallback
from hagane.hitl.types import ApprovalRequest

__all__ = ["SIGNATURE_HEADER", "slack", "webhook"]

SIGNATURE_HEADER = "X-Hagane-Signature"


def webhook(url: str, *, secret: str | None = None, timeout: float = 10.0) -> ApprovalCallback:
    """Return a channel that posts each request to `url` as a JSON object of its fields.

    Args:
        url: http or https.
        secret: If given, the header `X-Hagane-Signature` is `sha256=` and the body's HMAC-SHA256, hexadecimal.
        timeout: Seconds.

    Raises:
        ValueError: The URL is neither http nor https.
    """
    _check(url)

    async def tell(request: ApprovalRequest) -> None:
        body = json.dumps(_fields(request), ensure_ascii=False, default=str).encode()
        headers = {"Content-Type": "application/json"}
        if secret is not None:
            digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            headers[SIGNATURE_HEADER] = f"sha256={digest}"
        await asyncio.to_thread(_post, url, body, headers, timeout)

    return tell


def slack(url: str, *, timeout: float = 10.0) -> ApprovalCallback:
    """Return a channel that posts each request as a message to a Slack incoming webhook; ValueError as `webhook`."""
    _check(url)

    async def tell(request: ApprovalRequest) -> None:
        what = f"{request.action} {request.resource_id or ''}".strip()
        text = f"*{what}* ({request.priority}) waits for approval: {request.reason}\nrequest `{request.id}`"
        if request.expires_at is not None:
            text += f", until {request.expires_at:%Y-%m-%d %H:%M:%S} UTC"
        body = json.dumps({"text": text}, ensure_ascii=False).encode()
        await asyncio.to_thread(_post, url, body, {"Content-Type": "application/json"}, timeout)

    return tell


def _check(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no address of a webhook; give one that begins with https:// or http://")


def _fields(request: BaseModel) -> dict[str, Any]:
    return request.model_dump()


def _post(url: str, body: bytes, headers: dict[str, str], timeout: float) -> None:
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310  # checked above
    try:
        with urllib.request.urlopen(request, timeout=timeout):  # noqa: S310
            return
    except urllib.error.HTTPError as refusal:
        refusal.close()  # It holds the connection.
        raise
