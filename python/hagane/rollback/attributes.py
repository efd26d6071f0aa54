"""What an instance holds beside its fields: nothing of it may be lost without a word."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Set
from types import FunctionType, MemberDescriptorType
from typing import Any

from hagane.errors import CheckpointError

__all__ = ["as_stored", "beside", "is_cached", "only_keeps", "other_slots", "refuse_foreign_content"]

# Of `type.__flags__`: classes that a `class` statement made lack the first and have the second.
IMMUTABLE, ON_HEAP = 1 << 8, 1 << 9
PLAIN = (object.__basicsize__, object.__itemsize__)
NUMBERS = frozenset({bool, int, float, complex})
MANAGED = frozenset({"__dict__", "__weakref__"})


def refuse_foreign_content(cls: type[Any]) -> None:
    """Raise TypeError for a class whose instances hold what no attribute shows, such as the items of a `dict`."""
    for base in cls.__mro__:
        made_in_python = base.__flags__ & ON_HEAP and not base.__flags__ & IMMUTABLE
        if not made_in_python and (base.__basicsize__, base.__itemsize__) != PLAIN:
            raise TypeError(
                f"{cls.__qualname__} inherits from {base.__qualname__}, whose content is in no field and would be "
                "lost; hold it in a field instead"
            )


def only_keeps(cls: Any, fields: Iterable[str]) -> bool:
    """Tell whether a dataclass runs nothing but code that `dataclasses` generated when it is made of its fields."""
    frozen = cls.__dataclass_params__.frozen
    return (
        not hasattr(cls, "__post_init__")
        and _is_generated(cls.__init__)
        and type(cls).__call__ is type.__call__
        and cls.__new__ is object.__new__
        and cls.__getattribute__ is object.__getattribute__
        and (cls.__setattr__ is object.__setattr__ or (frozen and _is_generated(cls.__setattr__)))
        and not any(_has_setter(inspect.getattr_static(cls, name, None)) for name in fields)
    )


def _is_generated(function: Any) -> bool:
    return isinstance(function, FunctionType) and function.__code__.co_filename == "<string>"


def _has_setter(found: Any) -> bool:
    return hasattr(type(found), "__set__") and not isinstance(found, MemberDescriptorType)


def beside(value: Any, fields: Set[str], slots: Iterable[str] = ()) -> dict[str, Any]:
    """Return the values of cached properties that `value` holds beside its fields.

    Raises:
        CheckpointError: it holds something that is neither.
    """
    cls, held = type(value), getattr(value, "__dict__", {})
    others = {name: item for name, item in held.items() if name not in fields}
    unknown = [name for name in others if not is_cached(cls, name)] + [name for name in slots if hasattr(value, name)]
    if unknown:
        raise CheckpointError(f"it has attributes that are no fields: {', '.join(sorted(unknown))}")
    return others


def is_cached(cls: type[Any], name: str) -> bool:
    """Tell whether instances of `cls` keep the value of a property under this name."""
    return isinstance(inspect.getattr_static(cls, name, None), functools.cached_property)


def other_slots(cls: type[Any], fields: Set[str]) -> tuple[str, ...]:
    """Return the slots of `cls` that are no fields, as attributes are called from outside."""
    found = []
    for base in cls.__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            hidden = name.startswith("__") and not name.endswith("__")
            found.append(f"_{base.__name__.lstrip('_')}{name}" if hidden else name)
    return tuple(name for name in found if name not in fields and name not in MANAGED)


def as_stored(made: Any, stored: Any) -> Any:
    """Return the stored number if the class made an equal one of another type, as validation makes 0 into 0.0."""
    if made is not stored and type(made) in NUMBERS and type(stored) in NUMBERS and made == stored:
        return stored
    return made
