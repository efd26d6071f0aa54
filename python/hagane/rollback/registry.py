"""Classes of the program that snapshots may hold: registered by name, taken apart into plain data, made anew on load.

Nothing here imports by a stored name: what a program did not register, it cannot load.
"""

from __future__ import annotations

import enum
import itertools
import reprlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import InitVar, dataclass, fields, is_dataclass
from typing import Any, NamedTuple, TypeVar, overload

from hagane.errors import CheckpointError, StoreCorrupt
from hagane.rollback import attributes
from hagane.rollback.difference import Difference, differences

__all__ = [
    "Taken",
    "is_registered",
    "put_together",
    "register",
    "register_pickled",
    "registered_classes",
    "take_apart",
    "unlike",
]

Class = TypeVar("Class", bound="type[Any]")
Parts = Callable[[Any], Any]


# What the content of an object is: exact, and nothing in it is anybody else's code; fields that the class only keeps;
# what the class's own code sees, so that what it makes of it is compared when it is saved.
EXACT, KEPT = "exact", "kept"
FIELDS, MODEL, PICKLE = "fields", "model", "pickle"


class Taken(NamedTuple):
    """An object as a snapshot holds it."""

    name: str
    content: Any
    kind: str


@dataclass(frozen=True)
class _Entry:
    name: str
    take_apart: Parts
    put_together: Parts
    kind: str


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
    are classes of their own. An instance that its class would refuse or change on load is refused when it is saved: the
    class's code runs once then, on a copy. `name` is what stores call it (default: module and qualified name); it has
    to stay the same as long as checkpoints shall be readable. Registering a class twice under one name changes nothing.

    Raises:
        TypeError: the class is none of the three, or one whose instances cannot be made from their fields.
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

    _add(cls, _Entry(_name(cls, name), *pickled.parts(cls, key), PICKLE))
    return cls


def registered_classes() -> dict[str, type[Any]]:
    """Give the registered classes by their names in stores."""
    return {name: cls for name, (cls, _) in _by_name.items()}


def is_registered(cls: type[Any]) -> bool:
    """Whether checkpoints store objects of this class."""
    return cls in _by_class


def take_apart(value: Any) -> Taken | None:
    """Give the name of `value`'s class and its content as data that a snapshot can hold; None if it has neither."""
    cls = type(value)
    if entry := _by_class.get(cls):
        return Taken(entry.name, entry.take_apart(value), entry.kind)
    if cls.__module__ == "numpy" and "numpy" in sys.modules:
        from hagane.rollback import arrays

        taken = arrays.take_apart(value)
        return None if taken is None else Taken(*taken, EXACT)
    return None


def unlike(value: Any, made: Any) -> str | None:
    """Say where `made`, which the class made of `value`'s content, is another value; None if it is not.

    Pickles of equal objects may differ, so these are not compared.
    """
    place = next(_differences(value, made, ""), None)
    if place is None:
        pickles = any(entry.kind == PICKLE for entry in _by_class.values())
        return None if pickles else "it becomes the same in another order"
    if not place.path:
        return f"it becomes {reprlib.repr(place.after)}"
    return f"{place.path} is {reprlib.repr(place.before)} and becomes {reprlib.repr(place.after)}"


def _differences(one: Any, other: Any, path: str) -> Iterator[Difference]:
    entry = _by_class.get(type(one))
    if entry is None or type(one) is not type(other):
        yield from differences(one, other, path)
    elif entry.kind != PICKLE:
        before, after = entry.take_apart(one), entry.take_apart(other)
        groups = [(before[name], after[name]) for name in before] if entry.kind == MODEL else [(before, after)]
        for place in itertools.chain.from_iterable(differences(*group, path) for group in groups):
            yield from _differences(place.before, place.after, place.path)


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


def _kind(cls: type[Any]) -> tuple[Parts, Parts, str]:
    if issubclass(cls, enum.Flag):
        return (lambda member: member.value), cls, EXACT
    if issubclass(cls, enum.Enum):
        return (lambda member: _member_name(cls, member)), lambda name: cls[name], EXACT
    if is_dataclass(cls):
        attributes.refuse_foreign_content(cls)
        return *_dataclass_parts(cls), KEPT if attributes.only_keeps(cls, cls.__dataclass_fields__) else FIELDS
    if hasattr(cls, "__pydantic_validator__"):
        from hagane.rollback import models

        return *models.parts(cls), MODEL
    raise TypeError(f"{cls.__qualname__} is no Enum, dataclass or Pydantic model; make it one, or see register_pickled")


def _member_name(cls: type[enum.Enum], member: enum.Enum) -> str:
    if cls.__members__.get(member.name) is not member:
        raise CheckpointError(f"{member!r} is no member of its class by name")
    return member.name


def _dataclass_parts(cls: type[Any]) -> tuple[Parts, Parts]:
    stored = {field.name: field.init for field in fields(cls)}
    slots = attributes.other_slots(cls, stored.keys())
    if any(field.type is InitVar or "InitVar" in str(field.type) for field in cls.__dataclass_fields__.values()):
        raise TypeError(f"{cls.__qualname__} has an InitVar, which its instances do not keep; it cannot be made anew")

    def take(value: Any) -> dict[str, Any]:
        return {name: getattr(value, name) for name in stored} | attributes.beside(value, stored.keys(), slots)

    def make(content: dict[str, Any]) -> Any:
        unknown = [name for name in content if name not in stored and not attributes.is_cached(cls, name)]
        if unknown:
            raise StoreCorrupt(f"{cls.__qualname__} has no field {', '.join(unknown)}")
        value = cls(**{name: item for name, item in content.items() if stored.get(name)})
        for name, item in content.items():
            if stored.get(name):
                made = getattr(value, name)
                item = attributes.as_stored(made, item)
                if item is made:
                    continue
            object.__setattr__(value, name, item)
        return value

    return take, make
