"""Taking and restoring a snapshot beside copy.deepcopy: CPU time."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from hagane._core import Blob

from .clock import Row, alternately
from .states import conversation

SIZES = ((100_000, "100 KB", 40, 8.0), (10_000_000, "10 MB", 1, 10.0))


def rows() -> Iterator[Row]:
    for size, name, times, least in SIZES:
        state = {"messages": conversation(size), "plan": {"steps": list(range(20))}, "score": 0.5}
        names: dict[str, object] = {"Blob": Blob, "deepcopy": copy.deepcopy, "state": state, "blob": Blob(state)}
        ours, theirs = alternately("Blob(state)", "deepcopy(state)", names, times)
        yield Row(f"snapshot of {name}", ours * 1e6, theirs * 1e6, "copy.deepcopy", "us", least)
        ours, theirs = alternately("blob.value()", "deepcopy(state)", names, times)
        yield Row(f"fresh copy out of a snapshot of {name}", ours * 1e6, theirs * 1e6, "copy.deepcopy", "us")
