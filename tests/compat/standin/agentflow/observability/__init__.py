from agentflow.observability.metrics import (
    Counter,
    Gauge,
    Histogram,
    MetricsCollector,
    get_metrics,
    setup_metrics,
)

__all__ = ["Counter", "Gauge", "Histogram", "MetricsCollector", "get_metrics", "setup_metrics"]
