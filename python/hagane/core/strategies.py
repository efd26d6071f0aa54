"""How an operation is called under a retry strategy."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any

from hagane.core.rollback_types import RetryStrategy

__all__ = ["arguments_for", "called", "name_of"]

logger = logging.getLogger("hagane.core")
SIMPLE_MAX_TOKENS = 1000


def name_of(operation: Callable[..., Any]) -> str:
    """Return a name for any callable: a partial has that of its function, an object that of its class."""
    while isinstance(operation, functools.partial):
        operation = operation.func
    return str(getattr(operation, "__name__", type(operation).__name__))


async def arguments_for(
    strategy: RetryStrategy,
    kwargs: dict[str, Any],
    alternative: dict[str, Any],
    operation: Callable[..., Any],
    error: Exception | None,
) -> dict[str, Any]:
    """Return the keyword arguments of one attempt; the values are the caller's own."""
    changed = dict(kwargs)
    if strategy is RetryStrategy.SIMPLIFIED:
        if isinstance(changed.get("max_tokens"), int | float):
            changed["max_tokens"] = min(changed["max_tokens"], SIMPLE_MAX_TOKENS)
        if "temperature" in changed:
            changed["temperature"] = 0.0
    elif strategy is RetryStrategy.ALTERNATIVE:
        changed.update(alternative)
    elif strategy is RetryStrategy.HUMAN_ASSIST:
        changed.update(await _assistance(operation, error))
    return changed


async def _assistance(operation: Callable[..., Any], error: Exception | None) -> dict[str, Any]:
    """Ask a person how to go on; without approval, or nobody to ask, the operation's own error is raised."""
    from hagane.errors import InterruptError
    from hagane.hitl.interrupt import interrupt
    from hagane.hitl.kinds import InterruptType
    from hagane.hitl.types import ApprovalRequest

    name = name_of(operation)
    reason = f"{name} failed: {type(error).__name__}: {error}" if error is not None else f"{name} asks before it begins"
    try:
        request = ApprovalRequest(action=name, reason=reason)
        answer = await interrupt(request, interrupt_type=InterruptType.ESCALATION)
    except InterruptError as nobody:
        logger.warning("%s: nobody can be asked for assistance (%s)", name, nobody)
        raise (error or nobody) from nobody
    if not answer.approved:
        raise error or InterruptError(f"{name} was not approved: {answer.rejection_reason or answer.status.value}")
    return answer.modifications


async def called(
    operation: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    state: dict[str, Any],
    strategy: RetryStrategy,
) -> Any:
    """Call an operation, async or not, with what it has parameters for and nobody gave: `state`, `strategy`."""
    offered = {"state": state, "strategy": strategy}
    taken = {name: value for name, value in offered.items() if _takes(operation, name, args, kwargs)}
    result = operation(*args, **kwargs, **taken)
    return await result if inspect.isawaitable(result) else result


def _takes(operation: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    try:
        signature = inspect.signature(operation)
        parameter = signature.parameters.get(name)
        given = signature.bind_partial(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return False  # No signature, or arguments that do not fit: the call itself says so.
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return parameter is not None and parameter.kind in named and name not in given
