"""The record of one CodeAct run: its steps, its budget, its conversation."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from hagane.agents.llm.base import Usage


@dataclass
class Step:
    """One reply of the model and what came of it.

    `status`: no_code | syntax_error | rejected | failed | no_answer | bad_answer | answered.
    """

    number: int
    code: str | None
    status: str
    observation: str
    duration_ms: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, fit for a checkpoint."""
        return {
            "step": self.number,
            "code": self.code,
            "status": self.status,
            "observation": self.observation,
            "duration_ms": self.duration_ms,
        }


@dataclass
class Transcript:
    """Everything that one run has said, done and spent. `messages` is only ever appended to."""

    messages: list[dict[str, str]]
    files: dict[str, bytes]
    deadline: float | None
    started: float = field(default_factory=time.monotonic)
    steps: list[Step] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    model_calls: int = 0
    sandbox_runs: int = 0
    output: str = ""
    answer: Any = None
    answered: bool = False

    def say(self, role: str, content: str) -> None:
        """Appends a message."""
        self.messages.append({"role": role, "content": content})

    def remaining(self) -> float | None:
        """Seconds left of the run's budget, at least 0; None where there is no limit."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def last_code(self) -> str | None:
        """The newest program of the run."""
        return next((step.code for step in reversed(self.steps) if step.code is not None), None)

    def result(self, error: str | None) -> dict[str, Any]:
        """The dict that `CodeActAgent.run` gives back."""
        return {
            "output": self.output,
            "code": self.last_code(),
            "error": error,
            "answer": self.answer,
            "steps": [step.as_dict() for step in self.steps],
            "usage": {
                "input_tokens": self.usage.input_tokens,
                "output_tokens": self.usage.output_tokens,
                "model_calls": self.model_calls,
                "sandbox_runs": self.sandbox_runs,
                "seconds": time.monotonic() - self.started,
            },
            "files": dict(self.files),
        }
