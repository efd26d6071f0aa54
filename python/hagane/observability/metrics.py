"""AgentFlow's metrics interface over the Rust registry, and the document's `labels={...}` spelling of it.

A metric that declares no label names takes any labels, each set its own series. One that declares them refuses
others; a declared label that a call leaves out is empty, which to Prometheus is a label that is not there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from hagane import _core
from hagane.errors import MetricError
from hagane.observability._collect import collect
from hagane.observability._process import REGISTRY
from hagane.observability.definitions import DEFINITIONS
from hagane.observability.instruments import Counter, Gauge, Histogram, Labels
from hagane.observability.multiprocess import check_directory

__all__ = ["Counter", "Gauge", "Histogram", "MetricValue", "MetricsCollector", "get_metrics", "setup_metrics"]

Instrument = TypeVar("Instrument", Counter, Gauge, Histogram)


@dataclass
class MetricValue:
    """One value: `labels` by name, `timestamp` in seconds since the epoch."""

    value: float
    labels: dict[str, str] = field(default_factory=dict)
    timestamp: float = field(default_factory=time.time)


class MetricsCollector:
    """Creates metrics under `prefix` and exports them. A collector made by itself has a registry of its own.

    The standard metrics (`hagane.observability.definitions`) keep their exact names, labels and buckets when they
    are asked for by name. Asking again for a metric returns the same one; MetricError if type, labels or buckets
    differ from the first time, or for a prefix that no metric's name may begin with.
    """

    def __init__(self, prefix: str = "agentflow") -> None:
        self._prefix = _checked(prefix)
        self._registry = _core.MetricsRegistry()
        self._known: dict[str, Counter | Gauge | Histogram] = {}

    @classmethod
    def _on(cls, registry: _core.MetricsRegistry, prefix: str) -> MetricsCollector:
        collector = cls(prefix)
        collector._registry = registry
        return collector

    def __repr__(self) -> str:
        return f"<{type(self).__name__} prefix={self._prefix!r}, {len(self._registry.families())} metrics>"

    @overload
    def counter(self, name: str, description: str = "", label_names: Sequence[str] | None = None) -> Counter: ...
    @overload
    def counter(
        self, name: str, description: str = "", label_names: Sequence[str] | None = None, *, labels: Labels
    ) -> _core.CounterChild: ...
    def counter(
        self,
        name: str,
        description: str = "",
        label_names: Sequence[str] | None = None,
        labels: Labels | None = None,
    ) -> Counter | _core.CounterChild:
        """Return the counter of this name, created if new; with `labels`, its series of these labels."""
        family = self._registry.counter(*self._resolve(name, description, label_names))
        if labels is not None:
            return family.child(labels)
        return self._instrument(Counter._of(family))

    @overload
    def gauge(
        self,
        name: str,
        description: str = "",
        label_names: Sequence[str] | None = None,
        *,
        multiprocess_mode: str | None = None,
    ) -> Gauge: ...
    @overload
    def gauge(
        self,
        name: str,
        description: str = "",
        label_names: Sequence[str] | None = None,
        *,
        labels: Labels,
        multiprocess_mode: str | None = None,
    ) -> _core.GaugeChild: ...
    def gauge(
        self,
        name: str,
        description: str = "",
        label_names: Sequence[str] | None = None,
        labels: Labels | None = None,
        multiprocess_mode: str | None = None,
    ) -> Gauge | _core.GaugeChild:
        """Return the gauge of this name, created if new; with `labels`, its series of these labels.

        `multiprocess_mode`, one of `multiprocess.MODES` ("livesum" if nobody gives one), says how the values of
        several processes become one.
        """
        family = self._registry.gauge(*self._resolve(name, description, label_names), multiprocess_mode)
        if labels is not None:
            return family.child(labels)
        return self._instrument(Gauge._of(family))

    @overload
    def histogram(
        self,
        name: str,
        description: str = "",
        label_names: Sequence[str] | None = None,
        buckets: Sequence[float] | None = None,
        *,
        native: bool = False,
    ) -> Histogram: ...
    @overload
    def histogram(
        self,
        name: str,
        description: str = "",
        label_names: Sequence[str] | None = None,
        buckets: Sequence[float] | None = None,
        *,
        labels: Labels,
        native: bool = False,
    ) -> _core.HistogramChild: ...
    def histogram(
        self,
        name: str,
        description: str = "",
        label_names: Sequence[str] | None = None,
        buckets: Sequence[float] | None = None,
        labels: Labels | None = None,
        native: bool = False,
    ) -> Histogram | _core.HistogramChild:
        """Return the histogram of this name, created if new; with `labels`, its series of these labels.

        `native` keeps a native histogram too (schema 3, 9 % wide buckets), which protobuf shows. It counts for
        series that have observed nothing so far, and not in multi-process mode.
        """
        if not buckets and name in DEFINITIONS:
            buckets = DEFINITIONS[name].buckets
        family = self._registry.histogram(*self._resolve(name, description, label_names), buckets or None)
        if native:
            family.keep_native()
        if labels is not None:
            return family.child(labels)
        return self._instrument(Histogram._of(family))

    def collect(self) -> dict[str, Any]:
        """Return {"counters": ..., "gauges": ..., "histograms": ...}, each by full name.

        An entry has type, description, `value` (a histogram: `stats`) over all series, and `series`, one
        `MetricValue` per label set (a histogram: {"labels", "stats"}).
        """
        return collect(self._registry, MetricValue)

    def to_prometheus(self) -> str:
        """Return every metric in Prometheus' text format 0.0.4, with its last line ended."""
        return self._registry.encode()

    def _instrument(self, made: Instrument) -> Instrument:
        """The one object of this name, so that asking twice gives the same."""
        known = self._known.setdefault(made.name, made)
        return known if isinstance(known, type(made)) else made

    def _resolve(
        self, name: str, description: str, label_names: Sequence[str] | None
    ) -> tuple[str, str, Sequence[str] | None]:
        if isinstance(label_names, str):
            # A sequence of its letters, to Python.
            raise MetricError(f"metric {name}: label_names takes a list of names: [{label_names!r}]")
        definition = DEFINITIONS.get(name)
        if definition is None:
            return (f"{self._prefix}_{name}" if self._prefix else name), description, label_names
        names = definition.label_names if label_names is None else label_names
        return name, description or definition.description, names


def _checked(prefix: str) -> str:
    if prefix and not (prefix.isascii() and prefix.replace(":", "_").isidentifier()):
        raise MetricError(
            f"prefix {prefix!r} is not allowed: names of metrics begin with it, so it must match "
            "[a-zA-Z_:][a-zA-Z0-9_:]*"
        )
    return prefix


_current = MetricsCollector._on(REGISTRY, "agentflow")


def setup_metrics(prefix: str = "agentflow") -> MetricsCollector:
    """Let metrics created from now on carry `prefix`; those that live go on and stay exported.

    Raises `MetricError` for a prefix that no metric's name may begin with, and `MetricsDirectoryError` if the
    environment names a multi-process directory that cannot be used.
    """
    global _current
    check_directory()
    _current = MetricsCollector._on(REGISTRY, prefix)
    return _current


def get_metrics() -> MetricsCollector:
    """Return the collector over the process's registry, the one that `serve_metrics` shows."""
    return _current
