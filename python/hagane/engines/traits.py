"""What the plan has to know of a stage beside its name."""

from __future__ import annotations

import math

from hagane.engines.config import EngineConfig, StageConfig
from hagane.engines.ledger import MILLIONTHS

__all__ = ["millionths", "traits_of"]

Limit = tuple["int | None", "int | None", "int | None"]
Traits = tuple[bool, bool, bool, "int | None", Limit, tuple[int, int]]


def traits_of(stage: StageConfig, config: EngineConfig) -> Traits:
    """Lay out a stage's row: whether it compensates, asks before, asks after; attempts, limits, reserves."""
    before, after = stage.interrupt_before, stage.interrupt_after
    if config.hitl.enabled:
        before = before or stage.name in config.hitl.interrupt_before
        after = after or stage.name in config.hitl.interrupt_after
    wall = None if stage.timeout_seconds is None else math.ceil(stage.timeout_seconds * 1000)
    limit = (wall, stage.max_tokens, millionths(stage.max_cost))
    reserve = (stage.reserve_tokens, millionths(stage.reserve_cost) or 0)
    return stage.compensate is not None, before, after, stage.max_attempts, limit, reserve


def millionths(cost: float | None) -> int | None:
    """Cost as the plan counts it."""
    return None if cost is None else round(cost * MILLIONTHS)
