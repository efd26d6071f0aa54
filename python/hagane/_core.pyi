"""Types of the compiled module. One section per file of src/bindings."""

from collections.abc import Awaitable

__version__: str

# --- log and runtime -------------------------------------------------------------------------------------------

def _flush_logs() -> None: ...
def _emit_logs(level: str, count: int) -> None: ...
def _sleep(seconds: float) -> Awaitable[None]: ...
def _sleep_sync(seconds: float) -> None: ...
def _shutdown_runtime() -> None: ...

# --- metrics ---------------------------------------------------------------------------------------------------

# --- validation ------------------------------------------------------------------------------------------------

# --- rollback --------------------------------------------------------------------------------------------------

# --- sandbox ---------------------------------------------------------------------------------------------------
