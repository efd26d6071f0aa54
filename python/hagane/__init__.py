"""hagane (鋼, steel): a sandbox that holds, gates and rollback, and honest monitoring for agent programs.

Importing the package is cheap: submodules load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hagane._core import __version__

if TYPE_CHECKING:
    from hagane import agents, engines, errors, observability, rollback, sandbox, validation

__all__ = [
    "__version__",
    "agents",
    "engines",
    "errors",
    "observability",
    "rollback",
    "sandbox",
    "validation",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
