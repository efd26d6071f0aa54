"""The demonstration: a table is loaded, analysed by a CodeActAgent, judged by gates, and reported.

It is a program, not a library: run it with `hagane demo`.
"""

from __future__ import annotations

__all__: list[str] = []
