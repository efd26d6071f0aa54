"""The checkpoints of a `RollbackManager`: their order, which is the current one, and which of them may go."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from hagane.core.rollback_types import Checkpoint, CheckpointStatus
from hagane.core.state_copy import StateCopy

__all__ = ["CheckpointChain"]

logger = logging.getLogger("hagane.core")
_NO_STATE: dict[str, Any] = {}


class CheckpointChain:
    """Checkpoints, each after the one that was current when it was made."""

    def __init__(self) -> None:
        # Oldest first. The records hold no state; that is apart, and decoded when somebody asks.
        self._records: dict[str, Checkpoint] = {}
        self._states: dict[str, StateCopy] = {}
        self._pins: Counter[str] = Counter()
        self.current: str | None = None

    def __contains__(self, checkpoint_id: str) -> bool:
        return checkpoint_id in self._records

    def ids(self) -> list[str]:
        """Return all ids, the oldest first."""
        return list(self._records)

    def status(self, checkpoint_id: str) -> CheckpointStatus:
        """Return how a checkpoint stands."""
        return self._records[checkpoint_id].status

    def checkpoint(self, checkpoint_id: str) -> Checkpoint:
        """Return a copy with a state and metadata of its own."""
        record = self._records[checkpoint_id]
        return replace(record, state=self._states[checkpoint_id].restore(), metadata=dict(record.metadata))

    def add(self, checkpoint_id: str, state: StateCopy, description: str, metadata: dict[str, Any] | None) -> None:
        """Append a checkpoint after the current one; it becomes the current one."""
        self._records[checkpoint_id] = Checkpoint(
            id=checkpoint_id,
            state=_NO_STATE,
            metadata=dict(metadata or {}),
            parent_id=self.current,
            description=description,
        )
        self._states[checkpoint_id] = state
        self.current = checkpoint_id

    def back(self, steps: int) -> str | None:
        """Return the checkpoint so many steps before the current one, None if there are not as many."""
        if steps < 0:
            raise ValueError(f"steps is {steps}; give 0 or more")
        target = self.current
        for _ in range(steps):
            target = self._records[target].parent_id if target is not None else None
            if target not in self._records:
                return None
        return target

    def refusal(self, checkpoint_id: str) -> str | None:
        """Return why one cannot go back to a checkpoint, None if one can."""
        record = self._records.get(checkpoint_id)
        if record is None:
            return f"there is no checkpoint {checkpoint_id}; it never was, or there were more than max_checkpoints"
        if record.status is not CheckpointStatus.ACTIVE:
            return f"checkpoint {checkpoint_id} is {record.status.value}; only an active one can be returned to"
        return None

    def return_to(self, checkpoint_id: str) -> int:
        """Make a checkpoint the current one and those after it rolled back; return how many those are."""
        order = self.ids()
        undone = 0
        for each in order[order.index(checkpoint_id) + 1 :]:
            if self._records[each].status is not CheckpointStatus.ROLLED_BACK:
                self._records[each].status = CheckpointStatus.ROLLED_BACK
                undone += 1
        self.current = checkpoint_id
        return undone

    def commit(self, checkpoint_id: str | None) -> bool:
        """Mark a checkpoint, by default the current one, as done with; False if it is not there."""
        record = self._records.get(checkpoint_id or self.current or "")
        if record is None:
            return False
        record.status = CheckpointStatus.COMMITTED
        return True

    @contextmanager
    def pinned(self, checkpoint_id: str) -> Iterator[None]:
        """Keep a checkpoint from going while something may return to it."""
        self._pins[checkpoint_id] += 1
        try:
            yield
        finally:
            self._pins[checkpoint_id] -= 1
            self._pins += Counter()  # Drops what is at 0.

    def shrink(self, most: int) -> None:
        """Let checkpoints go until at most so many are left, or only those that must stay."""
        excess = len(self._records) - most
        if excess <= 0:
            return
        free = [each for each in self._records if each != self.current and not self._pins[each]]
        # Sorting is stable: the oldest first within both groups.
        free.sort(key=lambda each: self._records[each].status is CheckpointStatus.ACTIVE)
        for each in free[:excess]:
            self._let_go(each)

    def _let_go(self, checkpoint_id: str) -> None:
        gone = self._records.pop(checkpoint_id)
        del self._states[checkpoint_id]
        # Steps back go on to what was before it.
        for record in self._records.values():
            if record.parent_id == checkpoint_id:
                record.parent_id = gone.parent_id
        if gone.status is CheckpointStatus.ACTIVE:
            logger.warning(
                "active checkpoint %s (%s) went because there were more than max_checkpoints",
                checkpoint_id,
                gone.description or "no description",
            )
        gone.status = CheckpointStatus.EXPIRED
