"""AgentFlow's `Counter`, `Gauge` and `Histogram` over the Rust families."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from hagane import _core

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Counter", "Gauge", "Histogram", "Labels"]

Labels = Mapping[str, object]


Family = TypeVar("Family", _core.CounterFamily, _core.GaugeFamily, _core.HistogramFamily)
Child = TypeVar("Child", _core.CounterChild, _core.GaugeChild, _core.HistogramChild)


class _Instrument(Generic[Family, Child]):
    """What the three have in common."""

    _shortened: ClassVar[tuple[str, ...]]
    _family: Family

    @classmethod
    def _of(cls, family: Family) -> Self:
        instrument = cls.__new__(cls)
        instrument._bind(family)
        return instrument

    def _bind(self, family: Family) -> None:
        self._family = family
        # Calls of these go to the family at once: a method costs more than the whole of what it calls. What they do and
        # take is the same; a derived class keeps its own, which it may have changed.
        for method in vars(type(self)).get("_shortened", ()):
            setattr(self, method, getattr(family, method))

    @property
    def name(self) -> str:
        """The full name, with its prefix."""
        return self._family.name

    @property
    def description(self) -> str:
        """What HELP says."""
        return self._family.description

    def __repr__(self) -> str:
        names = self._family.label_names
        return f"<{type(self).__name__} {self.name}{{{'...' if names is None else ', '.join(names)}}}>"

    def labels(self, *values: object, **by_name: object) -> Child:
        """Return the series of these labels, all given in order or all by name; MetricError otherwise."""
        child: Any = self._family.labels(*values, **by_name)
        return child  # type: ignore[no-any-return]


class Counter(_Instrument[_core.CounterFamily, _core.CounterChild]):
    """A number that only goes up. Made by itself it is in no registry; `MetricsCollector.counter` makes exported ones.

    Raises `MetricError` (a `ValueError`) for a name or label that the exposition format does not allow.
    """

    _shortened = ("labels", "inc", "get")

    def __init__(self, name: str, description: str = "", label_names: Sequence[str] | None = None) -> None:
        self._bind(_core.MetricsRegistry().counter(name, description, label_names))

    def inc(self, value: float = 1, labels: Labels | None = None, exemplar: Labels | None = None) -> None:
        """Add `value`; MetricError if it is negative or not finite, or if a label is unknown.

        `exemplar` leads from the number to one event, as {"trace_id": "..."}: at most 128 characters, names and
        values together (else MetricError). OpenMetrics and protobuf show the latest one.
        """
        self._family.inc(value, labels, exemplar)

    def get(self, labels: Labels | None = None) -> float:
        """Return the total of this series, 0 if there is none; creates nothing."""
        return self._family.get(labels)


class Gauge(_Instrument[_core.GaugeFamily, _core.GaugeChild]):
    """A number that goes up and down; see `Counter` for registration and errors."""

    _shortened = ("labels", "set", "inc", "dec", "get")

    def __init__(self, name: str, description: str = "", label_names: Sequence[str] | None = None) -> None:
        self._bind(_core.MetricsRegistry().gauge(name, description, label_names))

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


class Histogram(_Instrument[_core.HistogramFamily, _core.HistogramChild]):
    """Counts observations by size (bucket counts, sum, least, greatest); the observations are not kept.

    `buckets` are upper bounds in the unit of the values, sorted here; infinity is implied.
    """

    _shortened = ("labels", "observe", "get_stats")
    DEFAULT_BUCKETS: ClassVar[tuple[float, ...]] = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

    def __init__(
        self,
        name: str,
        description: str = "",
        label_names: Sequence[str] | None = None,
        buckets: Sequence[float] | None = None,
    ) -> None:
        self._bind(_core.MetricsRegistry().histogram(name, description, label_names, buckets or None))

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
