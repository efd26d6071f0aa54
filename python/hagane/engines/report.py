"""The report at the end of a run, by whatever the engine was given for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hagane.engines.isolate import isolate
from hagane.engines.progress import Progress

# What a result says, in any run.
OWN = frozenset({"status", "results", "attempts", "run_id", "thread_id", "stage", "reason", "gate", "output"})
OWN |= {"budget", "skipped", "failed", "advice", "used", "timeout", "by"}


@dataclass(frozen=True)
class Reporter:
    """Makes the final report: a `builder` with `build(results, inputs)` wins over a `generator(results)`."""

    generator: Callable[[dict[str, Any]], Any] | None = None
    builder: Any = None

    async def build(self, progress: Progress) -> Any:
        """Make the report on a run that succeeded; None if nobody makes one. Raises what the maker raises."""
        results, made = isolate(progress.outputs), None
        if self.builder is not None:
            made = self.builder.build(results, isolate(progress.inputs))
        elif self.generator is not None:
            made = self.generator(results)
        return await made if inspect.isawaitable(made) else made

    def dress(self, result: dict[str, Any], report: Any) -> dict[str, Any]:
        """Add the report to `result`: its fields beside the result's own.

        A report that is no dict, or has a field of a name that the engine gives itself, is added as `report`: what the
        engine says of a run (`status`, `run_id`, ...) nobody else says.
        """
        if report is None:
            return result
        if not isinstance(report, dict):
            return {**result, "report": report}
        if OWN.isdisjoint(report):
            return {**result, **report}
        return {**result, **{name: value for name, value in report.items() if name not in OWN}, "report": report}
