"""Dashboards, recording rules and alerts over hagane's metrics, as files for Grafana and Prometheus."""

from __future__ import annotations

from hagane.observability.monitoring.export import LANGUAGES, export_alerts, export_dashboards

__all__ = ["LANGUAGES", "export_alerts", "export_dashboards"]
