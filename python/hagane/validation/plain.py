"""What models, dataclasses and mappings hold, so that rules can look into them as into a dict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from itertools import islice
from typing import Any

__all__ = ["as_mapping", "plain_form"]

# Of a mapping that is no dict only its own word says how long it is.
MOST_ENTRIES = 1_000_000


def plain_form(value: Any) -> Any:
    """Give the dict, list or float that stands for `value`; None if nothing does.

    Raises whatever the value's own code raises.
    """
    return _as_float(value) if isinstance(value, Decimal) else as_mapping(value)


def as_mapping(value: Any) -> Any:
    """Give what a model dumps, or a dict of a dataclass's fields or a mapping's entries; None for anything else.

    Raises whatever the value's own code raises.
    """
    kind = type(value)
    if isinstance(value, type):
        return None
    if callable(getattr(kind, "model_dump", None)):
        return _dump(value)
    if hasattr(kind, "__dataclass_fields__"):
        return {one.name: getattr(value, one.name) for one in fields(value) if hasattr(value, one.name)}
    if isinstance(value, Mapping) and len(value) <= MOST_ENTRIES:
        return dict(islice(value.items(), len(value)))
    return None


def _dump(value: Any) -> Any:
    if not hasattr(type(value), "__pydantic_serializer__"):
        return value.model_dump()
    # Values that are not of their field's type are the rules' to find, not a warning.
    return value.model_dump(warnings=False)


def _as_float(value: Decimal) -> float:
    # The class's own conversion, whatever a subclass makes of it; a signalling NaN refuses.
    return float("nan") if Decimal.is_nan(value) else Decimal.__float__(value)
