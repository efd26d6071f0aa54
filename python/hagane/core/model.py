"""The base of hagane's models: pydantic's `BaseModel` where pydantic is installed, an equal of our own where not.

AgentFlow's models are pydantic's, and its programs use them so; hagane itself needs no other package.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel, Field
else:
    try:
        from pydantic import BaseModel, Field
    except ImportError:
        from hagane.core.plain_model import Field
        from hagane.core.plain_model import PlainModel as BaseModel

__all__ = ["BaseModel", "Field", "as_utc", "utc_now"]


def utc_now() -> datetime:
    """Return the time in UTC without a zone, as AgentFlow's models hold it: programs compare the two."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


def as_utc(moment: datetime) -> datetime:
    """Return `moment` in the form of `utc_now`; one that has no zone is in UTC already."""
    return moment if moment.tzinfo is None else moment.astimezone(timezone.utc).replace(tzinfo=None)
