"""Runs and commits as an engine makes them, without the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hagane._core import Blob, Claim
from hagane.rollback import Store

Opener = Callable[..., Store]
DAY = 86_400 * 1_000_000


def begin(
    store: Store, run: str = "r", thread: str = "t", *, at: int = 1, claim: Claim | None = None, **state: Any
) -> int:
    """Begin a run; returns its epoch."""
    names = {"thread_id": thread, "run_id": run, "pipeline": "p", "version": "v"}
    return store.begin(
        **names, at=at, events=[(1, "run_started", 1, Blob({}))], state=blobs(state), label="start", claim=claim
    )[0]


def commit(
    store: Store,
    epoch: int,
    seq: int = 2,
    status: str = "running",
    *,
    run: str = "r",
    thread: str = "t",
    at: int = 2,
    supersede_after: int | None = None,
    **state: Any,
) -> tuple[int | None, int]:
    """Commit one event and, if there is one, a state."""
    events = [(seq, "gate", 2, Blob({"gate": "g"}))]
    return store.commit(
        thread_id=thread,
        run_id=run,
        epoch=epoch,
        status=status,
        at=at,
        events=events,
        state=blobs(state) or None,
        label=f"step {seq}",
        supersede_after=supersede_after,
    )


def blobs(state: dict[str, Any]) -> list[tuple[str, Blob]]:
    return [(key, Blob(value)) for key, value in state.items()]


def values(store: Store, checkpoint: int | None) -> dict[str, Any]:
    """The state of a checkpoint."""
    assert checkpoint is not None
    return {key: blob.value() for key, blob in store.load(checkpoint).items()}
