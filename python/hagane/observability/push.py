"""Pushing, for jobs that end before anyone scrapes them and for notebooks: Pushgateway and remote write.

Both block: in an async program call them through `asyncio.to_thread`.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote

from hagane import _core
from hagane.errors import MetricError
from hagane.observability._post import Target
from hagane.observability.metrics import MetricsCollector, get_metrics

__all__ = ["push_to_gateway", "remote_write"]

# Small enough for every receiver's limit, large enough that most jobs need one request.
SERIES_PER_REQUEST = 2000


def push_to_gateway(
    url: str,
    job: str,
    grouping: Mapping[str, object] | None = None,
    method: Literal["put", "post", "delete"] = "put",
    *,
    collector: MetricsCollector | None = None,
    bearer_token: str | None = None,
    timeout: float = 10.0,
    attempts: int = 3,
) -> None:
    """Push what `collector` exports (without one: the process) to the Pushgateway at `url` as the group `job`.

    `grouping` has further labels of the group. "put" replaces the whole group, "post" the metrics of the same names,
    "delete" removes the group and sends nothing. `url` may carry `user:password@`. A gateway that cannot be reached,
    or answers 429 or 5xx, is asked `attempts` times, a little later each time; `timeout` seconds is for one attempt.
    Raises `MetricsPushError` (an `OSError`) when it is not accepted, `MetricError` (a `ValueError`) for a job, label
    or URL that cannot be used.
    """
    if method not in ("put", "post", "delete"):
        raise MetricError(f"method {method!r} is none of put, post and delete")
    if not job:
        raise MetricError("a pushed group needs a job name that is not empty")
    if "job" in (grouping or {}):
        raise MetricError("the group's job is the argument job; leave it out of grouping")
    parts = [_segment("job", job)]
    parts += [_segment(name, str(value)) for name, value in sorted((grouping or {}).items())]
    target = Target(_base(url), f"/metrics/{'/'.join(parts)}", bearer_token, timeout, attempts)
    body = None if method == "delete" else (collector or get_metrics()).to_prometheus().encode()
    target.send(method.upper(), body, {"Content-Type": _core.METRICS_CONTENT_TYPE})


def remote_write(
    url: str,
    job: str,
    labels: Mapping[str, object] | None = None,
    *,
    collector: MetricsCollector | None = None,
    bearer_token: str | None = None,
    timeout: float = 10.0,
    attempts: int = 3,
) -> int:
    """Write what `collector` exports (without one: the process) to a remote write 1.0 receiver; returns the requests.

    `url` is the whole address, such as http://host:9090/api/v1/write. Every sample is of now and gets the labels
    `job` and `labels`; a label "job" in `labels`, or a series' own label of such a name, becomes `exported_...`.
    Retries and errors are those of `push_to_gateway`.
    """
    if not job:
        raise MetricError("remote write needs a job name that is not empty")
    ours = [("exported_job" if name == "job" else name, str(value)) for name, value in (labels or {}).items()]
    registry = (collector or get_metrics())._registry
    bodies = _core.encode_remote_write(registry, [("job", job), *ours], time.time_ns() // 1_000_000, SERIES_PER_REQUEST)
    target = Target(url, "", bearer_token, timeout, attempts)
    headers = {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    for body in bodies:
        target.send("POST", body, headers)
    return len(bodies)


def _base(url: str) -> str:
    if isinstance(url, str) and "?" in url.rpartition("@")[2]:
        raise MetricError("the gateway's address ends where its path begins: it can have no ?")
    return url.rstrip("/") if isinstance(url, str) else url


def _segment(name: str, value: str) -> str:
    """Return `name/value` as a part of the gateway's path; base64 where a path could not carry the value."""
    if not name.isascii() or not name.isidentifier() or name.startswith("__"):
        raise MetricError(f"grouping label {name!r} is not allowed: it must match [a-zA-Z_][a-zA-Z0-9_]*")
    if not value or "/" in value or value in (".", ".."):
        encoded = base64.urlsafe_b64encode(value.encode()).decode()
        return f"{name}@base64/{encoded or '='}"
    return f"{name}/{quote(value, safe='')}"
