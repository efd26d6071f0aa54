"""What all providers share: the configuration, the result, and the interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass
class ResourceLimits:
    """Limits that the caller sets explicitly: one that the provider cannot enforce is an error, not a hope.

    `max_cpu_percent` is of one processor; sizes are in MiB; `allowed_hosts` are names for HTTP(S) only.
    """

    max_cpu_percent: float = 100.0
    max_memory_mb: int = 1024
    max_disk_mb: int = 1024
    network_enabled: bool = False
    allowed_hosts: list[str] = field(default_factory=list)


@dataclass
class ResourceUsage:
    """A measurement of a running sandbox: percent of one processor, MiB, bytes."""

    cpu_percent: float = 0.0
    memory_mb: float = 0.0
    disk_mb: float = 0.0
    network_rx_bytes: int = 0
    network_tx_bytes: int = 0
    measured_at: datetime = field(default_factory=_now)

    def to_dict(self) -> dict[str, Any]:
        """All fields, the time in ISO 8601."""
        return {**vars(self), "measured_at": self.measured_at.isoformat()}


@dataclass
class SandboxConfig:
    """How a sandbox is made. `timeout` is in seconds of wall time of the code alone; `memory_mb` in MiB.

    `image`, `server_url` and `api_key` concern the providers that have them; `extra` is for provider options.
    """

    timeout: float = 60.0
    memory_mb: int = 1024
    cpus: int = 1
    image: str = "python"
    server_url: str | None = None
    api_key: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    auto_stop_seconds: int = 0
    auto_archive_seconds: int = 0
    resource_limits: ResourceLimits | None = None


@dataclass(frozen=True)
class Isolation:
    """What held the code in.

    `level` is one of SECURITY.md's; `unenforced` names default limits that could not be enforced here.
    """

    level: str
    mechanisms: tuple[str, ...] = ()
    unenforced: tuple[str, ...] = ()


@dataclass(frozen=True)
class Usage:
    """What one run used: CPU seconds of the whole tree, and its highest memory in bytes."""

    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0


@dataclass
class ExecutionResult(Mapping[str, Any]):
    """What a run gave back, readable as attributes and as a mapping.

    As a mapping it has the keys `stdout`, `stderr`, `exit_code` and `files`. `exit_code` is 124 for a timeout and
    128 + n for signal n. `error` is None or begins with its kind: `Timeout`, `MemoryLimit`, `OutputLimit`, `Killed`, or
    the class name of an uncaught exception, which is the code's own word (one that is called as a kind reads
    `uncaught Timeout`). `files` are those that the code made or changed in its working directory; `skipped` names those
    that did not come back, and why.
    """

    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0
    duration_ms: float = 0.0
    files: dict[str, bytes] = field(default_factory=dict)
    error: str | None = None
    executed_at: datetime = field(default_factory=_now)
    truncated: bool = False
    isolation: Isolation | None = None
    usage: Usage = field(default_factory=Usage)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    _KEYS = ("stdout", "stderr", "exit_code", "files")

    @property
    def success(self) -> bool:
        """Whether the code ended with status 0 and nothing went wrong."""
        return self.exit_code == 0 and self.error is None

    @property
    def output(self) -> str:
        """Standard output, then standard error under a heading if there is any."""
        parts = [self.stdout, f"[stderr]\n{self.stderr}" if self.stderr else ""]
        return "\n".join(part for part in parts if part)

    def to_dict(self) -> dict[str, Any]:
        """The result without its files, ready for JSON."""
        return {
            "stdout": self.stdout,
            "stderr": self.stderr,
            "exit_code": self.exit_code,
            "duration_ms": self.duration_ms,
            "success": self.success,
            "error": self.error,
            "executed_at": self.executed_at.isoformat(),
        }

    def __getitem__(self, key: str) -> Any:
        if key not in self._KEYS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._KEYS)

    def __len__(self) -> int:
        return len(self._KEYS)

    def __bool__(self) -> bool:
        # A mapping of four keys is always true; so is a result, whatever became of the code. Ask `.success`.
        return True


class SandboxProvider(ABC):
    """Something that runs code in isolation."""

    def __init__(self, config: SandboxConfig | None = None) -> None:
        self._config = config or SandboxConfig()

    @property
    def config(self) -> SandboxConfig:
        """The configuration that this provider was made with."""
        return self._config

    @abstractmethod
    async def execute(
        self,
        code: str,
        *,
        timeout: float | None = None,
        packages: list[str] | None = None,
        env: dict[str, str] | None = None,
        files: dict[str, bytes] | None = None,
    ) -> ExecutionResult:
        """Run `code` as `__main__` in an empty working directory that holds only `files`.

        `timeout` is in seconds (None: the configuration's). What the code does, even if it fails, is in the result.

        Raises:
            ValueError: a file name that is not a plain relative path, or a limit that makes no sense.
            SandboxError: the sandbox itself failed.
        """

    def run(
        self,
        code: str,
        *,
        timeout: float | None = None,
        packages: list[str] | None = None,
        env: dict[str, str] | None = None,
        files: dict[str, bytes] | None = None,
    ) -> ExecutionResult:
        """`execute` for scripts and notebooks: blocks this thread until the run has ended. Raises the same.

        This default runs `execute` in an event loop on a thread of its own, so it works inside a running loop too.
        """
        # Not at the top: importing the package must not load asyncio.
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        call = self.execute(code, timeout=timeout, packages=packages, env=env, files=files)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="hagane-run") as thread:
            return thread.submit(asyncio.run, call).result()

    async def close(self) -> None:
        """Kill what runs and refuse what comes. Doing it twice is fine."""
        return

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.close()
