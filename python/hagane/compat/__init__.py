"""hagane under a program written for AgentFlow: `install()` puts it there, `uninstall()` takes it away.

```python
import hagane

hagane.install()  # before or after AgentFlow is imported; nothing else changes

from agentflow.sandbox import get_sandbox  # gives the local sandbox now
```

Nothing here imports AgentFlow: what is not imported yet is replaced when it is.
"""

from __future__ import annotations

from hagane.compat.installing import PARTS, install, uninstall
from hagane.compat.report import InstallReport

__all__ = ["PARTS", "InstallReport", "install", "uninstall"]
