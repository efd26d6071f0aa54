"""What `install()` did, and what it is still waiting for."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType

__all__ = ["InstallReport"]


@dataclass
class InstallReport:
    """What is replaced at this moment; the object is kept up to date when an awaited module is imported.

    `replaced` names symbols of AgentFlow ("agentflow.observability.metrics.Counter"), `rebound` the other places where
    modules had bound them, `awaited` modules that are not imported yet, `skipped` symbols that were left alone, each
    with the reason. As a context manager it uninstalls everything at the
    end of the block.
    """

    parts: tuple[str, ...] = ()
    replaced: list[str] = field(default_factory=list)
    rebound: list[str] = field(default_factory=list)
    awaited: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"hagane.install: {', '.join(self.parts)}"]
        lines += [f"  replaced {name}" for name in self.replaced]
        lines += [f"  rebound  {name}" for name in self.rebound]
        lines += [f"  awaits   {name}" for name in self.awaited]
        lines += [f"  skipped  {name}: {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines)

    def __enter__(self) -> InstallReport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from hagane.compat.installing import uninstall

        uninstall()
