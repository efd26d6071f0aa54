"""AgentFlow's `Counter`, `Gauge` and `Histogram` over the Rust families."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from hagane import _core

__all__ = ["Counter", "Gauge", "Histogram", "Labels"]

Labels = Mapping[str, object]


def _shorten(instrument: object, family: object, methods: tuple[str, ...]) -> None:
    """Let calls of these methods go to the family at once; what they do and take is the same.

    A method of the class costs more than the whole of what it calls. Subclasses keep theirs, which they may override.
    """
    vars(instrument).update({method: getattr(family, method) for method in methods})


class Counter:
    """A number that only goes up. Made by itself it is in no registry; `MetricsCollector.counter` makes exported ones.

    Raises `MetricError` (a `ValueError`) for a name or label that the exposition format does not allow.
    """

    def __init__(self, name: str, description: str = "", label_names: Sequence[str] | None = None) -> None:
        self._bind(_core.MetricsRegistry().counter(name, description, label_names))

    @classmethod
    def _of(cls, family: _core.CounterFamily) -> Counter:
        counter = cls.__new__(cls)
        counter._bind(family)
        return counter

    def _bind(self, family: _core.CounterFamily) -> None:
        self._family = family
        if type(self) is Counter:
            _shorten(self, family, ("labels", "inc", "get"))

    @property
    def name(self) -> str:
        """The full name, with its prefix."""
        return self._family.name

    @property
    def description(self) -> str:
        """What HELP says."""
        return self._family.description

    def labels(self, *values: object, **by_name: object) -> _core.CounterChild:
        """Return the series of these labels, all given in order or all by name; MetricError otherwise."""
        return self._family.labels(*values, **by_name)

    def inc(self, value: float = 1, labels: Labels | None = None, exemplar: Labels | None = None) -> None:
        """Add `value`; MetricError if it is negative or not finite, or if a label is unknown.

        `exemplar` leads from the number to one event, as {"trace_id": "..."}: at most 128 characters, names and
        values together (else MetricError). OpenMetrics and protobuf show the latest one.
        """
        self._family.inc(value, labels, exemplar)

    def get(self, labels: Labels | None = None) -> float:
        """Return the total of this series, 0 if there is none; creates nothing."""
        return self._family.get(labels)


class Gauge:
    """A number that goes up and down; see `Counter` for registration and errors."""

    def __init__(self, name: str, description: str = "", label_names: Sequence[str] | None = None) -> None:
        self._bind(_core.MetricsRegistry().gauge(name, description, label_names))

    @classmethod
    def _of(cls, family: _core.GaugeFamily) -> Gauge:
        gauge = cls.__new__(cls)
        gauge._bind(family)
        return gauge

    def _bind(self, family: _core.GaugeFamily) -> None:
        self._family = family
        if type(self) is Gauge:
            _shorten(self, family, ("labels", "set", "inc", "dec", "get"))

    @property
    def name(self) -> str:
        """The full name, with its prefix."""
        return self._family.name

    @property
    def description(self) -> str:
        """What HELP says."""
        return self._family.description

    def labels(self, *values: object, **by_name: object) -> _core.GaugeChild:
        """Return the series of these labels, all given in order or all by name; MetricError otherwise."""
        return self._family.labels(*values, **by_name)

    def set(self, value: float, labels: Labels | None = None) -> None:
        """Set the value, which may be NaN or infinite."""
        self._family.set(value, labels)

    def inc(self, value: float = 1, labels: Labels | None = None) -> None:
        """Add `value`; MetricError if it is not finite or a label is unknown."""
        self._family.inc(value, labels)

    def dec(self, value: float = 1, labels: Labels | None = None) -> None:
        """Subtract `value`; MetricError if it is not finite or a label is unknown."""
        self._family.dec(value, labels)

    def get(self, labels: Labels | None = None) -> float:
        """Return the value of this series, 0 if there is none; creates nothing."""
        return self._family.get(labels)


class Histogram:
    """Counts observations by size (bucket counts, sum, least, greatest); the observations are not kept.

    `buckets` are upper bounds in the unit of the values, sorted here; infinity is implied.
    """

    DEFAULT_BUCKETS: ClassVar[tuple[float, ...]] = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

    def __init__(
        self,
        name: str,
        description: str = "",
        label_names: Sequence[str] | None = None,
        buckets: Sequence[float] | None = None,
    ) -> None:
        self._bind(_core.MetricsRegistry().histogram(name, description, label_names, buckets or None))

    @classmethod
    def _of(cls, family: _core.HistogramFamily) -> Histogram:
        histogram = cls.__new__(cls)
        histogram._bind(family)
        return histogram

    def _bind(self, family: _core.HistogramFamily) -> None:
        self._family = family
        if type(self) is Histogram:
            _shorten(self, family, ("labels", "observe", "get_stats"))

    @property
    def name(self) -> str:
        """The full name, with its prefix."""
        return self._family.name

    @property
    def description(self) -> str:
        """What HELP says."""
        return self._family.description

    def labels(self, *values: object, **by_name: object) -> _core.HistogramChild:
        """Return the series of these labels, all given in order or all by name; MetricError otherwise."""
        return self._family.labels(*values, **by_name)

    def observe(self, value: float, labels: Labels | None = None, exemplar: Labels | None = None) -> None:
        """Count `value`; MetricError if it is not finite or a label is unknown.

        `exemplar` is as that of `Counter.inc`; the latest of each bucket is kept.
        """
        self._family.observe(value, labels, exemplar)

    def get_stats(self, labels: Labels | None = None) -> dict[str, Any]:
        """Return count, sum, avg, min, max (0 while empty) and buckets: {upper bound: how many were at most that}."""
        return self._family.get_stats(labels)

    @contextmanager
    def time(self, labels: Labels | None = None) -> Iterator[None]:
        """Observe how many seconds the block takes, whether or not it raises; a wrong label raises before it runs."""
        child = self._family.child(labels)
        start = time.perf_counter()
        try:
            yield
        finally:
            child.observe(time.perf_counter() - start)
