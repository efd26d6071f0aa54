"""Types of the compiled module. One section per file of src/bindings."""

from collections.abc import Awaitable
from datetime import timedelta
from os import PathLike
from typing import final

__file__: str
__version__: str

# --- log and runtime -------------------------------------------------------------------------------------------

# --- metrics ---------------------------------------------------------------------------------------------------

# --- validation ------------------------------------------------------------------------------------------------

# --- rollback --------------------------------------------------------------------------------------------------

# --- sandbox ---------------------------------------------------------------------------------------------------

@final
class LocalSandbox:
    def __new__(
        cls, command: list[str], executable: str | PathLike[str], trees: list[str] | list[PathLike[str]]
    ) -> LocalSandbox: ...
    def execute(self, request: SandboxRequest) -> Awaitable[SandboxOutcome]: ...
    def execute_blocking(self, request: SandboxRequest) -> SandboxOutcome: ...
    def close(self) -> None: ...

@final
class SandboxRequest:
    def __new__(
        cls,
        code: str,
        *,
        env: dict[str, str],
        files: dict[str, bytes],
        timeout: timedelta,
        memory: int,
        disk: int,
    ) -> SandboxRequest: ...

@final
class SandboxOutcome:
    @property
    def ending(self) -> str: ...
    @property
    def exit_code(self) -> int: ...
    @property
    def signal(self) -> int | None: ...
    @property
    def stdout(self) -> bytes: ...
    @property
    def stderr(self) -> bytes: ...
    @property
    def truncated(self) -> bool: ...
    @property
    def files(self) -> dict[str, bytes]: ...
    @property
    def skipped(self) -> list[tuple[str, str]]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def cpu_seconds(self) -> float: ...
    @property
    def peak_memory(self) -> int: ...
    @property
    def isolation(self) -> tuple[str, list[str], list[str]]: ...
    @property
    def uncaught(self) -> tuple[str, str] | None: ...

def supervise_sandboxes(host: int) -> None: ...
