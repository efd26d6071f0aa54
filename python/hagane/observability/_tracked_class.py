"""Series at 0 before the first run: a class with a tracked method declares its agents when they are made.

The tracked method stays a plain function, so other decorators and `inspect` see what they saw before. The class body
gets one temporary name whose `__set_name__` tells it of its class; the name is gone once the class exists.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from hagane.observability import standard

__all__ = ["declare_with_class"]

_KEY = "__hagane_declares_agents__"


def declare_with_class(namespace: dict[str, Any], agent_name: Callable[[Any], str]) -> None:
    """Let the class whose body is `namespace` declare its agents; does nothing where that cannot be done."""
    # An exotic metaclass may refuse the name; the agent is then declared when its first run starts.
    with suppress(Exception):
        namespace.setdefault(_KEY, _OnClass(agent_name))


class _OnClass:
    def __init__(self, agent_name: Callable[[Any], str]) -> None:
        self._agent_name = agent_name

    def __set_name__(self, owner: type, name: str) -> None:
        with suppress(Exception):
            delattr(owner, name)
            self._declare_when_made(owner)

    def _declare_when_made(self, owner: type) -> None:
        # Only an `__init__` written in the class is wrapped: one put there would keep a dataclass from making its own.
        init = vars(owner).get("__init__")
        if init is None:
            standard.declare_agent(self._agent_name(owner))
            return
        agent_name = self._agent_name

        @wraps(init)
        def declaring_init(self: Any, *args: Any, **kwargs: Any) -> None:
            init(self, *args, **kwargs)
            standard.declare_agent(agent_name(self))

        owner.__init__ = declaring_init  # type: ignore[misc]
