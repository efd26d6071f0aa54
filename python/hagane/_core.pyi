"""Types of the compiled module. One section per file of src/bindings."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, final

__version__: str

# --- log and runtime -------------------------------------------------------------------------------------------

# --- metrics ---------------------------------------------------------------------------------------------------

# --- validation ------------------------------------------------------------------------------------------------

@final
class StageRules:
    """The rules of one stage."""

    def __new__(
        cls,
        *,
        required: Sequence[str],
        schema: Mapping[str, Any] | None = None,
        score_field: str | None = None,
        minimum: float | None = None,
    ) -> StageRules: ...
    def check(self, output: Any) -> tuple[list[tuple[str, str, str, str]], float | None]:
        """Everything that is wrong with `output` (path, rule, expected, actual), and its score."""

def judge_score(score: Any, threshold: float) -> str:
    """`passed`, `failed` or `error` for a score against a threshold."""

# --- rollback --------------------------------------------------------------------------------------------------

@final
class Blob:
    """One encoded value: an immutable deep copy that is stored under the address of its content."""

    def __new__(cls, value: Any, path: str = "state") -> Blob: ...
    def value(self) -> Any:
        """A fresh copy of the value."""
    @property
    def address(self) -> str:
        """BLAKE3 of the content, hexadecimal."""
    @property
    def size(self) -> int:
        """Bytes that it takes in a store."""

@final
class Action:
    """What the driver of a plan is to do next."""

    kind: str
    stage: int | None
    attempt: int | None
    check: int | None
    origin: int | None
    partial: bool

@final
class Plan:
    """A run's progress under its settings."""

    def __new__(
        cls,
        *,
        stages: Sequence[str],
        checks: Sequence[tuple[str, Sequence[str], int | None, int, int]],
        final_checks: bool,
        max_starts: int,
        state: bytes | None = None,
    ) -> Plan: ...
    def begin(self) -> Action: ...
    def judged(self, failures: Sequence[int], fingerprint: str | None = None) -> Action: ...
    def accepted(self) -> Action: ...
    def rollback_to(self, stage: str) -> int: ...
    def state(self) -> bytes: ...
    @property
    def attempts(self) -> list[int]: ...
    @property
    def position(self) -> int | None: ...

@final
class RunRecord:
    """One run in a listing. Times are microseconds since 1970."""

    run_id: str
    thread_id: str
    pipeline: str
    version: str
    status: str
    started_at: int
    updated_at: int

@final
class Head:
    """A thread's newest run and checkpoint."""

    run: RunRecord
    epoch: int
    checkpoint: int | None
    last_seq: int

class Store:
    """Keeps runs, checkpoints and events."""

    @property
    def kind(self) -> str: ...
    def begin(
        self,
        *,
        thread_id: str,
        run_id: str,
        pipeline: str,
        version: str,
        at: int,
        events: Sequence[tuple[int, str, int, Blob]],
        state: Sequence[tuple[str, Blob]],
        label: str = "",
    ) -> tuple[int, int | None, int]: ...
    def adopt(self, thread_id: str) -> Head: ...
    def head(self, thread_id: str) -> Head: ...
    def commit(
        self,
        *,
        thread_id: str,
        run_id: str,
        epoch: int,
        status: str,
        at: int,
        events: Sequence[tuple[int, str, int, Blob]],
        state: Sequence[tuple[str, Blob]] | None = None,
        label: str = "",
    ) -> tuple[int | None, int]: ...
    def load(self, checkpoint: int) -> dict[str, Blob]: ...
    def events(self, run_id: str) -> list[tuple[int, str, int, Any]]: ...
    def runs(self, limit: int = 20) -> list[RunRecord]: ...
    def close(self) -> None: ...

@final
class MemoryStore(Store):
    """Checkpoints in this process's memory."""

    def __new__(cls) -> MemoryStore: ...

@final
class SqliteStore(Store):
    """Checkpoints in one SQLite file that several processes may share."""

    def __new__(cls, path: str | PathLike[str]) -> SqliteStore: ...
    @property
    def path(self) -> Path: ...

def fingerprint(parts: Sequence[str]) -> str:
    """BLAKE3 over texts, hexadecimal."""

# --- sandbox ---------------------------------------------------------------------------------------------------
