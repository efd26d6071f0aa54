"""Replacing symbols where they live and wherever they were bound, after a look at their signatures, reversibly."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from hagane._patching import MISSING, Replacements
from hagane.compat.report import InstallReport

__all__ = ["Patches", "refusal"]

_log = logging.getLogger("hagane.compat")


class Patches(Replacements):
    """What one part changed, with what was there before."""

    def __init__(self, report: InstallReport) -> None:
        super().__init__(_log)
        self._report = report
        self._swaps: list[tuple[Any, Any]] = []
        self._modules: list[tuple[str, ModuleType]] = []
        self._told: list[tuple[list[str], str]] = []

    def swap(self, home: ModuleType, name: str, replacement: Callable[..., Any]) -> None:
        """Put `replacement`, made for this alone, in the place of `home.name` and of every module's binding of it.

        If it does not take every call of the original nothing is changed, and the report says why.
        """
        place = f"{home.__name__}.{name}"
        original = vars(home).get(name, MISSING)
        reason = "this AgentFlow has no such name" if original is MISSING else refusal(original, replacement)
        if reason:
            self._report.skipped[place] = reason
            return
        self.set(home, name, replacement)
        self._tell(self._report.replaced, place)
        self._swaps.append((original, replacement))
        for module, bound in _bindings(original):
            self.set(module, bound, replacement)
            self._tell(self._report.rebound, f"{module.__name__}.{bound}")

    def add(self, home: ModuleType, name: str, value: Any) -> None:
        """Give `home` a name that it lacks; one that it has is left alone."""
        if name not in vars(home):
            self.set(home, name, value)
            self._tell(self._report.replaced, f"{home.__name__}.{name}")

    def module(self, name: str, module: ModuleType) -> None:
        """Let `import name` give this module, where there is none of that name."""
        if name not in sys.modules:
            sys.modules[name] = module
            self._modules.append((name, module))

    def method(self, owner: type, name: str, replacement: Callable[..., Any]) -> None:
        """Replace a method of a class, for the objects of it that the program already holds."""
        self.set(owner, name, replacement)
        self._tell(self._report.replaced, f"{owner.__module__}.{owner.__qualname__}.{name}")

    def undo(self) -> None:
        """Put everything back that nobody else has replaced since, in modules imported meanwhile too."""
        super().undo()
        for original, replacement in self._swaps:
            for module, name in _bindings(replacement):
                setattr(module, name, original)
        for name, supplied in self._modules:
            if sys.modules.get(name) is supplied:
                del sys.modules[name]
        for listed, place in self._told:
            if place in listed:
                listed.remove(place)
        self._told.clear()
        self._modules.clear()
        self._swaps.clear()

    def _tell(self, listed: list[str], place: str) -> None:
        listed.append(place)
        self._told.append((listed, place))


def _bindings(value: object) -> list[tuple[ModuleType, str]]:
    """Where modules other than hagane's own bind this very object."""
    found: dict[tuple[int, str], tuple[ModuleType, str]] = {}  # a module may stand under several names
    for module_name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and not f"{module_name}.".startswith("hagane."):
            names = [name for name, bound in list(vars(module).items()) if bound is value]
            found.update({(id(module), name): (module, name) for name in names})
    return list(found.values())


def refusal(original: Callable[..., Any], replacement: Callable[..., Any]) -> str | None:
    """Say why `replacement` would not take some call that `original` takes; None if it takes them all."""
    theirs = list(inspect.signature(original).parameters.values())
    ours = inspect.signature(replacement).parameters
    positions = list(ours)
    for position, parameter in enumerate(theirs):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            if parameter.kind not in [own.kind for own in ours.values()]:
                return f"its replacement takes no {parameter}"
            continue
        own = ours.get(parameter.name)
        if own is None:
            return f"its replacement has no parameter {parameter.name!r}"
        if parameter.default is not parameter.empty and own.default is own.empty:
            return f"its replacement demands {parameter.name!r}"
        if parameter.kind is not parameter.KEYWORD_ONLY and positions.index(parameter.name) != position:
            return f"its replacement has {parameter.name!r} in another position"
    return None
