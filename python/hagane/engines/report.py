"""The report at the end of a run, by whatever the engine was given for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hagane.engines.isolate import isolate
from hagane.engines.progress import Progress


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
        """Add the report to `result`: its fields win over the result's own; a report that is no dict is `report`."""
        if report is None:
            return result
        return {**result, **report} if isinstance(report, dict) else {**result, "report": report}
