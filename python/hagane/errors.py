"""Every exception that hagane raises on purpose, in one tree.

A class also inherits the builtin that fits, so `except ValueError` keeps working in programs that do not know hagane.
"""

from __future__ import annotations

__all__ = [
    "ApprovalError",
    "BudgetSpent",
    "CheckpointError",
    "CircuitBreakerOpenError",
    "ForkError",
    "HaganeError",
    "InternalError",
    "InterruptError",
    "InterruptTimeoutError",
    "LeaseHeld",
    "LeaseLost",
    "MetricError",
    "MetricsDirectoryError",
    "MetricsPushError",
    "MetricsServerError",
    "ModelError",
    "PipelineError",
    "ProviderError",
    "SandboxClosedError",
    "SandboxError",
    "SandboxStartError",
    "SandboxUnavailable",
    "SnapshotError",
    "StoreConnectionError",
    "StoreCorrupt",
    "StoreError",
    "StoreVersionError",
    "UnknownRun",
    "UnknownStage",
]


class HaganeError(Exception):
    """Base of the tree."""


class ForkError(HaganeError, RuntimeError):
    """Something that cannot cross `os.fork()` was used in the child."""


class InternalError(HaganeError, RuntimeError):
    """A fault of hagane itself, such as a panic in its core; please report it."""


class SandboxError(HaganeError):
    """The sandbox itself failed; the user's code is not at fault."""


class SandboxUnavailable(SandboxError):
    """No sandbox of the demanded strength can be had here; the message names the step and the remedy."""


class SandboxStartError(SandboxError):
    """A sandbox exists here but this one did not start."""


class ProviderError(SandboxError):
    """The provider broke during a run (daemon gone, protocol violated, connection lost)."""


class SandboxClosedError(SandboxError, RuntimeError):
    """A call on a sandbox or session that is closed."""


class PipelineError(HaganeError):
    """A pipeline cannot be built or continued as asked."""


class BudgetSpent(PipelineError):
    """A stage or a run used, or wants to use, more tokens or money than it may."""


class UnknownStage(PipelineError, LookupError):
    """A stage name that the pipeline does not have, or that has not run yet."""


class UnknownRun(PipelineError, LookupError):
    """A run or thread that the store does not know."""


class CheckpointError(HaganeError):
    """A checkpoint cannot be taken or read."""


class SnapshotError(CheckpointError, TypeError):
    """A value cannot be stored without loss; the message gives its path."""


class StoreError(CheckpointError):
    """The checkpoint store failed; the run can be resumed when it is back."""


class StoreCorrupt(StoreError):
    """The store's file is damaged; it was left as it is."""


class StoreVersionError(StoreError):
    """The store was written by a newer hagane."""


class LeaseHeld(StoreError):
    """Somebody else drives this thread and lives; nothing was written."""


class LeaseLost(StoreError):
    """Another process took this thread over; nothing was written."""


class MetricError(HaganeError, ValueError):
    """A metric name, label, value or registration that the exposition format does not allow."""


class ModelError(HaganeError):
    """A language model could not be reached or gave no usable answer."""


class MetricsDirectoryError(HaganeError, OSError):
    """The directory of multi-process metrics cannot be used; the message names it, `errno` is the system's."""


class MetricsServerError(HaganeError, OSError):
    """The metrics listener cannot be opened; the message names the port and the remedy, `errno` is the system's."""


class MetricsPushError(HaganeError, OSError):
    """Metrics could not be pushed; `status` is the HTTP status of the last answer, None if there was none."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class StoreConnectionError(StoreError, ConnectionError):
    """The server that keeps checkpoints cannot be reached or does not let us in; the message says where."""


class InterruptError(HaganeError):
    """An interrupt that cannot be made or answered as asked."""


class InterruptTimeoutError(InterruptError, TimeoutError):
    """Nobody answered an interrupt in time."""


class ApprovalError(HaganeError):
    """A request for approval that cannot be made or decided as asked."""


class CircuitBreakerOpenError(HaganeError):
    """The circuit breaker lets no call through now.

    Attributes:
        breaker_name: The breaker.
        remaining_seconds: How long until it lets calls through to try; 0 if as many as may are under way.
    """

    def __init__(self, breaker_name: str, remaining_seconds: float) -> None:
        self.breaker_name = breaker_name
        self.remaining_seconds = remaining_seconds
        super().__init__(f"Circuit breaker '{breaker_name}' is open. Retry after {remaining_seconds:.1f}s")

    def __reduce__(self) -> tuple[type[CircuitBreakerOpenError], tuple[str, float]]:
        return type(self), (self.breaker_name, self.remaining_seconds)
