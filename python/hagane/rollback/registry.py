"""Classes of the program that snapshots may hold: registered by name, taken apart into plain data, made anew on load.

Nothing here imports by a stored name: what a program did not register, it cannot load.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable
from dataclasses import InitVar, dataclass, fields, is_dataclass
from typing import Any, TypeVar, overload

from hagane.errors import CheckpointError, StoreCorrupt

__all__ = ["put_together", "register", "register_pickled", "registered_classes", "take_apart"]

Class = TypeVar("Class", bound="type[Any]")
Parts = Callable[[Any], Any]


@dataclass(frozen=True)
class _Entry:
    name: str
    take_apart: Parts
    put_together: Parts


_by_class: dict[type[Any], _Entry] = {}
_by_name: dict[str, tuple[type[Any], _Entry]] = {}
NUMPY = "numpy"


@overload
def register(cls: Class, *, name: str | None = None) -> Class: ...
@overload
def register(cls: None = None, *, name: str | None = None) -> Callable[[Class], Class]: ...
def register(cls: Any = None, *, name: str | None = None) -> Any:
    """Let snapshots hold instances of an Enum, a dataclass or a Pydantic model; also a decorator.

    Instances are stored as their fields and made anew by the class itself on load: a dataclass through its
    constructor, a Pydantic model through its validation, an Enum by the member's name (a Flag by its value). Subclasses
    are classes of their own. `name` is what stores call it (default: module and qualified name); it has to stay the
    same as long as checkpoints shall be readable. Registering the same class twice under one name changes nothing.

    Raises:
        TypeError: the class is none of the three, or a dataclass whose instances cannot be made from their fields.
        ValueError: the name belongs to another class.
    """
    if cls is None:
        return lambda decorated: register(decorated, name=name)
    if not isinstance(cls, type):
        raise TypeError(f"{cls!r} is not a class; register the class, not an instance")
    _add(cls, _Entry(_name(cls, name), *_kind(cls)))
    return cls


def register_pickled(cls: Class, *, key: bytes, name: str | None = None) -> Class:
    """Let snapshots hold instances of `cls` as pickles. Only for classes that nothing else fits.

    Each pickle carries an HMAC (SHA-256) under `key` and is not looked at unless that fits: whoever can write to the
    store but has no key cannot have code run. Keep the key out of the store.

    Raises:
        ValueError: the key is shorter than 16 bytes, or the name belongs to another class.
    """
    from hagane.rollback import pickled

    _add(cls, _Entry(_name(cls, name), *pickled.parts(cls, key)))
    return cls


def registered_classes() -> dict[str, type[Any]]:
    """Give the registered classes by their names in stores."""
    return {name: cls for name, (cls, _) in _by_name.items()}


def take_apart(value: Any) -> tuple[str, Any] | None:
    """Give the name of `value`'s class and its content as data that a snapshot can hold; None if it has neither."""
    cls = type(value)
    if entry := _by_class.get(cls):
        return entry.name, entry.take_apart(value)
    if cls.__module__ == "numpy" and "numpy" in sys.modules:
        from hagane.rollback import arrays

        return arrays.take_apart(value)
    return None


def put_together(name: str, content: Any) -> Any:
    """Make what `take_apart` took apart.

    Raises:
        CheckpointError: no class is registered under this name.
        StoreCorrupt: the class refuses the content.
    """
    if name.partition(".")[0] == NUMPY:
        from hagane.rollback import arrays

        return arrays.put_together(name, content)
    if name not in _by_name:
        raise CheckpointError(
            f"stored state holds an instance of {name!r}, which this program has not registered; "
            "call hagane.rollback.register on the class before loading"
        )
    cls, entry = _by_name[name]
    try:
        return entry.put_together(content)
    except CheckpointError:
        raise
    except Exception as error:
        raise StoreCorrupt(f"stored state does not fit class {cls.__qualname__}: {error}") from error


def _add(cls: type[Any], entry: _Entry) -> None:
    known = _by_name.get(entry.name)
    if known is not None and known[0] is not cls:
        raise ValueError(
            f"the name {entry.name!r} belongs to {known[0].__module__}.{known[0].__qualname__}; "
            f"give {cls.__qualname__} another one: register(..., name=...)"
        )
    if entry.name.partition(".")[0] == NUMPY:
        raise ValueError(f"names that begin with {NUMPY!r} are taken; give {cls.__qualname__} another one")
    _by_class[cls] = entry
    _by_name[entry.name] = (cls, entry)


def _name(cls: type[Any], name: str | None) -> str:
    return f"{cls.__module__}.{cls.__qualname__}" if name is None else name


def _kind(cls: type[Any]) -> tuple[Parts, Parts]:
    if issubclass(cls, enum.Flag):
        return (lambda member: member.value), cls
    if issubclass(cls, enum.Enum):
        return (lambda member: member.name), lambda name: cls[name]
    if hasattr(cls, "__pydantic_validator__"):
        from hagane.rollback import models

        return models.parts(cls)
    if is_dataclass(cls):
        return _dataclass_parts(cls)
    raise TypeError(f"{cls.__qualname__} is no Enum, dataclass or Pydantic model; make it one, or see register_pickled")


def _dataclass_parts(cls: type[Any]) -> tuple[Parts, Parts]:
    stored = fields(cls)
    given = {field.name for field in stored if field.init}
    if any(field.type is InitVar or "InitVar" in str(field.type) for field in cls.__dataclass_fields__.values()):
        raise TypeError(f"{cls.__qualname__} has an InitVar, which its instances do not keep; it cannot be made anew")

    def take(value: Any) -> dict[str, Any]:
        content = {field.name: getattr(value, field.name) for field in stored}
        extra = set(getattr(value, "__dict__", {})) - set(content)
        if extra:
            raise CheckpointError(f"it has attributes that are no fields: {', '.join(sorted(extra))}")
        return content

    def make(content: dict[str, Any]) -> Any:
        value = cls(**{name: item for name, item in content.items() if name in given})
        for name in content.keys() - given:
            object.__setattr__(value, name, content[name])
        return value

    return take, make
