"""Metrics of several processes as one: each keeps its own in a file of one directory, and a scrape adds them up.

Set `HAGANE_MULTIPROC_DIR` (or `PROMETHEUS_MULTIPROC_DIR`) for every process of the program, before it starts: a
directory on a local disk, made if it is not there. Counters and histograms are exact however a process ends; what the
dead counted is added up in one file. To begin again from 0, remove the directory while none of them runs. Gauges
combine as their `multiprocess_mode` says, one of `MODES`. Exemplars and native histograms are not shown.

The files are the processes' memory. Whoever shortens one ends its process with SIGBUS, and whoever writes into one
changes what was counted; so a directory that its group or everybody may write to is refused, and nothing but hagane
may touch what is in it. If it is removed or emptied while the program runs, or a file in it cannot be opened,
a scrape is answered with 503 and why, and `to_prometheus`, `push_to_gateway` and `remote_write` raise
`MetricsDirectoryError`: a sum that lacks some of its processes would look like counters that began again.

A program that changed meets what its predecessor left. A histogram with other buckets keeps its sum, its count and
the counts of all bounds that both have; between them an observation counts in the next bound above that both agree on,
so a quantile may seem larger and never smaller. A metric that has become another type, or a gauge of another mode, is
that of the younger program; what the older one counted there is left out, said once in the log and counted in
`hagane_multiprocess_left_out`. So is a series that no program can have written.

After `os.fork()` the child counts from 0, in a file of its own. A run of `metrics_tracked` that was under way belongs
to the process where it began: if it ends in the child as well it is counted nowhere there. What a program adds to a
gauge of its own before a fork, it must take away in the same process.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from hagane import _core
from hagane.errors import MetricsDirectoryError

__all__ = ["MODES", "VARIABLES", "check_directory", "directory", "served_directory"]

#: Environment variables that name the directory; the first that is set and not empty counts.
VARIABLES = ("HAGANE_MULTIPROC_DIR", "PROMETHEUS_MULTIPROC_DIR")

#: How a gauge combines. Those with "live" forget a process when it ends; the default is "livesum".
MODES = ("livesum", "sum", "min", "max", "livemin", "livemax", "mostrecent", "livemostrecent")

_failure: MetricsDirectoryError | None = None


def directory() -> str | None:
    """Return the directory that the environment names, None if it names none."""
    return next((value for name in VARIABLES if (value := os.environ.get(name))), None)


def served_directory(given: str | os.PathLike[str] | None) -> str:
    """Return the directory that a process which only serves shows: `given`, which must be there, or the environment's.

    Raises `MetricsDirectoryError` if neither names one, or if `given` is no directory: one that is made on the spot
    because its name is misspelt would show nothing for ever.
    """
    if given is None:
        where = directory()
        if where is None:
            variables = " or ".join(VARIABLES)
            raise MetricsDirectoryError(errno.EINVAL, f"no directory to serve: name it with --dir or in {variables}")
        return where
    path = Path(given)
    if not path.is_dir():
        code = errno.ENOTDIR if path.exists() else errno.ENOENT
        remedy = "name the one that the processes share, once one of them has begun"
        raise MetricsDirectoryError(code, f"{path} is no directory: {remedy}")
    return str(path)


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
