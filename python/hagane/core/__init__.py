"""Retries, circuit breakers, and checkpoints of a program's own state.

Names are AgentFlow's. Importing the package is cheap: its parts load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hagane.core.circuit_breaker import CircuitBreaker, CircuitBreakerConfig, CircuitBreakerOpenError, CircuitState
    from hagane.core.reliability import get_circuit_breaker, reliable
    from hagane.core.result_store import (
        FileResultStore,
        FlowResult,
        MemoryResultStore,
        ResultStore,
        ResultStoreManager,
    )
    from hagane.core.retry import RetryableAgent, RetryConfig
    from hagane.core.rollback_manager import (
        Checkpoint,
        CheckpointStatus,
        RetryStrategy,
        RollbackManager,
        RollbackResult,
    )
    from hagane.core.rollback_manager import RetryConfig as RollbackRetryConfig

__all__ = [
    "Checkpoint",
    "CheckpointStatus",
    "CircuitBreaker",
    "CircuitBreakerConfig",
    "CircuitBreakerOpenError",
    "CircuitState",
    "FileResultStore",
    "FlowResult",
    "MemoryResultStore",
    "ResultStore",
    "ResultStoreManager",
    "RetryConfig",
    "RetryStrategy",
    "RetryableAgent",
    "RollbackManager",
    "RollbackResult",
    "RollbackRetryConfig",
    "get_circuit_breaker",
    "reliable",
]

_HOMES = {
    "Checkpoint": "rollback_manager",
    "CheckpointStatus": "rollback_manager",
    "CircuitBreaker": "circuit_breaker",
    "CircuitBreakerConfig": "circuit_breaker",
    "CircuitBreakerOpenError": "circuit_breaker",
    "CircuitState": "circuit_breaker",
    "FileResultStore": "result_store",
    "FlowResult": "result_store",
    "MemoryResultStore": "result_store",
    "ResultStore": "result_store",
    "ResultStoreManager": "result_store",
    "RetryConfig": "retry",
    "RetryStrategy": "rollback_manager",
    "RetryableAgent": "retry",
    "RollbackManager": "rollback_manager",
    "RollbackResult": "rollback_manager",
    "RollbackRetryConfig": "rollback_manager",
    "get_circuit_breaker": "reliability",
    "reliable": "reliability",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    original = name.removeprefix("Rollback") if name == "RollbackRetryConfig" else name
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), original)
    globals()[name] = value
    return value
