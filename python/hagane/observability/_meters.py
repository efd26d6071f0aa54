"""Who a run is counted for: the agent's name of an object, and the meter of that name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from hagane.observability import standard
from hagane.observability.definitions import AGENT_STATUSES

__all__ = ["CANCELLED", "ERROR", "METERS", "SUCCESS", "Meter", "agent_name", "meter_of", "way_of"]

SUCCESS, ERROR, CANCELLED = map(AGENT_STATUSES.index, ("success", "error", "cancelled"))


class Meter(Protocol):
    """`_core.RunMeter`, or what stands in for it."""

    @property
    def agent(self) -> str: ...
    def begin(self) -> float: ...
    def end(self, began: float, way: int, exemplar: Mapping[str, object] | None = None, /) -> None: ...
    def succeed(self, began: float, /) -> None: ...
    def suspend(self, began: float, /) -> None: ...
    def resume(self, began: float, /) -> None: ...


class _NoMeter:
    """Stands in where an agent's series cannot be had: the run goes on uncounted."""

    def __init__(self, agent: str) -> None:
        self.agent = agent

    def begin(self) -> float:
        return 0.0

    def end(self, began: float, way: int, exemplar: Mapping[str, object] | None = None, /) -> None:
        return None

    def succeed(self, began: float, /) -> None:
        return None

    def suspend(self, began: float, /) -> None:
        return None

    def resume(self, began: float, /) -> None:
        return None


METERS: dict[str, Meter] = {}
"""By agent name; bounded, because names may come from outside. Forgetting them costs a few lookups and nothing else."""

_MOST_METERS = 1024


def meter_of(agent: str) -> Meter:
    """Return the meter of this name, its series created at 0; never raises."""
    meter = METERS.get(agent)
    if meter is None:
        try:
            meter = standard.agent_meter(agent)
        except Exception as error:
            standard.complain_once("metrics_tracked", error)
            return _NoMeter(agent)
        if len(METERS) >= _MOST_METERS:
            METERS.clear()
        METERS[agent] = meter
    return meter


def agent_name(owner: Any) -> str:
    """Return the agent's name of an object: its `name`, else its class's."""
    try:
        name = getattr(owner, "name", None)
    except Exception:  # A property that is not ready: the run must not fail for the sake of a label.
        name = None
    kind = owner if isinstance(owner, type) else type(owner)
    return name if isinstance(name, str) and name else kind.__name__


def way_of(error: BaseException | None) -> int:
    """How a run ended that raised `error`, as a place in `AGENT_STATUSES`."""
    return SUCCESS if error is None else ERROR if isinstance(error, Exception) else CANCELLED
