"""The part `metrics`: AgentFlow's instruments count in hagane's registry, those bound before `install()` too."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from hagane.compat.patches import Patches
from hagane.errors import MetricError
from hagane.observability import decorators
from hagane.observability import metrics as ours
from hagane.observability._process import REGISTRY

__all__ = ["HOME", "apply"]

HOME = "agentflow.observability.metrics"
NAMES = ("MetricValue", "Counter", "Gauge", "Histogram", "MetricsCollector", "setup_metrics", "get_metrics")
METHODS = {
    "Counter": ("inc", "get"),
    "Gauge": ("set", "inc", "dec", "get"),
    "Histogram": ("observe", "time", "get_stats"),
    "MetricsCollector": ("counter", "gauge", "histogram", "collect", "to_prometheus"),
}

_log = logging.getLogger("hagane.compat")


def apply(home: ModuleType, patches: Patches) -> None:
    """Replace the module's names, and route what objects of its classes do to hagane's registry."""
    theirs = {name: vars(home).get(name) for name in METHODS}
    live = vars(home).get("_metrics_instance")
    for name in NAMES:
        patches.swap(home, name, getattr(ours, name))
    for name, old in theirs.items():
        if isinstance(old, type) and old is not getattr(ours, name):
            for method in METHODS[name]:
                if method in vars(old):
                    patches.method(old, method, _routed(name, method, vars(old)[method]))
    if live is not None:
        ours.setup_metrics(live._prefix)
        _carry_all(live)
    _add_what_the_document_names(patches)


def _add_what_the_document_names(patches: Patches) -> None:
    package = sys.modules.get("agentflow.observability")
    if package is not None:
        patches.add(package, "metrics_tracked", decorators.metrics_tracked)
        patches.add(package, "decorators", decorators)
        patches.module("agentflow.observability.decorators", decorators)


def _routed(kind: str, method: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method that does the same to hagane's instrument of the same name.

    A name or label that hagane refuses must not break a program that ran before: the object then stays AgentFlow's.
    """

    @functools.wraps(original)
    def routed(self: Any, *arguments: Any, **named: Any) -> Any:
        target = _target(kind, self)
        if target is None:
            return original(self, *arguments, **named)
        return getattr(target, method)(*arguments, **named)

    return routed


def _target(kind: str, old: Any) -> Any:
    """Return hagane's object in an old one's place, made at first use with what the old one holds; None if refused."""
    kept = vars(old)
    if "_hagane" not in kept:
        try:
            kept["_hagane"] = _make(kind, old)
        except MetricError as error:
            kept["_hagane"] = None
            _log.warning("%s %r stays AgentFlow's: %s", kind, kept.get("_name"), error)
    return kept["_hagane"]


def _make(kind: str, old: Any) -> Any:
    if kind == "MetricsCollector":
        return ours.MetricsCollector._on(REGISTRY, old._prefix)
    bare = ours.MetricsCollector._on(REGISTRY, "")  # the old one's name has its prefix already
    names = list(old._label_names) or None
    if kind == "Histogram":
        histogram = bare.histogram(old._name, old._description, names, tuple(old._buckets))
        for key, observations in list(old._observations.items()):
            for value in list(observations):
                histogram.observe(value, _labels(old, key))
        return histogram
    instrument = (bare.counter if kind == "Counter" else bare.gauge)(old._name, old._description, names)
    for key, value in list(old._values.items()):
        instrument.inc(value, _labels(old, key))
    return instrument


def _labels(old: Any, key: tuple[str, ...]) -> Mapping[str, str] | None:
    return dict(zip(old._label_names, key, strict=False)) if key else None


def _carry_all(collector: Any) -> None:
    """Take over what the live collector exports, so that no total falls back to 0 by the installation."""
    for kind, kept in (("Counter", "_counters"), ("Gauge", "_gauges"), ("Histogram", "_histograms")):
        for instrument in list(vars(collector).get(kept, {}).values()):
            _target(kind, instrument)
