"""Takes the code out of a model's reply.

The order: invisible differences first (BOM, line ends), then the model's thinking is removed, then what is marked as
Python, then unnamed blocks, JSON tool calls, and last a reply that is nothing but code. Two Python blocks are one
program.
"""

from __future__ import annotations

import re
from itertools import islice

from hagane.agents.codeact import syntax
from hagane.agents.codeact.blocks import OTHER, PYTHON, UNNAMED, Block, find_blocks, without_stray_end
from hagane.agents.codeact.tool_call import code_in_json

__all__ = ["extract_code"]

THINKING = "think|thinking|thought|reasoning|reflection|analysis|scratchpad"
THINK_OPEN = re.compile(rf"<(?P<name>{THINKING})>|\[(?P<bracket>THINK)\]|(?P<kimi>◁think▷)", re.I)
THINK_CLOSE = re.compile(rf"</(?:{THINKING})\s*>|\[/THINK\]|◁/think▷", re.I)
# A reply made to be slow must not be.
MAX_THOUGHTS, MAX_CANDIDATES = 50, 20
OUTPUT_LABEL = re.compile(
    r"\W*(?:the |its |this |and |program |expected |sample |console |example )*"
    r"(?:outputs?|results?|prints?|printed|stdout|observations?|returns?|gives|shows)\b[^:]*:?\W*",
    re.I,
)
MARKER_LINE = re.compile(
    r"^[ \t*#]*(?:action input|python code|code|python3?|py|program|script)[ \t*]*(?::[ \t*]*|$)", re.M | re.I
)
OBSERVATION = re.compile(r"^(?:observation|output)[ \t]*:", re.M | re.I)
INDENTED = re.compile(r"(?:\A|\n)[ \t]*\n((?:(?: {4}|\t).*(?:\n|\Z)|[ \t]*\n)+)")
INLINE_SPAN = re.compile(r"(?P<ticks>`+)(?P<code>[^`]+)(?P=ticks)")


def extract_code(text: str) -> str | None:
    """The Python program that a model's reply means to have run, or None where the reply is a plain answer.

    Code that is marked as Python but does not parse is returned as it is when the reply has nothing better, so that the
    model can be told what is wrong with it. Comments and blank lines are kept. Never raises on any string.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    if syntax.looks_like_code(text) and not text.lstrip().startswith(("```", "~~~")):
        return text
    text = _without_thinking(text)
    blocks = list(find_blocks(text))
    return _marked(blocks) or code_in_json(text, blocks) or _unmarked(text, blocks) or _broken(blocks)


def _marked(blocks: list[Block]) -> str | None:
    python = [block.code for block in blocks if block.kind == PYTHON and block.parses]
    if not python:
        python = [block.code for block in blocks if _is_unnamed_code(block)]
    if not python:
        return None
    joined = "\n\n".join(code.strip("\n") for code in python)
    return joined if syntax.parse(joined) else python[-1]


def _is_unnamed_code(block: Block) -> bool:
    if block.kind != UNNAMED or not block.parses or OUTPUT_LABEL.fullmatch(block.label):
        return False
    return syntax.looks_like_code(block.code)


def _unmarked(text: str, blocks: list[Block]) -> str | None:
    """A reply without a usable block: bare code, code behind `Code:`, an indented block, half a fence."""
    if any(block.kind == OTHER for block in blocks):
        return None
    candidates = [text, without_stray_end(text)]
    span = INLINE_SPAN.fullmatch(text.strip())
    if span:
        candidates.append(span["code"])
    markers = islice(MARKER_LINE.finditer(text), MAX_CANDIDATES)
    candidates.extend(OBSERVATION.split(text[marker.end() :])[0] for marker in markers)
    candidates.extend(match[1] for match in islice(INDENTED.finditer(text), MAX_CANDIDATES))
    for candidate in candidates:
        code = syntax.repaired(candidate)
        if code is not None and syntax.looks_like_code(code):
            return code
    return None


def _broken(blocks: list[Block]) -> str | None:
    for block in reversed(blocks):
        meant = block.kind == PYTHON or (block.kind == UNNAMED and syntax.has_code_marks(block.code))
        if meant and not block.parses and block.code.strip():
            return block.code
    return None


def _without_thinking(text: str) -> str:
    """Removes the thinking; a tag of that name inside a code block is code."""
    position = 0
    for _ in range(MAX_THOUGHTS):
        opener = THINK_OPEN.search(text, position)
        lone = THINK_CLOSE.search(text, position)
        if opener is None and lone is None:
            break
        first = min(match.start() for match in (opener, lone) if match)
        block = _code_around(text, position, first)
        if block:
            position += block.end
        elif lone and (opener is None or lone.start() < opener.start()):
            text, position = text[lone.end() :], 0  # the prompt opened the thinking
        elif opener:
            close = THINK_CLOSE.search(text, opener.end())
            # thinking that was cut off holds no decision to run anything
            text = text[: opener.start()] + (text[close.end() :] if close else "")
            position = opener.start()
    return text


def _code_around(text: str, start: int, place: int) -> Block | None:
    """The Python block, among those from `start` on, that `place` lies in."""
    for block in find_blocks(text[start:]):
        if start + block.end > place:
            return block if start + block.start < place and block.parses and block.kind == PYTHON else None
    return None
