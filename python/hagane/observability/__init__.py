"""Metrics: AgentFlow's interface, the document's decorator, the standard metrics, and a listener for Prometheus."""

from __future__ import annotations

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
from hagane.observability.serving import serve_metrics

__all__ = [
    "Counter",
    "Gauge",
    "Histogram",
    "MetricValue",
    "MetricsCollector",
    "get_metrics",
    "metrics_tracked",
    "serve_metrics",
    "setup_metrics",
]
