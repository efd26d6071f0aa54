r"""Run untrusted Python code where it can do no harm.

```python
from hagane.sandbox import get_sandbox

async with get_sandbox() as sandbox:
    result = await sandbox.execute("print(6 * 7)", timeout=10.0)
    assert result["stdout"] == "42\n"
```
"""

from __future__ import annotations

from hagane.sandbox.base import (
    ExecutionResult,
    Isolation,
    ResourceLimits,
    ResourceUsage,
    SandboxConfig,
    SandboxProvider,
    Usage,
)
from hagane.sandbox.factory import get_sandbox
from hagane.sandbox.local import LocalProvider

__all__ = [
    "ExecutionResult",
    "Isolation",
    "LocalProvider",
    "ResourceLimits",
    "ResourceUsage",
    "SandboxConfig",
    "SandboxProvider",
    "Usage",
    "get_sandbox",
]
