"""What `hagane.core.model` builds on where pydantic is not installed: the same classes, with the checks that they need.

It offers the part of pydantic's interface that hagane and AgentFlow's programs use on these classes: keyword
construction with defaults and factories, conversion of enums, times and nested models, `model_dump`,
`model_dump_json`, `model_validate`, `model_validate_json`, `model_copy`, `model_fields`, equality.
"""

from __future__ import annotations

import json
import types
import typing
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar

__all__ = ["Field", "FieldInfo", "PlainModel"]

REQUIRED: Any = ...


class FieldInfo:
    """A field: its default or the factory of one, and the least value that it takes."""

    def __init__(self, default: Any, default_factory: Any, ge: float | None, description: str | None) -> None:
        self.default = default
        self.default_factory = default_factory
        self.ge = ge
        self.description = description

    def is_required(self) -> bool:
        """Tell whether a value must be given."""
        return self.default is REQUIRED and self.default_factory is None

    def initial(self) -> Any:
        """Return a default that no other instance shares."""
        return self.default_factory() if self.default_factory is not None else self.default


def Field(  # noqa: N802  # pydantic's name
    default: Any = REQUIRED, *, default_factory: Any = None, ge: float | None = None, description: str | None = None
) -> Any:
    """Describe a field as pydantic's function of that name does."""
    return FieldInfo(default, default_factory, ge, description)


class PlainModel:
    """Base of models; a value that does not fit is a ValueError that names the class and the field."""

    model_fields: ClassVar[dict[str, FieldInfo]] = {}

    def __init_subclass__(cls) -> None:
        own = {}
        for name in vars(cls).get("__annotations__", {}):
            given = vars(cls).get(name, REQUIRED)
            own[name] = given if isinstance(given, FieldInfo) else FieldInfo(given, None, None, None)
            if name in vars(cls):
                delattr(cls, name)
        cls.model_fields = {**cls.model_fields, **own}

    def __init__(self, **given: Any) -> None:
        hints = typing.get_type_hints(type(self))
        for name, field in type(self).model_fields.items():
            if name in given:
                setattr(self, name, converted(given[name], hints[name], field, f"{type(self).__name__}.{name}"))
            elif field.is_required():
                raise ValueError(f"{type(self).__name__} needs {name!r}; give it as a keyword argument")
            else:
                setattr(self, name, field.initial())

    @classmethod
    def model_validate(cls, value: Any) -> Any:
        """Return an instance made from a mapping, or `value` if it is one; ValueError if it is neither."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, dict):
            raise ValueError(f"{cls.__name__} is made from a mapping, not from {type(value).__name__}")
        return cls(**value)

    @classmethod
    def model_validate_json(cls, text: str | bytes) -> Any:
        """Return an instance made from a JSON object."""
        return cls.model_validate(json.loads(text))

    def model_dump(self, *, mode: str = "python", exclude_none: bool = False) -> dict[str, Any]:
        """Return the fields as a dictionary of its own; with mode "json" everything in it is a JSON value."""
        values = {name: dumped(getattr(self, name), json_mode=mode == "json") for name in type(self).model_fields}
        return {name: value for name, value in values.items() if not (exclude_none and value is None)}

    def model_dump_json(self) -> str:
        """Return the fields as a JSON object."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))

    def model_copy(self, *, update: dict[str, Any] | None = None) -> Any:
        """Return a copy that shares the values, with those of `update` in their place."""
        copy = object.__new__(type(self))
        vars(copy).update({**vars(self), **(update or {})})
        return copy

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]  # as pydantic's: instances can change

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


def converted(value: Any, wanted: Any, field: FieldInfo, where: str) -> Any:
    """Return `value` as the annotation `wanted` asks for; ValueError that names `where` if it does not fit."""
    fitting = _fitted(value, wanted, where)
    if field.ge is not None and fitting is not None and not fitting >= field.ge:
        raise ValueError(f"{where} is {value!r}; it must be at least {field.ge}")
    return fitting


def _fitted(value: Any, wanted: Any, where: str) -> Any:
    origin = typing.get_origin(wanted)
    if wanted is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        return _first_that_fits(value, typing.get_args(wanted), where)
    if origin is list and isinstance(value, list | tuple):
        (item,) = typing.get_args(wanted)
        return [_fitted(each, item, f"{where}[{index}]") for index, each in enumerate(value)]
    if origin is type:
        return _subclass(value, typing.get_args(wanted)[0], where)
    return _instance(value, origin or wanted, where)


def _first_that_fits(value: Any, choices: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in choices:
        return None
    errors = []
    for choice in choices:
        if choice is not type(None):
            try:
                return _fitted(value, choice, where)
            except ValueError as error:
                errors.append(error)
    raise errors[0]


def _subclass(value: Any, base: type, where: str) -> Any:
    if isinstance(value, type) and issubclass(value, base):
        return value
    raise ValueError(f"{where} is {value!r}; it must be a subclass of {base.__name__}")


def _instance(value: Any, kind: Any, where: str) -> Any:
    if isinstance(value, kind) and not (kind in (int, float) and isinstance(value, bool)):
        return value
    if issubclass(kind, PlainModel) and isinstance(value, dict):
        try:
            return kind(**value)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if issubclass(kind, Enum) or (kind is datetime and isinstance(value, str)):
        try:
            return datetime.fromisoformat(value) if kind is datetime else kind(value)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    raise ValueError(f"{where} is {value!r}; it must be {kind.__name__}")


def dumped(value: Any, *, json_mode: bool) -> Any:
    """Return a deep copy of containers and models, as plain JSON values if `json_mode`."""
    if isinstance(value, PlainModel):
        return value.model_dump(mode="json" if json_mode else "python")
    if isinstance(value, dict):
        return {key: dumped(each, json_mode=json_mode) for key, each in value.items()}
    if isinstance(value, list | tuple):
        kind = list if json_mode else type(value)
        return kind(dumped(each, json_mode=json_mode) for each in value)
    if json_mode and isinstance(value, datetime):
        return value.isoformat()
    return value.value if json_mode and isinstance(value, Enum) else value
