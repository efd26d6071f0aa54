"""Finds the marked parts of a reply: fenced blocks by the rules of CommonMark, and models' tags.

Where a block ends is ambiguous when its code itself holds a fence or a tag (Markdown in a string). Every possible end
is a candidate, and the first whose content parses wins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hagane.agents.codeact import syntax

PYTHON, UNNAMED, OTHER = "python", "unnamed", "other"
# A reply made of nothing but fences and tags must cost neither minutes nor the stack.
MAX_ENDS, MAX_BLOCKS, MAX_DEPTH = 20, 100, 2

CONTAINER = r"(?P<container>(?:[ \t]*>)*[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?)"
FENCE = re.compile(rf"^{CONTAINER}(?P<fence>`{{3,}}(?=[^`]*$)|~{{3,}})(?P<info>.*)$", re.M)
ONE_LINE = re.compile(
    r"^[ \t]*(?P<fence>`{3,})(?P<language>(?:python3?|py)\b[ \t]*|)(?P<code>[^`].*?)(?P=fence)[ \t]*$", re.M | re.I
)
PYTHON_TAGS = (
    "execute|execute_python|execute_ipython|python|py|python_code|tool_code"
    "|code_block|code_interpreter|run_python|ipython"
)
OTHER_TAGS = "execute_bash|bash|shell|output|observation|result|stdout|execution_result"
TAG = re.compile(
    rf"<(?P<name>{PYTHON_TAGS}|{OTHER_TAGS})(?:\s[^<>]*)?>"
    r"|<(?P<parameter>parameter)(?:=|\s+name=)[\"']?(?:code|python|source|script)[\"']?\s*>"
    r"|\[(?P<bracket>PYTHON|CODE)\]"
    r"|(?P<llama><\|python_tag\|>)"
    r"|(?:^|(?<=\n))[ \t]*(?:\w[\w ]{0,30}:[ \t]*)?(?:<pre\b[^<>]*>\s*)?<(?P<code>code)(?:\s[^<>]*)?>"
    r"|<(?P<opened>code)(?:\s[^<>]*)?>(?=[ \t]*\n)",
    re.I,
)
# What a cut-off or sloppy reply leaves behind the code: stop tokens, half of a closing tag, another form's end.
STRAY_END = re.compile(
    r"(?:</?[a-z_]*(?:=[a-z_]*)?>?|<end_(?:code|action)>?|<\|[a-z_]*(?:\|>?)?|\[/?[A-Z]*\]?|`+|~{3,})\Z", re.I
)
LONGEST_END = 40
FILE_NAME = re.compile(r"[\w./-]+\.pyw?\b", re.I)
PYTHON_NAME = re.compile(
    r"(?:python|py|ipython|pycon|tool_code|jupyter-python|execute_ipython)(?:[-_]?(?:repl|console|exec|run)|[\d.]*)",
    re.I,
)


@dataclass(frozen=True)
class Block:
    """One marked part: `kind` is python, unnamed or other; `code` is its content, repaired where that made it parse."""

    kind: str
    code: str
    start: int
    end: int
    parses: bool
    label: str


def find_blocks(text: str, depth: int = 0) -> Iterator[Block]:
    """The outermost blocks of `text`, in order; the first hundred of them. `depth` counts the tags around `text`."""
    position = 0
    for _ in range(MAX_BLOCKS):
        openers = [pattern.search(text, position) for pattern in (ONE_LINE, FENCE, TAG)]
        found = [match for match in openers if match]
        if not found:
            return
        opener = min(found, key=lambda match: match.start())
        block = _read(text, opener, depth)
        yield block
        position = max(block.end, opener.end())


def _read(text: str, opener: re.Match[str], depth: int) -> Block:
    if opener.re is ONE_LINE:
        return _one_line(text, opener)
    return _fenced(text, opener) if opener.re is FENCE else _tagged(text, opener, depth)


def _one_line(text: str, opener: re.Match[str]) -> Block:
    code = syntax.repaired(opener["code"])
    kind = PYTHON if opener["language"] else UNNAMED
    return Block(
        kind, code or opener["code"], opener.start(), opener.end(), code is not None, _label(text, opener.start())
    )


def _fenced(text: str, opener: re.Match[str]) -> Block:
    kind, first_line = _language(opener["info"])
    container, fence = opener["container"], opener["fence"]
    closing = re.compile(rf"^(?:[ \t]*>)*[ \t]*{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$", re.M)
    start = min(opener.end() + 1, len(text))

    def content(end: int) -> str:
        return first_line + _without_container(text[start:end], container)

    ends = [(match.start(), match.end()) for match in closing.finditer(text, start)]
    sloppy = re.compile(rf"{re.escape(fence)}[ \t]*$", re.M)  # on the last line of the code
    more = [(match.start(), match.end()) for match in sloppy.finditer(text, start)]
    code, end, parses = _choose(text, ends, content, decide=kind != OTHER, more=more)
    return Block(kind, code, opener.start(), end, parses, _label(text, opener.start()))


def _tagged(text: str, opener: re.Match[str], depth: int) -> Block:
    name = next(value for value in opener.groups() if value)
    kind = OTHER if re.fullmatch(OTHER_TAGS, name, re.I) else PYTHON
    if opener["bracket"]:
        closing = rf"\[/{name}\]"
    elif opener["llama"]:
        closing = r"<\|(?:eom_id|eot_id|end_of_text)\|>"
    else:
        closing = rf"</{name}\s*>"
    ends = [(match.start(), match.end()) for match in re.finditer(closing, text[opener.end() :], re.I)]
    ends = [(start + opener.end(), end + opener.end()) for start, end in ends]

    def content(end: int) -> str:
        inner = re.sub(r"\A\s*<!\[CDATA\[(.*)\]\]>\s*\Z", r"\1", text[opener.end() : end], flags=re.S)
        nested = find_blocks(inner, depth + 1) if depth < MAX_DEPTH else ()
        fenced = [block for block in nested if block.kind != OTHER and block.parses]
        return "\n\n".join(block.code for block in fenced) if fenced else inner

    code, end, parses = _choose(text, ends, content, decide=kind != OTHER)
    if opener["code"] and "\n" not in text[opener.end() : end] and not syntax.looks_like_code(code):
        kind = OTHER  # <code> is also HTML: `<code>Paris</code>`
    return Block(kind, code, opener.start(), end, parses, _label(text, opener.start()))


def _choose(
    text: str,
    ends: list[tuple[int, int]],
    content: Callable[[int], str],
    *,
    decide: bool,
    more: Sequence[tuple[int, int]] = (),
) -> tuple[str, int, bool]:
    """The content up to the first end at which it parses: (code, end of block, whether it parses)."""
    if decide:
        for start, end in (*ends[:MAX_ENDS], *more[:MAX_ENDS]):
            code = syntax.repaired(content(start))
            if code is not None:
                return code, end, True
        if not ends:
            return _unclosed(text, content)
    if ends:
        return content(ends[0][0]), ends[0][1], False
    return content(len(text)), len(text), False


def _unclosed(text: str, content: Callable[[int], str]) -> tuple[str, int, bool]:
    whole = content(len(text))
    for candidate in (whole, without_stray_end(whole)):
        code = syntax.repaired(candidate)
        if code is not None:
            return code, len(text), True
    return without_stray_end(whole), len(text), False


def without_stray_end(text: str) -> str:
    """Takes off what a cut-off or sloppy reply leaves behind its code."""
    for _ in range(5):
        text = text.rstrip()
        stray = STRAY_END.search(text[-LONGEST_END:])
        if stray is None:
            break
        text = text[: len(text) - len(stray[0])]
    return text + "\n"


def _without_container(content: str, container: str) -> str:
    """Takes off what the block's container (quote, list item, indent) puts before each line."""
    if ">" in container:
        content = re.sub(r"^(?:[ \t]*>)+ ?", "", content, flags=re.M)
        container = container.rsplit(">", 1)[1]
    return re.sub(rf"^ {{1,{len(container)}}}", "", content, flags=re.M) if container else content


def _language(info: str) -> tuple[str, str]:
    """(kind, code that the reply put on the opening line)."""
    info = info.strip().strip("{}").strip()
    word, _, rest = info.partition(" ")
    word, rest = word.strip(",;").lstrip("."), rest.strip()
    if not word or "=" in word or word.startswith(("#", "linenums")):
        return (PYTHON, info + "\n") if syntax.looks_like_code(info) else (UNNAMED, "")
    if word.lower() in {"code", "code-cell", "code_block"}:
        return (PYTHON, "") if PYTHON_NAME.match(rest) else (UNNAMED, "")
    if PYTHON_NAME.fullmatch(re.split(r"[:,;{\[]", word)[0]) or FILE_NAME.fullmatch(word):
        return PYTHON, rest + "\n" if syntax.looks_like_code(rest) else ""
    if syntax.looks_like_code(info):
        return UNNAMED, info + "\n"
    return OTHER, ""


def _label(text: str, start: int) -> str:
    """The last line before the block that is not blank."""
    lines = text[:start].rstrip().rsplit("\n", 1)
    return lines[-1].strip()
