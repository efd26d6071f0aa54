"""Metrics: AgentFlow's interface, the document's decorator, the standard metrics, and a listener for Prometheus."""

from __future__ import annotations

from hagane.observability.asgi import metrics_app, mount_metrics
from hagane.observability.decorators import metrics_tracked
from hagane.observability.metrics import (
    Counter,
    Gauge,
    Histogram,
    MetricsCollector,
    MetricValue,
    get_metrics,
    setup_metrics,
)
from hagane.observability.push import push_to_gateway, remote_write
from hagane.observability.serving import serve_metrics

__all__ = [
    "Counter",
    "Gauge",
    "Histogram",
    "MetricValue",
    "MetricsCollector",
    "get_metrics",
    "metrics_app",
    "metrics_tracked",
    "mount_metrics",
    "push_to_gateway",
    "remote_write",
    "serve_metrics",
    "setup_metrics",
]
