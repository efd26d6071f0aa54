"""`MetricsCollector.collect`: what a registry holds, as plain Python values in AgentFlow's shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hagane import _core

__all__ = ["collect"]


def collect(registry: _core.MetricsRegistry, make_value: Callable[[float, dict[str, str]], Any]) -> dict[str, Any]:
    """Return {"counters", "gauges", "histograms"} of `registry`, each {name: entry}."""
    found: dict[str, dict[str, Any]] = {"counters": {}, "gauges": {}, "histograms": {}}
    for family in registry.families():
        if isinstance(family, _core.HistogramFamily):
            found["histograms"][family.name] = _histogram(family)
        else:
            kind = "counter" if isinstance(family, _core.CounterFamily) else "gauge"
            found[f"{kind}s"][family.name] = _number(family, kind, make_value)
    return found


def _number(
    family: _core.CounterFamily | _core.GaugeFamily, kind: str, make_value: Callable[[float, dict[str, str]], Any]
) -> dict[str, Any]:
    series = family.series()
    return {
        "type": kind,
        "description": family.description,
        "value": sum((value for _, value in series), 0.0),
        "series": [make_value(value, labels) for labels, value in series],
    }


def _histogram(family: _core.HistogramFamily) -> dict[str, Any]:
    series = family.series()
    return {
        "type": "histogram",
        "description": family.description,
        "stats": _merged([stats for _, stats in series], family.get_stats()),
        "series": [{"labels": labels, "stats": stats} for labels, stats in series],
    }


def _merged(parts: list[dict[str, Any]], empty: dict[str, Any]) -> dict[str, Any]:
    parts = [stats for stats in parts if stats["count"]]
    if len(parts) < 2:
        return parts[0] if parts else empty
    count, total = sum(stats["count"] for stats in parts), sum(stats["sum"] for stats in parts)
    return {
        "count": count,
        "sum": total,
        "avg": total / count,
        "min": min(stats["min"] for stats in parts),
        "max": max(stats["max"] for stats in parts),
        "buckets": {bound: sum(stats["buckets"][bound] for stats in parts) for bound in parts[0]["buckets"]},
    }
