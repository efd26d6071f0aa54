"""Pydantic models in snapshots: fields as they are, validated again on load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hagane.errors import StoreCorrupt

__all__ = ["parts"]

Content = dict[str, Any]


def parts(cls: type[Any]) -> tuple[Callable[[Any], Content], Callable[[Content], Any]]:
    """Give what takes instances of the model `cls` apart and what makes them anew."""
    names = {key: _alias(key, field) for key, field in cls.model_fields.items()}

    def take(value: Any) -> Content:
        return {
            "fields": dict(vars(value)),
            "extra": value.__pydantic_extra__ and dict(value.__pydantic_extra__),
            "set": set(value.__pydantic_fields_set__),
            "private": value.__pydantic_private__ and dict(value.__pydantic_private__),
        }

    def make(content: Content) -> Any:
        given, extra = content["fields"], content["extra"] or {}
        unknown = given.keys() - names.keys()
        if unknown:
            raise StoreCorrupt(f"{cls.__qualname__} has no field {', '.join(sorted(unknown))}")
        value = cls.model_validate({names[key]: item for key, item in given.items()} | extra)
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
