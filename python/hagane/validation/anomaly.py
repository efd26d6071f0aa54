"""Anomaly detection: is an output unlike those that were accepted before? See docs/anomaly.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hagane import _core
from hagane.validation.result import Issue
from hagane.validation.told import told

__all__ = ["ACTIONS", "EVERY_STAGE", "AnomalyDetector", "AnomalyReport"]

ACTIONS = ("retry", "warn")
# In `ignore`: the paths that stand under it are ignored in all stages.
EVERY_STAGE = "*"


@dataclass(frozen=True)
class AnomalyReport:
    """What is unusual about an output: `issues` are reason to have it made again, `warnings` to have a look."""

    issues: tuple[Issue, ...] = ()
    warnings: tuple[Issue, ...] = ()


class AnomalyDetector:
    """Keeps one baseline per stage of a pipeline and judges outputs by it.

    Nothing is learned by judging: call `learn` with outputs that were accepted, and with no others. A baseline knows
    the latest 4,096 numbers of each of at most 64 fields (512 texts), and at most 512 paths. Every stage is silent
    below 20 accepted outputs, warns from 20 on, and may act from 100 on; NaN, infinities and JSON that ends too early
    need no baseline.

    The rank test is a conformal one (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005) with
    Holm's correction (1979); where it cannot speak, the median absolute deviation (Hampel, 1974) does, and only warns.

    Args:
        alpha: the share of honest outputs that each family of checks (numbers, texts, paths) may report.
        action: what sure findings are: `retry` makes them issues, so that validation fails; `warn` only warns.
        ignore: paths that are not looked at, with all below them: `{stage: [path, ...]}`, or `"*"` for every stage.
            Elements of a list are written `rows[].mass`.

    Raises:
        ValueError: an alpha that is not above 0 and at most 0.5, an unknown action, or paths given as one string.
    """

    def __init__(
        self, *, alpha: float = 0.01, action: str = "retry", ignore: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0 < alpha <= 0.5:
            raise ValueError(f"anomaly_alpha is {alpha!r}; give a number above 0 and at most 0.5, such as 0.01")
        if action not in ACTIONS:
            raise ValueError(f"anomaly_action is {action!r}; use one of {', '.join(ACTIONS)}")
        for stage, paths in (ignore or {}).items():
            if isinstance(paths, str):
                raise ValueError(f"anomaly_ignore[{stage!r}] is the string {paths!r}; give a list of paths")
            if not isinstance(paths, Iterable) or not all(isinstance(path, str) for path in paths):
                raise ValueError(f"anomaly_ignore[{stage!r}] is {told(paths)}; give a list of paths")
        self._alpha = alpha
        self._action = action
        self._ignore = {stage: list(paths) for stage, paths in (ignore or {}).items()}
        self._baselines: dict[str, _core.Baseline] = {}
        self._changed: set[str] = set()

    def judge(self, stage: str, output: Any) -> AnomalyReport:
        """Say what is unusual about `output` of `stage`; changes nothing."""
        found = self._baseline(stage).judge(output)
        issues = tuple(Issue(*row) for *row, acts in found if acts)
        return AnomalyReport(issues, tuple(Issue(*row) for *row, acts in found if not acts))

    def learn(self, stage: str, output: Any) -> None:
        """Learn an output of `stage` that was accepted."""
        self._baseline(stage).learn(output)
        self._changed.add(stage)

    def outputs(self, stage: str) -> int:
        """Say how many accepted outputs are known; the count halves at 4,096, where old ones begin to fade."""
        return self._baseline(stage).outputs

    def summary(self, stage: str) -> list[_core.BaselineField]:
        """List what is known of each path with numbers, for people: median, range, how many do not belong.

        Many `strangers` mean that faults were accepted, or that the field has a second, rare mode.
        """
        return self._baseline(stage).summary()

    def knows(self, stage: str) -> bool:
        """Whether the stage has a baseline in memory, be it learned or loaded."""
        return stage in self._baselines and self._baselines[stage].outputs > 0

    def changed(self) -> list[str]:
        """Name the stages that learned something since their baseline was last dumped."""
        return sorted(self._changed)

    def dump(self, stage: str) -> bytes:
        """Give the baseline of a stage as bytes, about 8 for each number that it knows."""
        data = self._baseline(stage).dump()
        self._changed.discard(stage)
        return data

    def load(self, stage: str, data: bytes) -> None:
        """Take the baseline of a stage from bytes that `dump` gave; what was there is replaced.

        Raises:
            ValueError: the bytes are something else.
            StoreCorrupt: the bytes are damaged.
            StoreVersionError: a newer hagane wrote them.
        """
        self._baselines[stage] = self._new(stage, data)
        self._changed.discard(stage)

    def _baseline(self, stage: str) -> _core.Baseline:
        if stage not in self._baselines:
            self._baselines[stage] = self._new(stage, None)
        return self._baselines[stage]

    def _new(self, stage: str, data: bytes | None) -> _core.Baseline:
        ignored = [*self._ignore.get(EVERY_STAGE, ()), *self._ignore.get(stage, ())]
        return _core.Baseline(alpha=self._alpha, may_act=self._action != "warn", ignored=ignored, data=data)
