"""Classes that a program would register."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from hagane.rollback import register


@register
class Colour(enum.Enum):
    RED = "r"
    BLUE = ("b", 1)


@register
class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@register
class Permission(enum.Flag):
    READ = 1
    WRITE = 2


@register(name="point")
@dataclass
class Point:
    x: int
    path: list[float]
    note: str = field(default="", kw_only=True)
    length: int = field(init=False, default=0)


@register
@dataclass(frozen=True)
class Frozen:
    pair: tuple[int, int]
    double: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "double", 2 * sum(self.pair))


@register
class Answer(BaseModel):
    model_config = ConfigDict(extra="allow")
    text: str = Field(alias="Text", default="")
    score: Decimal = Decimal(0)
    tags: list[Any] = Field(default_factory=list)
    _seen: int = PrivateAttr(default=0)

    def __init__(self, **values: Any) -> None:
        if "text" in values:
            values["Text"] = values.pop("text")
        super().__init__(**values)

    @field_validator("score")
    @classmethod
    def at_least_nothing(cls, score: Decimal) -> Decimal:
        if score < 0:
            raise ValueError("a score is not below 0")
        return score
