"""OpenTelemetry spans, for programs that use OpenTelemetry; for all others they cost one dictionary lookup.

Nothing here imports OpenTelemetry: a program that wants traces has imported its API to configure it, and before that no
span could go anywhere. No function here raises on account of tracing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any

__all__ = [
    "Span",
    "agent_span",
    "current_trace_exemplar",
    "is_on",
    "sandbox_span",
    "span",
    "stage_span",
    "start_agent_span",
    "start_span",
    "tool_span",
    "use",
    "workflow_span",
]

Attributes = Mapping[str, Any]

API = "opentelemetry.trace"
"""The module whose presence means that somebody traces."""
_SCOPE = "hagane"
SPANS_ITSELF = "__hagane_span__"
"""Set on a function that opens a span of its own for each run, so that its caller need not."""


class Span:
    """A started span, or nothing where there is no OpenTelemetry; `end` ends it once."""

    __slots__ = ("_otel",)

    def __init__(self, otel: Any = None) -> None:
        self._otel = otel

    def set(self, attributes: Attributes) -> None:
        """Add attributes; those that are None are left out."""
        if self._otel is None:
            return
        try:
            self._otel.set_attributes({name: value for name, value in attributes.items() if value is not None})
        except Exception:  # A value of an odd type: the traced program must not notice.
            return

    def fail(self, error: BaseException | str) -> None:
        """Record what went wrong: an exception, or the kind of error as a word."""
        if self._otel is None:
            return
        try:
            kind = error if isinstance(error, str) else type(error).__name__
            self._otel.set_attribute("error.type", kind)
            if isinstance(error, BaseException):
                self._otel.record_exception(error)
            trace = sys.modules[API]
            text = error if isinstance(error, str) else f"{kind}: {error}"
            self._otel.set_status(trace.Status(trace.StatusCode.ERROR, text[:500]))
        except Exception:
            return

    def end(self) -> None:
        """End the span; its duration is until here."""
        if self._otel is None:
            return
        try:
            self._otel.end()
        except Exception:
            return


NO_SPAN = Span()


def is_on() -> bool:
    """Whether a span would go anywhere, or one is current: packages that only load the API do not make it so."""
    trace = sys.modules.get(API)
    try:
        return trace is not None and (_has_provider(trace) or trace.get_current_span() is not trace.INVALID_SPAN)
    except Exception:
        return False


_environment_was_asked = False


def _has_provider(trace: Any) -> bool:
    """Whether the program has given the API a provider, by a call or by the environment."""
    global _environment_was_asked
    # The API reads the environment each time it is asked while there is none, which costs more than a run's metrics.
    if vars(trace).get("_TRACER_PROVIDER", trace) is None and _environment_was_asked:
        return False
    _environment_was_asked = True
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def start_span(name: str, attributes: Attributes | None = None, *, kind: str = "INTERNAL") -> Span:
    """Start a span below the current one without making it current; the caller ends it. `kind`: INTERNAL or CLIENT."""
    trace = sys.modules.get(API)
    if trace is None:
        return NO_SPAN
    try:
        if not _has_provider(trace):
            return NO_SPAN
        given = {key: value for key, value in (attributes or {}).items() if value is not None}
        return Span(trace.get_tracer(_SCOPE).start_span(name, kind=trace.SpanKind[kind], attributes=given))
    except Exception:  # A half-imported API, or a broken provider.
        return NO_SPAN


class use:  # noqa: N801  a context manager
    """Make `span` the current one for the length of a `with`, in this task or thread and those it starts."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._token: Any = None

    def __enter__(self) -> Span:
        if self._span._otel is not None:
            try:
                context, trace = sys.modules["opentelemetry.context"], sys.modules[API]
                self._token = context.attach(trace.set_span_in_context(self._span._otel))
            except Exception:
                self._token = None
        return self._span

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._token is not None:
            sys.modules["opentelemetry.context"].detach(self._token)


class span(use):  # noqa: N801  a context manager
    """Open a span around a `with` block: started, current, marked with the exception that leaves it, and ended."""

    __slots__ = ()

    def __init__(self, name: str, attributes: Attributes | None = None, *, kind: str = "INTERNAL") -> None:
        super().__init__(start_span(name, attributes, kind=kind))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        if error is not None:
            self._span.fail(error)
        self._span.end()


def start_agent_span(agent: str) -> Span:
    """Start the span of one run of `agent`, with the gen_ai attributes of an agent; the caller ends it."""
    return start_span(f"invoke_agent {agent}", _agent_names(agent)) if API in sys.modules else NO_SPAN


def agent_span(agent: str) -> span:
    """Open a span of one run of `agent`, with the gen_ai attributes of an agent."""
    return span(f"invoke_agent {agent}", _agent_names(agent))


def _agent_names(agent: str) -> dict[str, str]:
    return {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": agent}


def workflow_span(pipeline: str, run_id: str) -> Span:
    """Start the span of one run of a pipeline; the caller ends it."""
    names = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": pipeline, "hagane.run.id": run_id}
    return start_span(f"invoke_workflow {pipeline}", names)


def stage_span(stage: str, attempt: int) -> span:
    """Open a span of one attempt of a stage, `attempt` from 1."""
    return span(f"stage {stage}", {"hagane.stage.name": stage, "hagane.stage.attempt": attempt})


def tool_span(tool: str) -> span:
    """Open a span of one use of a tool by a model."""
    names = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool, "gen_ai.tool.type": "function"}
    return span(f"execute_tool {tool}", names)


def sandbox_span(provider: str) -> span:
    """Open a span of one run of code in a sandbox."""
    return span(f"sandbox {provider}", {"hagane.sandbox.provider": provider})


def current_trace_exemplar() -> dict[str, str] | None:
    """Return {"trace_id", "span_id"} (hexadecimal) of the current span if it is sampled, else None: an exemplar."""
    trace = sys.modules.get(API)
    if trace is None:
        return None
    try:
        context = trace.get_current_span().get_span_context()
        if not context.is_valid or not context.trace_flags.sampled:
            return None
        return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
    except Exception:
        return None
