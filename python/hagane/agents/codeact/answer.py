"""What goes into a program's working directory, and the answer that comes out of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hagane.agents.codeact.prompt import ANSWER_FILE


def parse_answer(files: Mapping[str, bytes]) -> Any:
    """The JSON value of `answer.json`; LookupError where it is absent, ValueError where it is not JSON."""
    if ANSWER_FILE not in files:
        raise LookupError(ANSWER_FILE)
    try:
        return json.loads(files[ANSWER_FILE].decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{ANSWER_FILE} is not valid JSON: {error}") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value; use null")


def as_files(files: Any) -> dict[str, bytes]:
    """The caller's files as name -> bytes; TypeError where they are something else."""
    if not isinstance(files, Mapping):
        raise TypeError(f"`files` is {type(files).__name__}: pass a dict of file name -> bytes or str")
    checked: dict[str, bytes] = {}
    for name, content in files.items():
        if isinstance(content, str):
            content = content.encode("utf-8")
        if not isinstance(name, str) or not isinstance(content, (bytes, bytearray, memoryview)):
            raise TypeError(f"file {name!r} is {type(content).__name__}: pass bytes or str")
        checked[name] = bytes(content)
    return checked
