"""Series at 0 before the first run: a class with a tracked method declares its agents when they are made.

The tracked method stays a plain function, so other decorators and `inspect` see what they saw before. The class body
gets one temporary name whose `__set_name__` tells it of its class; the name is gone once the class exists. From then on
the class and those derived from it declare an agent
- with the class, if the class body says its `name`;
- with each object, after its `__init__`, or in the hook of an `__init__` that a decorator writes (dataclasses, attrs):
  by then its name is known.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from inspect import Parameter, Signature, getattr_static
from typing import Any

from hagane.observability import standard
from hagane.observability._meters import agent_name
from hagane.observability._nesting import find_nesting

__all__ = ["declare_with_class", "look_with_class", "tidy"]

_KEY = "__hagane_declares_agents__"
_OURS = "__hagane_declares__"
_POST_INITS = ("__post_init__", "__attrs_post_init__")


def declare_with_class(namespace: dict[str, Any]) -> None:
    """Let the class whose body is `namespace` declare its agents; does nothing where that cannot be done."""
    # An exotic metaclass may refuse the name; the agent is then declared when its first run starts.
    with suppress(Exception):
        namespace.setdefault(_KEY, _OnClass()).declares = True


def look_with_class(namespace: dict[str, Any]) -> bool:
    """Let the class whose body is `namespace` find out which of its runs may be part of another; whether it will."""
    with suppress(Exception):
        namespace.setdefault(_KEY, _OnClass())
        return True
    return False


def tidy(owner: Any) -> None:
    """Take the temporary name off the class of `owner`: what makes a `NamedTuple` calls no `__set_name__`."""
    kind = type(owner)
    with suppress(Exception):
        if isinstance(vars(kind).get(_KEY), _OnClass):
            delattr(kind, _KEY)


class _OnClass:
    declares = False

    def __set_name__(self, owner: type, name: str) -> None:
        with suppress(Exception):
            delattr(owner, name)
        with suppress(Exception):
            _follow_subclasses(owner, declares=self.declares)
        _prepare(owner, declares=self.declares)


def _follow_subclasses(owner: Any, *, declares: bool) -> None:
    own = vars(owner).get("__init_subclass__")

    def prepare(cls: Any, /, **kwargs: Any) -> None:
        if own is not None:
            own.__get__(None, cls)(**kwargs)
        else:
            super(_holder(cls, "__init_subclass__", hook), cls).__init_subclass__(**kwargs)
        _prepare(cls, declares=declares)

    hook: Any = classmethod(prepare)
    owner.__init_subclass__ = hook


def _holder(kind: type, name: str, value: object) -> Any:
    """The class that has `value`; not the one it was given to, of which `slots=True` makes another."""
    return next(base for base in kind.__mro__ if vars(base).get(name) is value)


def _prepare(cls: type, *, declares: bool) -> None:
    with suppress(Exception):
        find_nesting(cls)
    if not declares:
        return
    with suppress(Exception):
        name = vars(cls).get("name")
        if isinstance(name, str) and name:
            standard.declare_agent(name)
        _declare_when_made(cls)


def _declare_when_made(cls: type) -> None:
    home = _home(cls, "__init__")
    # Pydantic's models share one __init__, and it stays that one: `wraps` hands on the mark by which they know it.
    pydantic = home is not None and home.__module__.startswith("pydantic.")
    if home is cls or pydantic or not (home is None or _may_get_an_init(cls, home) or _is_of_a_protocol(cls, home)):
        _declare_after(cls, "__init__")
    else:
        for method in _POST_INITS:
            _declare_after(cls, method)
        if home is object and (name := _name_of_class(cls)) is not None:
            standard.declare_agent(name)


def _home(cls: type, method: str) -> type | None:
    """The first class that has `method`, passing over those that have it from here."""
    for base in cls.__mro__:
        found = vars(base).get(method)
        if found is not None and (base is cls or not hasattr(found, _OURS)):
            return base
    return None


def _is_of_a_protocol(cls: type, home: type) -> bool:
    """Whether typing looks after the __init__: a protocol's looks for another one, and would find ours."""
    typings = ("typing", "typing_extensions")
    abstract = any(base.__name__ == "Protocol" and base.__module__ in typings for base in cls.__bases__)
    return abstract or getattr(vars(home)["__init__"], "__module__", None) in typings


def _may_get_an_init(cls: type, home: type) -> bool:
    """Whether a decorator may be about to write an `__init__`, which one that is there already would keep away."""
    names = vars(cls)
    if not names.keys().isdisjoint(("__annotations__", "__annotate__", "__annotate_func__")):
        return True
    generated = not vars(home).keys().isdisjoint(("__dataclass_fields__", "__attrs_attrs__"))
    return generated or any(type(value).__module__.startswith("attr.") for value in names.values())


def _name_of_class(cls: type) -> str | None:
    """The name of the class's agents; None if each object has its own."""
    annotated = any("name" in getattr(base, "__annotations__", ()) for base in cls.__mro__)
    name = getattr_static(cls, "name", None)
    if name is None:
        return None if annotated else cls.__name__
    return name if isinstance(name, str) and name else None


def _declare_after(cls: Any, method: str) -> None:
    """Let `method` declare the agent; a class without one of its own gets one that calls the next class's."""
    own = vars(cls).get(method)
    # A class is met twice that has a tracked method and a base with one: by its own body and as that base's subclass.
    if own is not None and getattr(own, _OURS, None) is own:
        return
    home = _home(cls, method)
    original: Any = None if home is None else vars(home)[method]
    inherited = getattr(cls, method, None)
    if own is None and hasattr(inherited, _OURS) and getattr(inherited, "__wrapped__", None) is original:
        return

    def declaring(self: Any, *args: Any, **kwargs: Any) -> None:
        if own is not None:
            own(self, *args, **kwargs)
        else:
            _call_next(super(_holder(type(self), method, declaring), self), self, method, args, kwargs)
        # A derived class' own one goes on after this, and may only then give the name.
        if getattr_static(type(self), method) is declaring:
            standard.declare_agent(agent_name(self))

    setattr(cls, method, _looking_like(declaring, original))


def _call_next(above: Any, self: Any, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    following = getattr(above, method, None)
    if following is None:
        return
    if getattr(following, "__objclass__", None) is not object:
        following(*args, **kwargs)
    elif (args or kwargs) and getattr(type(self), "__new__") is object.__new__:  # noqa: B009  mypy knows them apart
        # What object says by itself of a class without an __init__.
        raise TypeError(f"{type(self).__name__}() takes no arguments")


def _looking_like(function: Callable[..., None], original: Any) -> Callable[..., None]:
    if original is not None:
        wraps(original)(function)
    if original is None or original is vars(object)["__init__"]:
        function.__signature__ = Signature([Parameter("self", Parameter.POSITIONAL_ONLY)])  # type: ignore[attr-defined]
    setattr(function, _OURS, function)
    return function
