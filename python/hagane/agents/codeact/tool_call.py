"""Code inside a JSON tool call: `{"name": "python", "arguments": {"code": "..."}}` and its many relatives."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from hagane.agents.codeact import syntax
from hagane.agents.codeact.blocks import OTHER, UNNAMED, Block

CODE_KEYS = ("code", "python", "python_code", "source", "source_code", "script", "program", "cell", "query")
NESTED_KEYS = (
    "arguments",
    "args",
    "kwargs",
    "input",
    "action_input",
    "tool_input",
    "parameters",
    "params",
    "function",
    "function_call",
    "tool_call",
    "tool_calls",
    "tool",
    "action",
    "content",
)
LANGUAGE_KEYS = ("language", "lang")
# A call that was cut off, or whose quotes the model forgot to escape, is not JSON any more.
BROKEN_CODE = re.compile(r"\"(?:code|python_code|source|script)\"\s*:\s*\"(?P<code>(?:[^\"\\]|\\.)*)", re.S)
OPENING = re.compile(r"[{\[]")
MAX_STARTS = 50


def code_in_json(text: str, blocks: list[Block]) -> str | None:
    """The code of the first tool call in `text` or in a block of it; None where there is none."""
    for source in (*(block.code for block in blocks if block.kind in {OTHER, UNNAMED}), text):
        for value in _values(source):
            code = _code_of(value, depth=0)
            if code is not None:
                return code
    match = BROKEN_CODE.search(text) if text.lstrip().startswith(("{", "```", "<")) else None
    return _usable(_unescape(match["code"])) if match else None


def _values(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder(strict=False)  # models write raw newlines into strings
    position = 0
    for _ in range(MAX_STARTS):
        match = OPENING.search(text, position)
        if match is None:
            break
        try:
            value, position = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            position = match.start() + 1
            continue
        yield value
    stripped = text.strip()
    if stripped.startswith("{") and isinstance(tree := syntax.parse(stripped), ast.Module):
        try:
            yield ast.literal_eval(tree.body[0].value) if isinstance(tree.body[0], ast.Expr) else None
        except (ValueError, IndexError, RecursionError, MemoryError, TypeError):
            return


def _code_of(value: Any, depth: int) -> str | None:
    if depth > 6:
        return None
    if isinstance(value, list):
        return next((code for item in value if (code := _code_of(item, depth + 1)) is not None), None)
    if isinstance(value, str) and depth and value.lstrip().startswith("{"):
        return next((code for item in _values(value) if (code := _code_of(item, depth + 1)) is not None), None)
    if not isinstance(value, dict):
        return None
    language = next((str(value[key]) for key in LANGUAGE_KEYS if key in value), "python")
    if not language.lower().startswith(("py", "ipy")):
        return None
    for key in CODE_KEYS:
        source = value.get(key)
        if isinstance(source, list) and all(isinstance(line, str) for line in source):  # as notebooks keep it
            source = "\n".join(line.rstrip("\n") for line in source)
        if isinstance(source, str) and (code := _usable(source)) is not None:
            return code
    named_python = re.search(
        r"python|code|ipython|interpreter|exec",
        str(value.get("name") or value.get("action") or value.get("tool") or ""),
        re.I,
    )
    for key in NESTED_KEYS:
        nested = value.get(key)
        code = _code_of(nested, depth + 1)
        if code is None and named_python and isinstance(nested, str) and key not in {"action", "tool"}:
            code = _usable(nested)
        if code is not None:
            return code
    return None


def _usable(text: str) -> str | None:
    from hagane.agents.codeact.blocks import find_blocks

    for block in find_blocks(text):  # a fence inside the JSON string
        if block.kind != OTHER and block.parses:
            return block.code
    code = syntax.repaired(text)
    return code if code is not None and syntax.looks_like_code(code) else None


def _unescape(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text
