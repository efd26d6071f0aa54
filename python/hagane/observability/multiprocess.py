"""Metrics of several processes as one: each keeps its own in a file of one directory, and a scrape adds them up.

Set `HAGANE_MULTIPROC_DIR` (or `PROMETHEUS_MULTIPROC_DIR`) for every process of the program, before it starts: a
directory on a local disk, made if it is not there. Counters and histograms are exact however a process ends; what the
dead counted is added up in one file. To begin again from 0, remove the directory while none of them runs. Gauges
combine as their `multiprocess_mode` says, one of `MODES`. Exemplars and native histograms are not shown.
"""

from __future__ import annotations

import os
from contextlib import suppress

from hagane import _core
from hagane.errors import MetricsDirectoryError

__all__ = ["MODES", "VARIABLES", "check_directory", "directory"]

#: Environment variables that name the directory; the first that is set and not empty counts.
VARIABLES = ("HAGANE_MULTIPROC_DIR", "PROMETHEUS_MULTIPROC_DIR")

#: How a gauge combines. Those with "live" forget a process when it ends; the default is "livesum".
MODES = ("livesum", "sum", "min", "max", "livemin", "livemax", "mostrecent", "livemostrecent")

_failure: MetricsDirectoryError | None = None


def directory() -> str | None:
    """Return the directory that the environment names, None if it names none."""
    return next((value for name in VARIABLES if (value := os.environ.get(name))), None)


def check_directory() -> None:
    """Raise `MetricsDirectoryError` (an `OSError`) if the directory could not be used when the program started.

    A program whose directory cannot be used says so in its log and goes on with metrics of its own process only.
    """
    if _failure is not None:
        raise _failure


def make_registry() -> _core.MetricsRegistry:
    """Make the registry of this process, in the directory if there is one."""
    global _failure
    where = directory()
    if where is None:
        return _core.MetricsRegistry()
    try:
        registry = _core.MetricsRegistry(directory=where)
    except MetricsDirectoryError as error:
        _failure = error
        _warn("%s; only this process's own metrics are shown", error)
        return _core.MetricsRegistry()
    os.register_at_fork(after_in_child=lambda: _begin_in_child(registry))
    return registry


def _begin_in_child(registry: _core.MetricsRegistry) -> None:
    for descriptor in _core.inherited_metrics_files():
        # Closed already is as good: the point is that the child holds none of them.
        with suppress(OSError):
            os.close(descriptor)
    try:
        registry.after_fork()
    except MetricsDirectoryError as error:
        _warn("%s", error)


def _warn(message: str, *values: object) -> None:
    import logging

    logging.getLogger("hagane.observability").warning(message, *values)
