"""What the model is told about a run: bounded, and without the parts that only cost tokens."""

from __future__ import annotations

import re
from typing import Any

FRAME = re.compile(r'^  File "(?P<file>[^"]*)", line \d+')
# Frames of the interpreter's own library; the model can change only its own code.
LIBRARY = re.compile(r"^<frozen |/lib(?:64)?/python3|/site-packages/|/dist-packages/")


def head_and_tail(text: str, limit: int) -> str:
    """`text`, or its beginning and its end around a note of how many characters are left out; at most about `limit`."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    tail = limit - head
    return f"{text[:head]}\n[... {len(text) - limit} characters left out ...]\n{text[len(text) - tail :]}"


def trim_traceback(stderr: str) -> str:
    """Removes the frames of the standard library and of installed packages from tracebacks."""
    kept: list[str] = []
    skipping = False
    for line in stderr.splitlines():
        frame = FRAME.match(line)
        if frame:
            skipping = LIBRARY.search(frame["file"]) is not None
        elif not line.startswith("    "):  # the source lines and carets of a frame are indented deeper
            skipping = False
        if not skipping:
            kept.append(line)
    return "\n".join(kept)


def of_run(result: Any, limit: int) -> str:
    """The observation of an execution result: how it ended, stdout, trimmed stderr, files; `limit` in characters."""
    parts = [
        f"The code failed: {result.error or f'exit status {result.exit_code}'}"
        if not result.success
        else "The code ran."
    ]
    stderr = trim_traceback(result.stderr)
    if stderr.strip():
        parts.append("stderr:\n" + head_and_tail(stderr.rstrip(), limit // 2))
    if result.stdout.strip():
        parts.append("stdout:\n" + head_and_tail(result.stdout.rstrip(), limit // 2))
    if result.files:
        names = ", ".join(sorted(result.files)[:20])
        parts.append(f"files written: {names}")
    if getattr(result, "truncated", False):
        parts.append("The output was cut at the sandbox's limit: print less.")
    return "\n".join(parts)
