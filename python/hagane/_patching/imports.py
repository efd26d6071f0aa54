"""Doing something right after a module was imported, without importing it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["AfterImport"]

Hook = Callable[[ModuleType], None]


class AfterImport(MetaPathFinder):
    """Stands first among the finders while modules are awaited; finds nothing itself and gets out of the way."""

    def __init__(self) -> None:
        self._awaited: dict[str, Hook] = {}

    def run(self, name: str, hook: Hook) -> bool:
        """Call `hook(module)` now if module `name` is there, else once it will be; return whether it was there."""
        module = sys.modules.get(name)
        if module is not None and not _is_loading(module):
            hook(module)
            return True
        self._awaited[name] = hook
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        return False

    def settle(self, name: str) -> None:
        """Wait for a module that another thread was already loading when it became awaited, past its finders.

        To be called without any lock that a hook takes: the other thread may be waiting in a hook.
        """
        module = sys.modules.get(name)
        if name in self._awaited and module is not None:
            module = importlib.import_module(name)
            if not _is_loading(module):
                self._imported(module)

    def forget(self) -> None:
        """Await nothing any more."""
        self._awaited.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Let the other finders find an awaited module, and put a hook behind its loader."""
        if fullname not in self._awaited:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(fullname, path, target) if find is not None and finder is not self else None
            if spec is not None:
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    spec.loader = _HookedLoader(spec.loader, self._imported)
                return spec  # type: ignore[no-any-return]
        return None

    def _imported(self, module: ModuleType) -> None:
        hook = self._awaited.pop(module.__name__, None)
        if hook is not None:
            hook(module)


class _HookedLoader:
    """The module's own loader, but for what happens after it has run."""

    def __init__(self, loader: Any, imported: Hook) -> None:
        self._loader = loader
        self._imported = imported

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        # The module is to see its true loader, as some ask it for their data files.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._imported(module)


def _is_loading(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))
