"""The part `metrics`: whatever AgentFlow's instruments count, hagane's registry shows.

AgentFlow's classes stay, and every call goes to them first, so a program sees what it saw before: its own totals,
errors and types. Afterwards the series that the call touched is brought up to AgentFlow's value in hagane's registry.
Bringing up to a value, rather than counting along, cannot count twice or miss what happened before or in between.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from hagane.compat.patches import Patches
from hagane.observability import decorators
from hagane.observability import metrics as ours
from hagane.observability._process import REGISTRY

__all__ = ["HOME", "apply"]

HOME = "agentflow.observability.metrics"
RECORDING = {"Counter": ("inc",), "Gauge": ("set", "inc", "dec"), "Histogram": ("observe",)}
KEPT = {"Counter": "_counters", "Gauge": "_gauges", "Histogram": "_histograms"}

_log = logging.getLogger("hagane.compat")
# Guards `_mirrors` and every mirror: two threads must not both bring a series up by the same difference. Reentrant, as
# a signal handler may count while its own thread is in here; what it counted waits until that is done.
_lock = threading.RLock()
_busy = False
_touched: deque[tuple[str, Any, Any]] = deque()
# By instrument, and kept across uninstall: what was brought over once is not brought over again.
_mirrors: WeakKeyDictionary[Any, _Mirror] = WeakKeyDictionary()
# Counts installations: an instrument may have counted while nothing was installed.
_epoch = 0
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def apply(home: ModuleType, patches: Patches) -> None:
    """Let the classes' recording methods bring hagane's registry up to date, and bring over what they hold already."""
    global _epoch
    with _lock:
        _epoch += 1
    for kind, methods in RECORDING.items():
        for method in methods:
            patches.method(vars(home)[kind], method, _recording(kind, vars(vars(home)[kind])[method]))
    collector = vars(home).get("_metrics_instance")
    for kind, kept in KEPT.items():
        for instrument in list(getattr(collector, kept, {}).values()):
            _bring_up(kind, instrument, None)
    package = sys.modules.get("agentflow.observability")
    if package is not None:
        patches.add(package, "metrics_tracked", decorators.metrics_tracked)
        patches.add(package, "decorators", decorators)
        patches.module("agentflow.observability.decorators", decorators)


def _recording(kind: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def record(self: Any, *arguments: Any, **named: Any) -> Any:
        result = original(self, *arguments, **named)
        _bring_up(kind, self, named.get("labels", arguments[1] if len(arguments) > 1 else None))
        return result

    return record


def _bring_up(kind: str, instrument: Any, labels: Any) -> None:
    """Never raises: a name, a label or a value that only AgentFlow allows must not end an agent that ran before."""
    _touched.append((kind, instrument, labels))
    while _touched:
        complaints: list[str] = []
        if not _work_off(complaints):
            return
        # Without the lock, and whatever they raise: handlers and filters are the program's own.
        for complaint in complaints:
            with suppress(Exception):
                _log.warning("%s", complaint)


def _work_off(complaints: list[str]) -> bool:
    """Bring up everything that was touched; False if this very thread is doing that already, further down its stack."""
    global _busy
    with _lock:
        if _busy:
            return False
        _busy = True
        try:
            while _touched:
                kind, instrument, labels = _touched.popleft()
                with suppress(Exception):
                    _bring_one_up(kind, instrument, labels, complaints)
        finally:
            _busy = False
    return True


def _bring_one_up(kind: str, instrument: Any, labels: Any, complaints: list[str]) -> None:
    mirror = _mirrors.get(instrument)
    if mirror is None:
        mirror = _mirrors[instrument] = _Mirror(kind, instrument, complaints)
    if mirror.epoch != _epoch:
        mirror.bring_all_up(instrument, complaints)
    else:
        mirror.bring_up(instrument, instrument._get_label_key(labels), complaints)


class _Mirror:
    """One instrument of AgentFlow's in hagane's registry, and how much of each of its series is there already."""

    def __init__(self, kind: str, instrument: Any, complaints: list[str]) -> None:
        self._kind = kind
        self._names = tuple(instrument._label_names)
        self._told = False
        # Of no installation: all that the instrument holds is still to be brought over.
        self.epoch = 0
        self._shown: dict[tuple[str, ...], Any] = {}
        bare = ours.MetricsCollector._on(REGISTRY, "")  # the name has its prefix already
        self._family: Any = None
        try:
            self._family = self._make(bare, instrument)
        except Exception as error:
            complaints.append(f"{kind} {instrument._name!r} is not shown by hagane: {error}")

    def _make(self, bare: ours.MetricsCollector, instrument: Any) -> Any:
        given = (instrument._name, instrument._description or "", list(self._names))
        if self._kind == "Histogram":
            return bare.histogram(*given, tuple(instrument._buckets))
        return bare.counter(*given) if self._kind == "Counter" else bare.gauge(*given)

    def bring_all_up(self, instrument: Any, complaints: list[str]) -> None:
        """Show everything that AgentFlow holds; for the first time since the installation."""
        self.epoch = _epoch
        held = instrument._observations if self._kind == "Histogram" else instrument._values
        for key in list(held):
            self.bring_up(instrument, key, complaints)

    def bring_up(self, instrument: Any, key: tuple[str, ...], complaints: list[str]) -> None:
        """Show what AgentFlow holds in one series; what cannot be shown is told once."""
        held = instrument._observations if self._kind == "Histogram" else instrument._values
        if self._family is None or key not in held:
            return
        try:
            self._bring_series_up(key, held[key])
        except Exception as error:
            if not self._told:
                self._told = True
                complaints.append(f"a series of {instrument._name!r} is not shown by hagane: {error}")

    def _bring_series_up(self, key: tuple[str, ...], value: Any) -> None:
        labels = dict(zip(self._names, key, strict=False)) if key else None
        before = self._shown.get(key, 0)
        if self._kind == "Histogram":
            for observation in value[before:]:
                self._shown[key] = before = before + 1
                self._family.observe(observation, labels)
        elif value != before or key not in self._shown:
            self._shown[key] = value
            if self._kind == "Gauge":
                self._family.set(value, labels)
            else:
                self._family.inc(value - before, labels)
