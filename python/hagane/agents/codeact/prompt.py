"""The words that the model gets: a system prompt that never changes, and one message per task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

ANSWER_FILE = "answer.json"

SYSTEM_PROMPT = f"""\
You solve tasks by writing Python programs. Reply with one program in a ```python block; it is run in a sandbox and you
are shown what came of it. Each program starts afresh as __main__ in a directory that holds the files of the task and
those that your earlier successful programs wrote. There is no network and nothing but the standard library.
When you know the answer, write it as JSON to the file {ANSWER_FILE!r} in the working directory:
    import json
    with open({ANSWER_FILE!r}, "w", encoding="utf-8") as handle:
        json.dump(answer, handle)
A run that succeeds and leaves that file ends the task."""

NO_CODE = "No program was found in your reply. Reply with one program in a ```python block."
NO_ANSWER = f"The task is not finished: when you know the answer, write it as JSON to {ANSWER_FILE!r}."
REJECTED = "This program was not approved and did not run. Reply with another one that keeps to the task and its rules."
LAST_STEP = f"This is your last program: it must write the answer to {ANSWER_FILE!r}."


def task_message(task: str, files: Mapping[str, bytes], feedback: Any) -> str:
    """The first message: the task, the files in the working directory, and what was wrong with the last result."""
    parts = [task]
    if files:
        listing = "\n".join(
            f"- {json.dumps(name, ensure_ascii=False)} ({len(data)} bytes)" for name, data in sorted(files.items())
        )
        parts.append(f"Files in the working directory:\n{listing}")
    if feedback:
        parts.append(
            f"Your previous result was not accepted:\nFEEDBACK {json.dumps(feedback, ensure_ascii=False, default=repr)}"
        )
    return "\n\n".join(parts)
