"""What all runs of an engine share."""

from __future__ import annotations

from dataclasses import dataclass, field

from hagane import _core
from hagane.engines.checks import Checks
from hagane.engines.config import EngineConfig
from hagane.engines.environment import Environment
from hagane.engines.report import Reporter
from hagane.engines.stage import Stage
from hagane.observability._process import FAMILIES

__all__ = ["Pipeline"]


@dataclass(frozen=True)
class Pipeline:
    """Everything that the runs of an engine share; nothing in it changes during a run.

    Attributes:
        names: the stages' names in order.
        places: where each of them stands in that order.
        ungated: those whose outputs are judged by no gate and that judge nothing themselves.
        timers: what their durations are reported to, in order; None where that cannot be had.
    """

    name: str
    version: str
    stages: list[Stage]
    checks: Checks
    reporter: Reporter
    environment: Environment
    config: EngineConfig
    plan: _core.Plan
    names: list[str] = field(init=False)
    places: dict[str, int] = field(init=False)
    ungated: frozenset[str] = field(init=False)
    timers: list[_core.HistogramChild | None] = field(init=False)

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "places", {name: place for place, name in enumerate(names)})
        plain = {stage.name for stage in self.stages if not (stage.config.gate or stage.config.review)}
        object.__setattr__(self, "ungated", frozenset(plain - self.checks.by_stage.keys()))
        object.__setattr__(self, "timers", [_timer(self.name, name) for name in names])


def _timer(pipeline: str, stage: str) -> _core.HistogramChild | None:
    """Look up once what `standard.stage_run` observes."""
    try:
        return FAMILIES.histograms["pipeline_stage_duration_seconds"].labels(pipeline, stage)
    except Exception:  # A metric must not keep anything from running; `declare_stage` has complained.
        return None
