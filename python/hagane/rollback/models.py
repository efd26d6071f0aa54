"""Pydantic models in snapshots: fields as they are, validated again on load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hagane.errors import StoreCorrupt
from hagane.rollback import attributes

__all__ = ["parts"]

Content = dict[str, Any]
# Slots of BaseModel itself.
OWN_SLOTS = frozenset({"__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__"})


def parts(cls: type[Any]) -> tuple[Callable[[Any], Content], Callable[[Content], Any]]:
    """Give what takes instances of the model `cls` apart and what makes them anew."""
    is_root = bool(getattr(cls, "__pydantic_root_model__", False))
    by_alias = cls.model_config.get("validate_by_alias") is not False
    names = {key: _alias(key, field) if by_alias else key for key, field in cls.model_fields.items()}
    slots = attributes.other_slots(cls, names.keys() | OWN_SLOTS)

    def take(value: Any) -> Content:
        held = vars(value)
        return {
            "fields": {name: held[name] for name in names if name in held}
            | attributes.beside(value, names.keys() | OWN_SLOTS, slots),
            "extra": value.__pydantic_extra__ and dict(value.__pydantic_extra__),
            "set": set(value.__pydantic_fields_set__),
            "private": value.__pydantic_private__ and dict(value.__pydantic_private__),
        }

    def make(content: Content) -> Any:
        given, extra = content["fields"], content["extra"] or {}
        unknown = [name for name in given if name not in names and not attributes.is_cached(cls, name)]
        if unknown:
            raise StoreCorrupt(f"{cls.__qualname__} has no field {', '.join(sorted(unknown))}")
        named = {names[key]: item for key, item in given.items() if key in names}
        # A root model takes its value as it is: a dictionary would be taken for the root.
        value = cls.model_validate(given["root"] if is_root else named | extra)
        held = vars(value)
        held.update({name: attributes.as_stored(held.get(name), item) for name, item in given.items() if name in names})
        held.update({name: item for name, item in given.items() if name not in names})
        object.__setattr__(value, "__pydantic_fields_set__", content["set"])
        if content["private"] is not None:
            object.__setattr__(value, "__pydantic_private__", content["private"])
        return value

    return take, make


def _alias(name: str, field: Any) -> str:
    """Give the name under which validation looks for the field; one that is a path has a first way to spell it."""
    alias = field.validation_alias
    if alias is None:
        return name
    if isinstance(alias, str):
        return alias
    choices = [choice for choice in getattr(alias, "choices", ()) if isinstance(choice, str)]
    if not choices:
        raise TypeError(f"field {name!r} is validated from a path (AliasPath); give it a plain alias to register it")
    return str(choices[0])
