"""The command line: what all commands share. Each part adds its own commands from a module beside what they command.

The exit statuses: 0 success; 1 the run ended without success; 2 something about the input, the output or this machine
must be put right first (one line on standard error says what); 130 interrupted.
"""

from __future__ import annotations

__all__ = ["BAD_INPUT", "INTERRUPTED", "OK", "UNSUCCESSFUL"]

OK, UNSUCCESSFUL, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
