"""`install` and its reverse: which parts there are, and when each is put in place."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from types import ModuleType

from hagane._patching import AfterImport
from hagane.compat import metrics, sandbox
from hagane.compat.patches import Patches
from hagane.compat.report import InstallReport

__all__ = ["PARTS", "install", "uninstall"]

# Each part: the module whose import it follows, and what it does to that module.
_HOMES: dict[str, tuple[str, Callable[[ModuleType, Patches], None]]] = {
    "metrics": (metrics.HOME, metrics.apply),
    "sandbox": (sandbox.HOME, sandbox.apply),
}
PARTS = tuple(_HOMES)

_log = logging.getLogger("hagane.compat")
# Reentrant: a hook may import, and an import may run another hook.
_lock = threading.RLock()
_after = AfterImport()
_patches: list[Patches] = []
_report = InstallReport()


def install(parts: Iterable[str] = PARTS) -> InstallReport:
    """Put hagane's parts in the place of AgentFlow's, in a program that is not changed for it.

    `metrics`: what AgentFlow's counters, gauges and histograms count, before and from now on, appears in hagane's
    registry, which `hagane.observability.serve_metrics` shows. AgentFlow's classes, totals and errors stay as they are;
    what only AgentFlow allows (a name that Prometheus refuses, NaN in a counter) is not shown, with one warning. Two
    instruments of one name are one metric; and `agentflow.observability.metrics_tracked` appears.

    `sandbox`: `agentflow.sandbox.get_sandbox` gives hagane's sandbox unless the argument or the environment names one
    that hagane does not have; those come from AgentFlow as before. What AgentFlow itself runs by the name of a provider
    is not moved.

    A function is only replaced if its replacement takes every call that the original takes; else it is left alone and
    named in the report. Calling it again adds parts and changes nothing else. Safe from several threads. A module that
    is reloaded afterwards is as AgentFlow wrote it.

    Raises ValueError for a part that is not one of `PARTS`.
    """
    wanted = [parts] if isinstance(parts, str) else list(parts)
    for part in wanted:
        if part not in _HOMES:
            raise ValueError(f"{part!r} is no part that can be installed; the parts are {', '.join(PARTS)}")
    with _lock:
        for part in wanted:
            if part not in _report.parts:
                _begin(part)
    for part in wanted:
        _after.settle(_HOMES[part][0])
    return _report


def uninstall() -> None:
    """Put AgentFlow's own back wherever a module binds it, and wait for no module any more.

    Without `install()` it does nothing. What was counted meanwhile is in both registries; a later `install()` catches
    up with what AgentFlow counts until then.
    """
    global _report
    with _lock:
        _after.forget()
        while _patches:
            _patches.pop().undo()
        _report = InstallReport()


def _begin(part: str) -> None:
    home, apply = _HOMES[part]
    report = _report
    report.parts += (part,)
    report.awaited.append(home)

    def hook(module: ModuleType) -> None:
        with _lock:
            if home not in report.awaited or report is not _report:
                return
            report.awaited.remove(home)
            patches = Patches(report)
            _patches.append(patches)
            try:
                apply(module, patches)
            except Exception as error:
                # A form of AgentFlow that nobody has seen: the program goes on as if this part were not installed.
                patches.undo()
                _patches.remove(patches)
                report.skipped[home] = f"{type(error).__name__}: {error}"
                _log.warning("%s is left as it is: %s: %s", home, type(error).__name__, error)

    _after.run(home, hook)
