"""How a figure is taken: CPU time of this process, the median of several rounds, less what the loop itself takes."""

from __future__ import annotations

import statistics
import time
import timeit
from dataclasses import dataclass

ROUNDS = 9


@dataclass
class Row:
    """One line of the table. Figures are in `unit`; `least` is what the ratio should be at least, None if nothing."""

    what: str
    ours: float
    theirs: float | None
    rival: str
    unit: str = "ns"
    least: float | None = None
    most: float | None = None

    @property
    def ratio(self) -> float | None:
        return None if self.theirs is None else self.theirs / self.ours

    @property
    def verdict(self) -> str:
        missed = (self.least is not None and (self.ratio or 0) < self.least) or (
            self.most is not None and self.ours > self.most
        )
        return "MISSED" if missed else "" if self.least is None and self.most is None else "met"


def alternately(ours: str, theirs: str, names: dict[str, object], times: int) -> tuple[float, float]:
    """Seconds per run of two statements, taken in turns, so that what else the machine does hits both alike."""
    timers = [timeit.Timer(statement, timer=time.process_time, globals=names) for statement in ("pass", ours, theirs)]
    figures: tuple[list[float], ...] = ([], [], [])
    for _ in range(ROUNDS):
        for figure, timer in zip(figures, timers, strict=True):
            figure.append(timer.timeit(times) / times)
    loop, one, other = map(statistics.median, figures)
    return max(one - loop, 1e-12), max(other - loop, 1e-12)
