from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_metrics_instance: MetricsCollector | None = None


@dataclass
class MetricValue:
    value: float
    labels: dict[str, str] = field(default_factory=dict)
    timestamp: float = field(default_factory=time.time)


class _Instrument:
    def __init__(self, name: str, description: str = "", label_names: list[str] | None = None) -> None:
        self._name = name
        self._description = description
        self._label_names = label_names or []
        self._values: dict[tuple[str, ...], float] = defaultdict(float)

    def _get_label_key(self, labels: dict[str, str] | None) -> tuple[str, ...]:
        return tuple(labels.get(name, "") for name in self._label_names) if labels else ()

    @property
    def name(self) -> str:
        return self._name

    @property
    def description(self) -> str:
        return self._description


class Counter(_Instrument):
    def inc(self, value: float = 1, labels: dict[str, str] | None = None) -> None:
        self._values[self._get_label_key(labels)] += value

    def get(self, labels: dict[str, str] | None = None) -> float:
        return self._values[self._get_label_key(labels)]


class Gauge(_Instrument):
    def set(self, value: float, labels: dict[str, str] | None = None) -> None:
        self._values[self._get_label_key(labels)] = value

    def inc(self, value: float = 1, labels: dict[str, str] | None = None) -> None:
        self._values[self._get_label_key(labels)] += value

    def dec(self, value: float = 1, labels: dict[str, str] | None = None) -> None:
        self._values[self._get_label_key(labels)] -= value

    def get(self, labels: dict[str, str] | None = None) -> float:
        return self._values[self._get_label_key(labels)]


class Histogram(_Instrument):
    DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

    def __init__(
        self,
        name: str,
        description: str = "",
        label_names: list[str] | None = None,
        buckets: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__(name, description, label_names)
        self._buckets = buckets or self.DEFAULT_BUCKETS
        self._observations: dict[tuple[str, ...], list[float]] = defaultdict(list)

    def observe(self, value: float, labels: dict[str, str] | None = None) -> None:
        self._observations[self._get_label_key(labels)].append(value)

    @contextmanager
    def time(self, labels: dict[str, str] | None = None) -> Iterator[None]:
        begin = time.time()
        yield
        self.observe(time.time() - begin, labels)

    def get_stats(self, labels: dict[str, str] | None = None) -> dict[str, Any]:
        return {"count": len(self._observations[self._get_label_key(labels)])}


class MetricsCollector:
    def __init__(self, prefix: str = "agentflow") -> None:
        self._prefix = prefix
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}

    def counter(self, name: str, description: str = "", label_names: list[str] | None = None) -> Counter:
        full = f"{self._prefix}_{name}"
        return self._counters.setdefault(full, Counter(full, description, label_names))

    def gauge(self, name: str, description: str = "", label_names: list[str] | None = None) -> Gauge:
        full = f"{self._prefix}_{name}"
        return self._gauges.setdefault(full, Gauge(full, description, label_names))

    def histogram(
        self,
        name: str,
        description: str = "",
        label_names: list[str] | None = None,
        buckets: tuple[float, ...] | None = None,
    ) -> Histogram:
        full = f"{self._prefix}_{name}"
        return self._histograms.setdefault(full, Histogram(full, description, label_names, buckets))

    def collect(self) -> dict[str, Any]:
        return {}

    def to_prometheus(self) -> str:
        return "the stand-in's own"


def setup_metrics(prefix: str = "agentflow") -> MetricsCollector:
    global _metrics_instance
    _metrics_instance = MetricsCollector(prefix)
    return _metrics_instance


def get_metrics() -> MetricsCollector:
    return _metrics_instance or setup_metrics()
