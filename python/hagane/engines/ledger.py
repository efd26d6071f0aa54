"""What a run's stages did and used: recorded when it happens, so that it is neither repeated nor forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hagane import _core
from hagane.engines.effects import StageContext, call_action
from hagane.engines.isolate import isolate
from hagane.engines.journal import Journal
from hagane.engines.progress import EFFECTS_KEY, Progress
from hagane.errors import PipelineError

__all__ = ["MILLIONTHS", "Ledger"]

MILLIONTHS = 1_000_000


class Ledger:
    """The effects and the spending of one run's stages."""

    def __init__(self, places: dict[str, int], plan: _core.Plan, progress: Progress, journal: Journal) -> None:
        self.run_id = journal.run_id
        self.thread_id = journal.thread_id
        self.places = places
        self._plan = plan
        self._progress = progress
        self._journal = journal
        self._busy: set[tuple[str, str]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        # The attempt that is being made: what others left behind can do no effects any more.
        self.current: StageContext | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that drives the run."""
        if self._loop is None:
            raise PipelineError("the run is not being driven")
        return self._loop

    def opened(self) -> None:
        """Note the loop in which the run is driven."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Record nothing any more: the run stops here, whatever its agents left behind."""
        self._is_closed = True

    async def once(self, stage: str, name: str, key: str, action: Callable[[str], Any]) -> Any:
        """Do `action` and record its result, or give the recorded one; see `StageContext.effect`."""
        recorded = self._progress.effects.get(stage, {})
        if name in recorded:
            return isolate(recorded[name])
        if (stage, name) in self._busy:
            raise PipelineError(
                f"stage {stage!r}: effect {name!r} is under way already; give effects names that differ"
            )
        self._busy.add((stage, name))
        generation = self._plan.generation(self.places[stage])
        try:
            result = await call_action(action, key)
            if self._is_closed or generation != self._plan.generation(self.places[stage]):
                raise PipelineError(
                    f"stage {stage!r}: effect {name!r} was done when the run had stopped or undone the stage; it is "
                    f"not recorded (its idempotency key was {key!r})"
                )
            await self._record(stage, name, result)
        finally:
            self._busy.discard((stage, name))
        return result

    async def _record(self, stage: str, name: str, result: Any) -> None:
        self._plan.touched(self.places[stage])
        # A new dict: the journal encodes an object once.
        kept = {**self._progress.effects.get(stage, {}), name: isolate(result)}
        if self._journal.store is not None:
            self._journal.blob(f"{EFFECTS_KEY}{stage}", kept)  # refuses what cannot be stored before it is there
        self._progress.effects = {**self._progress.effects, stage: kept}
        self._journal.note("effect", stage=stage, effect=name)
        await self._journal.commit("running", self._progress, self._plan, f"effect {name} of {stage}")

    def spend(self, stage: str, tokens: int, cost: float) -> None:
        """Book tokens and cost, the latter in whole units."""
        millionths = round(cost * MILLIONTHS)
        if tokens < 0 or millionths < 0:
            raise PipelineError(f"stage {stage!r}: {tokens} tokens and a cost of {cost} were spent; give 0 or more")
        self._plan.used(self.places[stage], tokens=tokens, cost=millionths)

    def left(self, stage: str) -> tuple[int | None, float | None]:
        """Tokens and cost that the stage may still use."""
        _, tokens, cost = self._plan.left(self.places[stage])
        return tokens, None if cost is None else cost / MILLIONTHS
