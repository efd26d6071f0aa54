"""The embedded default provider: Linux namespaces, Landlock and seccomp, no server, no root."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from hagane import _core
from hagane.errors import SandboxError, SandboxUnavailable
from hagane.observability import standard, tracing
from hagane.sandbox.base import ExecutionResult, Isolation, ResourceLimits, SandboxConfig, SandboxProvider, Usage
from hagane.sandbox.interpreter import current_interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEFAULT_DISK_MB = 256
# Loads the extension alone, without site-packages and without the package around it: about 9 ms.
_BOOT = (
    "import sys; from _frozen_importlib import ModuleSpec, _load; "
    "from _frozen_importlib_external import ExtensionFileLoader as L; "
    "_load(ModuleSpec('_core', L('_core', sys.argv[1]), origin=sys.argv[1])).supervise_sandboxes(int(sys.argv[2]))"
)


class LocalProvider(SandboxProvider):
    """Runs code on this machine, isolated by the kernel.

    Raises:
        SandboxUnavailable: at construction on anything but Linux; at the first run where the kernel refuses a step.
        ValueError: a configuration that this provider cannot honour.
    """

    name = "local"

    def __init__(self, config: SandboxConfig | None = None) -> None:
        super().__init__(config)
        if sys.platform != "linux":
            raise SandboxUnavailable(
                f"no local sandbox here: it needs Linux and this is {sys.platform}. "
                "Run it in a Linux container or virtual machine"
            )
        _check(self._config)
        executable, trees = current_interpreter()
        self._command = [sys.executable, "-I", "-S", "-c", _BOOT, _core.__file__]
        self._core = _core.LocalSandbox(self._command, executable, trees)
        standard.declare_sandbox(self.name)

    async def execute(
        self,
        code: str,
        *,
        timeout: float | None = None,
        packages: list[str] | None = None,
        env: dict[str, str] | None = None,
        files: dict[str, bytes] | None = None,
    ) -> ExecutionResult:
        """See `SandboxProvider.execute`. Cancelling the awaiting task kills the run at once.

        Raises:
            ValueError: a bad file name, environment variable, timeout, or packages.
            SandboxUnavailable: the kernel refuses a step; the message names it and the remedy.
            SandboxClosedError: after `close()`.
            ProviderError: the sandbox broke during the run.
        """
        request = self._request(code, timeout, packages, env, files)
        with tracing.sandbox_span(self.name) as span:
            with self._counting_failures():
                outcome = await self._core.execute(request)
            return self._result(outcome, span)

    def run(
        self,
        code: str,
        *,
        timeout: float | None = None,
        packages: list[str] | None = None,
        env: dict[str, str] | None = None,
        files: dict[str, bytes] | None = None,
    ) -> ExecutionResult:
        """See `SandboxProvider.run`; needs no event loop. Control-C kills the run."""
        request = self._request(code, timeout, packages, env, files)
        with tracing.sandbox_span(self.name) as span:
            with self._counting_failures():
                outcome = self._core.execute_blocking(request)
            return self._result(outcome, span)

    @contextmanager
    def _counting_failures(self) -> Iterator[None]:
        """Count a run that ends without a result: the sandbox failed, or nobody waits for it any more."""
        started = time.monotonic()
        try:
            yield
        except BaseException as error:
            outcome = "sandbox_error" if isinstance(error, SandboxError) else "cancelled"
            standard.sandbox_run(self.name, outcome, time.monotonic() - started)
            raise

    async def close(self) -> None:
        """Kill what runs and refuse what comes."""
        self._core.close()

    def _request(
        self,
        code: str,
        timeout: float | None,
        packages: list[str] | None,
        env: Mapping[str, str] | None,
        files: Mapping[str, bytes] | None,
    ) -> _core.SandboxRequest:
        if packages:
            raise ValueError("packages: the local provider has no package layers yet; install them beside hagane")
        limits = self._config.resource_limits
        memory_mb = limits.max_memory_mb if limits else self._config.memory_mb
        disk_mb = limits.max_disk_mb if limits else _DEFAULT_DISK_MB
        return _core.SandboxRequest(
            code,
            env=_checked_environment(env or {}),
            files=_checked_files(files or {}),
            timeout=_checked_timeout(self._config.timeout if timeout is None else timeout),
            memory=memory_mb << 20,
            disk=disk_mb << 20,
        )

    def _result(self, outcome: _core.SandboxOutcome, span: tracing.Span) -> ExecutionResult:
        error = _error(outcome)
        ending = _OUTCOMES.get(outcome.ending) or ("error" if error else "ok")
        standard.sandbox_run(self.name, ending, outcome.seconds)
        span.set({"hagane.sandbox.outcome": ending, "process.exit.code": outcome.exit_code})
        if ending != "ok":
            span.fail(ending)
        level, mechanisms, unenforced = outcome.isolation
        return ExecutionResult(
            stdout=outcome.stdout.decode("utf-8", "backslashreplace"),
            stderr=outcome.stderr.decode("utf-8", "backslashreplace"),
            exit_code=outcome.exit_code,
            duration_ms=outcome.seconds * 1000,
            files=outcome.files,
            error=error,
            truncated=outcome.truncated,
            isolation=Isolation(level, tuple(mechanisms), tuple(unenforced)),
            usage=Usage(outcome.cpu_seconds, outcome.peak_memory),
            skipped=outcome.skipped,
        )


_OUTCOMES = {
    "timeout": "timeout",
    "memory_limit": "memory_limit",
    "output_limit": "output_limit",
    "signalled": "killed",
}


_VERDICTS = {"Timeout", "MemoryLimit", "OutputLimit", "ProcessLimit", "DiskLimit", "Killed"}


def _error(outcome: _core.SandboxOutcome) -> str | None:
    """What went wrong, beginning with its kind: from the kernel, but for the name of an uncaught exception."""
    if outcome.ending == "timeout":
        return f"Timeout: the code ran for {outcome.seconds:.3g} s and was killed"
    if outcome.ending == "memory_limit":
        return "MemoryLimit: the code and its children used more memory than allowed"
    if outcome.ending == "output_limit":
        return "OutputLimit: the code wrote more output than allowed"
    if outcome.signal is not None:
        return f"Killed: by signal {_signal_name(outcome.signal)}"
    if outcome.uncaught is not None:
        kind, message = outcome.uncaught
        if kind in _VERDICTS:
            # The name is the code's own choice; a verdict of the kernel must not be had by choosing its name.
            kind = f"uncaught {kind}"
        return f"{kind}: {message}" if message else kind
    return None


def _signal_name(number: int) -> str:
    try:
        return f"{signal.Signals(number).name} ({number})"
    except ValueError:
        return str(number)


def _check(config: SandboxConfig) -> None:
    limits = config.resource_limits
    if config.memory_mb <= 0 or (limits and min(limits.max_memory_mb, limits.max_disk_mb) <= 0):
        raise ValueError("memory and disk limits are in MiB and must be positive")
    _checked_timeout(config.timeout)
    if limits is None:
        return
    if limits.network_enabled or limits.allowed_hosts:
        raise ValueError("the local provider gives no network yet: leave network_enabled and allowed_hosts unset")
    if limits.max_cpu_percent != ResourceLimits().max_cpu_percent:
        raise ValueError("the local provider cannot limit max_cpu_percent without a cgroup; leave it at its default")


def _checked_timeout(seconds: float) -> timedelta:
    if not math.isfinite(seconds) or not 0 < seconds <= 86_400:
        raise ValueError(f"timeout is {seconds!r}; use seconds, more than 0 and at most one day (86400)")
    return timedelta(seconds=seconds)


def _checked_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    for name, content in files.items():
        # `bytes(5)` would be five NULs, so an int must not get that far.
        if not isinstance(name, str) or not isinstance(content, (bytes, bytearray, memoryview)):
            raise TypeError(f"files: {name!r} is {type(content).__name__}; names are str and contents bytes")
    return {name: bytes(content) for name, content in files.items()}


def _checked_environment(env: Mapping[str, str]) -> dict[str, str]:
    for name, value in env.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"env: {name!r} is {type(value).__name__}; names and values are str")
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise ValueError(f"env: {name!r} is not a name=value pair that a process can have")
    return dict(env)
