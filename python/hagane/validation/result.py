"""What a validator found."""

from __future__ import annotations

from dataclasses import dataclass

MOST_LINES = 50


@dataclass(frozen=True)
class Issue:
    """One thing that is wrong with an output.

    `path` is a place such as `findings[2].text`, empty for the output itself; `rule` is the name of the rule
    (`required`, `type`, `minimum`, `score`, ...); `expected` and `actual` are short texts.
    """

    path: str
    rule: str
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"{self.path or 'output'}: expected {self.expected}, got {self.actual} ({self.rule})"


@dataclass(frozen=True)
class ValidationResult:
    """The verdict on one output: `score` is None where the output has none, `warnings` do not keep it from passing."""

    passed: bool
    issues: tuple[Issue, ...] = ()
    score: float | None = None
    warnings: tuple[Issue, ...] = ()

    @property
    def feedback(self) -> str:
        """The issues as text for whoever produces the output again, a line each; empty when it passed.

        Of more than 50 the first 50 and how many there are besides: a model reads this.
        """
        lines = [str(issue) for issue in self.issues[:MOST_LINES]]
        if len(self.issues) > MOST_LINES:
            lines.append(f"... and {len(self.issues) - MOST_LINES} more issues")
        return "\n".join(lines)
