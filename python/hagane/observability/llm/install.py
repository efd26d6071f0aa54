"""`instrument_llm` and its reverse."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any

from hagane._patching import AfterImport, Replacements
from hagane.observability import standard

__all__ = ["PARTS", "InstrumentReport", "instrument_llm", "uninstrument_llm"]

OLDEST_ANTHROPIC = (0, 50)
PARTS = ("openai", "anthropic", "litellm", "agentflow")

_log = logging.getLogger("hagane.observability")
# Reentrant: a hook may import, and an import may run another hook.
_lock = threading.RLock()
_after = AfterImport()


@dataclass
class InstrumentReport:
    """What is measured: `active` at this moment, `awaited` until it is imported, `failed` with the reason.

    The object that `instrument_llm` gave is kept up to date when an awaited package is imported.
    """

    active: list[str] = field(default_factory=list)
    awaited: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


class _Patches(Replacements):
    """The replaced functions of one package."""

    def __init__(self) -> None:
        super().__init__(_log)
        self._live = True

    def while_live(self, describe: Callable[..., Any]) -> Callable[..., Any]:
        """Let `describe` know of no call once all is undone: another tool may have kept the replacement."""
        return lambda *args: describe(*args) if self._live else None

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Put what `make` gives for a function in its place."""
        self.set(owner, name, make(vars(owner)[name]))

    def undo(self) -> None:
        """Put the functions back; copies that others kept describe nothing any more."""
        self._live = False
        super().undo()


_patches: dict[str, _Patches] = {}
_undo_litellm: list[Callable[[], None]] = []
_report = InstrumentReport()


def instrument_llm(parts: Iterable[str] = PARTS, *, declare: Sequence[tuple[str, str]] = ()) -> InstrumentReport:
    """Count every model call of the named packages, in a program that is not changed for it.

    Packages that are not imported yet are measured from their import on; none is imported by this. Calling it again
    adds parts and changes nothing else. `declare` lists (provider, model) pairs whose series are to exist at 0 before
    their first call; others do when their first call begins.

    Raises ValueError for a part that is not one of `PARTS`.
    """
    wanted = [parts] if isinstance(parts, str) else list(parts)
    for part in wanted:
        if part not in PARTS:
            raise ValueError(f"{part!r} is no part that can be measured; the parts are {', '.join(PARTS)}")
    with _lock:
        for part in wanted:
            if part not in _report.active and part not in _report.awaited:
                _begin(part)
    for part in wanted:
        _after.settle(_HOMES[part][0])
    for provider, model in declare:
        standard.declare_llm(provider, model)
    return _report


def uninstrument_llm() -> None:
    """Put back every function that was there before; calls and streams on their way are still counted to their end."""
    global _report
    with _lock:
        _after.forget()
        for patches in _patches.values():
            patches.undo()
        _patches.clear()
        while _undo_litellm:
            _undo_litellm.pop()()
        _report = InstrumentReport()


def _begin(part: str) -> None:
    module, patch = _HOMES[part]
    _report.failed.pop(part, None)
    _report.awaited.append(part)
    report = _report

    def hook(found: ModuleType) -> None:
        with _lock:
            if part not in report.awaited or report is not _report:
                return
            report.awaited.remove(part)
            patches = _Patches()
            try:
                patch(found, patches)
            except Exception as error:
                # Another version than those known: the program goes on, unmeasured in this part.
                patches.undo()
                report.failed[part] = f"{type(error).__name__}: {error}"
                _log.warning("calls of %s cannot be measured: %s: %s", part, type(error).__name__, error)
                return
            _patches[part] = patches
            report.active.append(part)

    _after.run(module, hook)


def _patch_openai(module: Any, patches: _Patches) -> None:
    from hagane.observability.llm.openai_calls import describe
    from hagane.observability.llm.sdk import wrap_request

    live = patches.while_live(describe)
    for name in ("SyncAPIClient", "AsyncAPIClient"):
        patches.replace(getattr(module, name), "request", lambda original: wrap_request(original, live))


def _patch_anthropic(module: Any, patches: _Patches) -> None:
    version = str(import_module("anthropic._version").__version__)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_ANTHROPIC:
        # Its stream helper drops the stream that is watched and reads the response through another.
        raise ImportError(f"anthropic {version} is too old to be measured: install 0.50 or newer")
    from hagane.observability.llm.anthropic_calls import describe
    from hagane.observability.llm.sdk import wrap_request

    live = patches.while_live(describe)
    for name in ("SyncAPIClient", "AsyncAPIClient"):
        patches.replace(getattr(module, name), "request", lambda original: wrap_request(original, live))


def _patch_litellm(module: Any, _: _Patches) -> None:
    from hagane.observability.llm.litellm_calls import make_logger

    logger = make_logger()
    module.callbacks.append(logger)

    def undo() -> None:
        # LiteLLM hands its callbacks on to several lists on first use.
        for name in dir(module):
            if name.endswith(("callbacks", "callback")):
                listed = getattr(module, name, None)
                while isinstance(listed, list) and logger in listed:
                    listed.remove(logger)

    _undo_litellm.append(undo)


def _patch_agentflow(module: Any, patches: _Patches) -> None:
    from hagane.observability.llm.agentflow_calls import wrap_chat, wrap_init, wrap_stream

    patches.replace(module.LLMClient, "__init__", wrap_init)
    patches.replace(module.LLMClient, "chat", wrap_chat)
    patches.replace(module.LLMClient, "stream", wrap_stream)


_HOMES: dict[str, tuple[str, Callable[[Any, _Patches], None]]] = {
    "openai": ("openai._base_client", _patch_openai),
    "anthropic": ("anthropic._base_client", _patch_anthropic),
    "litellm": ("litellm", _patch_litellm),
    "agentflow": ("agentflow.llm.llm_client", _patch_agentflow),
}
