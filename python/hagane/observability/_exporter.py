"""What the listener and the web applications show, by the same rules."""

from __future__ import annotations

from hagane import _core
from hagane.observability.metrics import MetricsCollector, get_metrics
from hagane.observability.multiprocess import check_directory

__all__ = ["make_exporter"]


def make_exporter(
    collector: MetricsCollector | None,
    bearer_token: str | None,
    *,
    created: bool,
    process_metrics: bool | None,
    own_metrics: bool | None,
) -> _core.MetricsExporter:
    """Return the exporter of `collector`, or of the process. None leaves the choice to these rules.

    Several processes answer in turn for one sum: what only the one that answers knows would jump about, so it is left
    out there. A collector given is shown as it is, without the process that it lives in.
    Raises `MetricsDirectoryError` if the process was told to share a directory and could not.
    """
    if collector is None:
        check_directory()
    registry = (collector or get_metrics())._registry
    if process_metrics is None:
        process_metrics = collector is None and not registry.shared
    if own_metrics is None:
        own_metrics = not registry.shared
    return _core.MetricsExporter(registry, bearer_token, created, process_metrics, own_metrics)
