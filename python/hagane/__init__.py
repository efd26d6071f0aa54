"""hagane (鋼, steel): a sandbox that holds, gates and rollback, and honest monitoring for agent programs.

Importing the package is cheap: submodules load on first use.
"""

from __future__ import annotations

from hagane._core import __version__

TYPE_CHECKING = False  # as typing's, without the time that importing typing takes
if TYPE_CHECKING:
    from typing import Any

    from hagane import agents, compat, core, engines, errors, hitl, observability, rollback, sandbox, validation
    from hagane.compat import install, uninstall

__all__ = [
    "__version__",
    "agents",
    "compat",
    "core",
    "engines",
    "errors",
    "hitl",
    "install",
    "observability",
    "rollback",
    "sandbox",
    "uninstall",
    "validation",
]
_FUNCTIONS = ("install", "uninstall")


def __getattr__(name: str) -> Any:
    if name in __all__:
        import importlib

        if name in _FUNCTIONS:
            return getattr(importlib.import_module(f"{__name__}.compat"), name)
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
