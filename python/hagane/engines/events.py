"""What an event is: as it is noted, as it is told, and as it is stored."""

from __future__ import annotations

from typing import Any

from hagane import _core
from hagane.engines.feedback import bounded
from hagane.engines.isolate import isolate

__all__ = ["Event", "Note", "event_of", "is_small", "read_history", "row_of"]

Event = dict[str, Any]
# Kind, time, what happened, and whether that still has to be cut to what can be stored.
Note = tuple[str, float, dict[str, Any], bool]
# Names of fields that are no secrets; `bounded` looks at others.
_NAMES = frozenset({"attempt", "check", "duration_ms", "effect", "from_stage", "gate", "reason", "score", "stage"})
_NAMES |= {"fields", "issues", "pipeline", "stages", "status", "to_stage", "verdict"}


def event_of(seq: int, note: Note, names: dict[str, str]) -> Event:
    """Make the event number `seq` of a note, for somebody who may change it; `names` are the run's and its thread's."""
    kind, at, body, uncut = note
    # The time as it is stored: `history` gives the same.
    return {
        "seq": seq,
        "type": kind,
        "at": round(at * 1_000_000) / 1_000_000,
        **(bounded(body) if uncut else isolate(body)),
        **names,
    }


def is_small(body: dict[str, Any]) -> bool:
    """Whether `bounded` would give the same: asked first, because nearly every event is like that."""
    for key, value in body.items():
        kind = type(value)
        if kind is str:
            if len(value) > 200 or not value.isascii():
                return False
        elif kind is list:
            if len(value) > 20 or not all(type(word) is str and len(word) <= 200 and word.isascii() for word in value):
                return False
        elif kind is int:
            if not -1_000_000_000 < value < 1_000_000_000:
                return False
        elif kind is not float and kind is not bool and value is not None:
            return False
        if key not in _NAMES:
            return False
    return True


def row_of(event: Event) -> tuple[int, str, int, _core.Blob]:
    """Make the row of a store: number, kind, time in microseconds, and the rest but for the run's name."""
    body = {key: value for key, value in event.items() if key not in ("seq", "type", "at", "run_id")}
    return event["seq"], event["type"], round(event["at"] * 1_000_000), _core.Blob(body, "event")


def read_history(store: _core.Store, run_id: str) -> list[Event]:
    """Read a stored run's events, as `run_stream` gave them.

    Raises:
        UnknownRun: the store has no such run.
    """
    return [
        {"seq": seq, "type": kind, "at": at / 1_000_000, **body, "run_id": run_id}
        for seq, kind, at, body in store.events(run_id)
    ]
