"""Requests for approval in a store: who waits for what, and the first decision on each.

A request and its answer stay until the answer was delivered. Every time a request is made it gets a mark of its own,
under which the answer is written once: of two people who decide, the first counts, and no old answer can meet a new
request of the same id. Delivered answers stay for a while: whoever decides in that moment must not believe to be first.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hagane._core import Blob
from hagane.errors import SnapshotError
from hagane.hitl.documents import Document, Documents, now_micros
from hagane.hitl.marks import plain
from hagane.hitl.types import ApprovalRequest, ApprovalResponse

__all__ = ["ApprovalQueue", "Entry"]

REQUESTS = "hitl.request"
ANSWERS = "hitl.answer"
DELIVERED = "hitl.delivered"
ESCALATIONS = "hitl.escalation"
# How many delivered answers stay, for late deciders to meet.
KEPT = 1000


@dataclass
class Entry:
    """One request: its mark, when it was made and until when it waits (UTC without a zone)."""

    request: ApprovalRequest
    mark: str
    made_at: datetime
    expires_at: datetime


class ApprovalQueue:
    """The requests of one queue. Every method is blocking, and safe to call from any thread or process.

    Args:
        documents: Where they are kept.
        name: Managers with the same name and store share their requests.
        lossy: Whether a request whose context the store cannot hold is kept without it, or refused.
    """

    def __init__(self, documents: Documents, name: str, *, lossy: bool) -> None:
        self._documents = documents
        self._name = name
        self._lossy = lossy

    def add(self, request: ApprovalRequest, made_at: datetime, expires_at: datetime) -> Entry:
        """Keep a request, or return the one of the same id that waits already."""
        entry = Entry(request, uuid.uuid4().hex, made_at, expires_at)
        blob = self._blob(entry)
        if self._documents.put(REQUESTS, self._name, request.id, blob, at=now_micros(), once=True):
            return entry
        return self.find(request.id) or self.add(request, made_at, expires_at)

    def _blob(self, entry: Entry) -> Blob:
        value = {
            "request": plain(entry.request),
            "mark": entry.mark,
            "made_at": entry.made_at,
            "expires_at": entry.expires_at,
        }
        try:
            return Blob(value, f"request {entry.request.id}")
        except SnapshotError:
            if not self._lossy:
                raise
            return Blob({**value, "request": {**value["request"], "context": {}, "metadata": {}}})

    def find(self, request_id: str) -> Entry | None:
        """Return a request that waits, decided or not."""
        found = self._documents.documents(REQUESTS, self._name, request_id, 1)
        return _entry(found[0]) if found else None

    def waiting(self, most: int) -> list[Entry]:
        """Return the requests that nobody has decided yet, the oldest first; `most` of the newest are looked at."""
        requests = self._documents.documents(REQUESTS, self._name, limit=most)
        answers = self._documents.documents(ANSWERS, self._name, limit=most)
        decided = {answer.key for answer in answers}
        entries = [entry for entry in map(_entry, reversed(requests)) if entry.mark not in decided]
        # There may be answers beyond those that were looked at.
        return entries if len(answers) < most else [entry for entry in entries if self.answer(entry) is None]

    def decide(self, entry: Entry, response: ApprovalResponse) -> bool:
        """Record a decision, unless there is one; tell whether this one counts."""
        own = uuid.uuid4().hex
        blob = Blob({"response": plain(response), "decision": own}, f"answer to {entry.request.id}")
        if not self._documents.put(ANSWERS, self._name, entry.mark, blob, at=now_micros(), once=True):
            return False
        if (delivered := self._read(DELIVERED, entry)) is not None:
            counts = bool(delivered["decision"] == own)
        else:
            waits = self.find(entry.request.id)
            counts = waits is not None and waits.mark == entry.mark
        if not counts:
            self._documents.remove(ANSWERS, self._name, entry.mark)
        return counts

    def answer(self, entry: Entry) -> ApprovalResponse | None:
        """Return the decision on a request, None if there is none."""
        found = self._read(DELIVERED, entry) or self._read(ANSWERS, entry)
        return ApprovalResponse(**found["response"]) if found else None

    def deliver(self, entry: Entry) -> bool:
        """Take a request away because its answer is delivered; False if somebody else did that."""
        # In this order: whoever looks in between finds the answer, and the request as long as nobody has it.
        for answer in self._documents.documents(ANSWERS, self._name, entry.mark, 1):
            self._documents.put(DELIVERED, self._name, entry.mark, answer.blob, at=now_micros(), once=True, keep=KEPT)
        mine = self.withdraw(entry)
        self._documents.remove(ANSWERS, self._name, entry.mark)
        self._documents.remove(ESCALATIONS, entry.mark)
        return mine

    def withdraw(self, entry: Entry) -> bool:
        """Take a request away; False if it is not there any more."""
        return bool(self._documents.remove(REQUESTS, self._name, entry.request.id))

    def _read(self, collection: str, entry: Entry) -> dict[str, Any] | None:
        found = self._documents.documents(collection, self._name, entry.mark, 1)
        return found[0].blob.value() if found else None

    def escalated(self, entry: Entry) -> int:
        """Return how many levels a request was escalated."""
        found = self._documents.documents(ESCALATIONS, entry.mark, "reached", 1)
        return int(found[0].blob.value()) if found else 0

    def escalate(self, entry: Entry, level: int) -> bool:
        """Record that a level is told; False if another process did that."""
        value: Any = Blob(level)
        first = self._documents.put(ESCALATIONS, entry.mark, str(level), value, at=now_micros(), once=True)
        # Whoever was first may have ended before it wrote this.
        if first or self.escalated(entry) < level:
            self._documents.put(ESCALATIONS, entry.mark, "reached", value, at=now_micros())
        return first


def _entry(document: Document) -> Entry:
    value = document.blob.value()
    request = ApprovalRequest(**{**value["request"], "expires_at": value["expires_at"]})
    return Entry(request, value["mark"], value["made_at"], value["expires_at"])
