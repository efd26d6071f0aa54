"""Single calls: a bound series, a series by its labels, AgentFlow's and the document's spelling of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import prometheus_client as rival

from hagane.observability import MetricsCollector

from .clock import Row, alternately

BUCKETS = tuple(float(2**power) / 100 for power in range(16))
TIMES = 50_000


def rows(agentflow: Any | None) -> list[Row]:
    ours, registry = MetricsCollector(prefix=""), rival.CollectorRegistry()
    label_names = ["agent", "status"]
    counter = ours.counter("runs_total", "Runs.", label_names)
    theirs = rival.Counter("runs", "Runs.", label_names, registry=registry)
    histogram = ours.histogram("seconds", "", buckets=BUCKETS).labels()
    other = rival.Histogram("seconds", "Seconds.", buckets=BUCKETS, registry=registry)
    names: dict[str, Any] = {
        "counter": counter,
        "theirs": theirs,
        "child": counter.labels("a", "ok"),
        "their_child": theirs.labels("a", "ok"),
        "observed": histogram,
        "they_observed": other,
        "labels": {"agent": "a", "status": "ok"},
    }
    found = [
        _row("child inc()", "child.inc()", "their_child.inc()", names, 12),
        _row("observe(), 16 buckets", "observed.observe(0.7)", "they_observed.observe(0.7)", names, 20),
        _row("labels(a, b).inc()", 'counter.labels("a", "ok").inc()', 'theirs.labels("a", "ok").inc()', names, 8),
        _row(
            "labels(agent=a, status=b).inc()",
            'counter.labels(agent="a", status="ok").inc()',
            'theirs.labels(agent="a", status="ok").inc()',
            names,
            None,
        ),
    ]
    if agentflow is not None:
        names["theirs"] = agentflow.Counter("runs_total", "Runs.", ["agent", "status"])
        found.append(
            _row("inc(labels={...})", "counter.inc(labels=labels)", "theirs.inc(labels=labels)", names, 7, "AgentFlow")
        )
    return found


def _row(
    what: str, ours: str, theirs: str, names: dict[str, Any], least: float | None, rival: str = "prometheus_client"
) -> Row:
    one, other = alternately(ours, theirs, names, TIMES)
    return Row(what, one * 1e9, other * 1e9, rival, "ns", least)


def load_agentflow(checkout: str) -> Any:
    """AgentFlow's own module from a checkout: the file that has its metrics, by itself."""
    import importlib.util
    import sys

    places = ("agentflow/observability/metrics.py", "infrastructure/observability/metrics.py")
    path = next((path for place in places if (path := Path(checkout) / place).is_file()), None)
    if path is None:
        raise SystemExit(f"{checkout} has none of {', '.join(places)}; name a checkout of AgentFlow")
    spec = importlib.util.spec_from_file_location("agentflow_metrics", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
