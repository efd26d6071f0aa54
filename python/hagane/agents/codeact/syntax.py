"""What counts as Python, and the small repairs that replies of language models need before it does.

CPython's own parser decides. A repair is tried only when the text as it stands does not parse, so code that is right is
never changed (a zero-width joiner inside a string stays where it is).
"""

from __future__ import annotations

import ast
import builtins
import html
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator

INVISIBLE = dict.fromkeys([0x00AD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF])
WIDE = {wide: chr(wide - 0xFEE0) for wide in range(0xFF01, 0xFF5F)}
TYPOGRAPHIC = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x3000: " ", 0x00A0: " ", 0x2212: "-", 0x2013: "-"}
# Prefix and quotes of a literal, then its body; a comment; or any other single character.
LITERAL_OR_CHARACTER = re.compile(
    r"""(?P<kept>[bfru]{0,3}(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")|\#[^\n]*)|(?P<other>.)""",
    re.S | re.I,
)
PROMPT = re.compile(r"^\s*(?:>>>|In \[\d+\]:) ?(?P<code>.*)$")
CONTINUATION = re.compile(r"^\s*(?:\.\.\.|\.\.\.:) ?(?P<code>.*)$")
NOTEBOOK_PROMPT = re.compile(r"\s*In \[\d+\]: ")
LANGUAGE_LINE = re.compile(r"\A\s*(?:python3?|py)[ \t]*\n", re.I)
CODE_MARKS = re.compile(
    r"^(?:import \w[\w.]*(?: as \w+)?(?:,|$)"
    r"|from \w[\w.]* import |def \w+\(|class \w+[(:]|print\(|for \w+ in |(?:while|if) .*:$)",
    re.M,
)


def parse(code: str) -> ast.Module | None:
    """The module that `code` parses to, or None; never raises and never warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in a model's string is not our caller's warning
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def syntax_error(code: str) -> str | None:
    """Why CPython would refuse to run `code` as a program (message and line), or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(code, "<code>", "exec", dont_inherit=True)
        except SyntaxError as error:
            line = (error.text or "").rstrip("\n")
            return f"{type(error).__name__}: {error.msg} (line {error.lineno})" + (f"\n    {line}" if line else "")
        except (ValueError, RecursionError, MemoryError) as error:
            return f"{type(error).__name__}: {error}"
    return None


def repaired(code: str) -> str | None:
    """`code`, or the first repair of it that parses and holds a statement; None where none does."""
    for candidate in _repairs(code):
        tree = parse(candidate)
        if tree is not None and tree.body:
            return candidate
    return None


def _repairs(code: str) -> Iterator[str]:
    code = LANGUAGE_LINE.sub("", code)
    if NOTEBOOK_PROMPT.match(code):  # `In [1]: x = 1` parses, as an annotation
        code = without_prompts(code)
    yield code
    steps: list[Callable[[str], str]] = [
        textwrap.dedent,
        str.strip,
        without_prompts,
        lambda text: text.translate(INVISIBLE).strip("\n"),
        _plain_punctuation,
        _without_magics,
    ]
    for step in steps:
        code = step(code)
        yield code
    # `&lt;` in code that came through a tag
    yield html.unescape(code)


def without_prompts(code: str) -> str:
    """The input lines of an interactive session; text that has no prompt comes back as it is."""
    lines = code.split("\n")
    if not any(PROMPT.match(line) for line in lines):
        return code
    kept: list[str] = []
    for line in lines:
        match = PROMPT.match(line) or (CONTINUATION.match(line) if kept else None)
        if match:
            kept.append(match["code"])
    return "\n".join(kept)


def _plain_punctuation(code: str) -> str:
    """Full-width and typographic characters as ASCII, outside literals and comments."""

    def plain(match: re.Match[str]) -> str:
        return match["kept"] or match["other"].translate(TYPOGRAPHIC).translate(WIDE)

    return LITERAL_OR_CHARACTER.sub(plain, code)


def _without_magics(code: str) -> str:
    """Notebook lines (`!pip install x`, `%matplotlib inline`) mean nothing to the interpreter that will run this."""
    return "\n".join(line for line in code.split("\n") if not line.lstrip().startswith(("!", "%")))


def looks_like_code(code: str) -> bool:
    """Whether text that nobody marked as code is meant as code: it parses, and it does something.

    "Paris", "42", "Answer: 42", "O(n)" and a JSON object all parse as Python and are answers.
    """
    tree = parse(code)
    if tree is None:
        return False
    alone = len(tree.body) == 1
    return any(_does_something(node, code, alone=alone) for node in tree.body)


def has_code_marks(text: str) -> bool:
    """Whether a line of `text` is shaped like Python even though the whole does not parse."""
    return CODE_MARKS.search(text) is not None


def _does_something(node: ast.stmt, code: str, *, alone: bool) -> bool:
    if isinstance(node, ast.Expr):
        return _is_call(node.value, code)
    if isinstance(node, ast.AnnAssign):
        return node.value is not None
    if isinstance(node, ast.Assign):
        return not alone or not isinstance(node.value, (ast.Constant, ast.Name))
    # "raise awareness", "global warming", "del rio", "pass" are also sentences
    if isinstance(node, ast.Raise):
        return isinstance(node.exc, ast.Call)
    return not isinstance(
        node, (ast.Global, ast.Nonlocal, ast.Delete, ast.Pass, ast.Assert, ast.Return, ast.Break, ast.Continue)
    )


def _is_call(value: ast.expr, code: str) -> bool:
    if isinstance(value, ast.Await):
        value = value.value
    if not isinstance(value, ast.Call):
        return False
    function = value.func
    if isinstance(function, ast.Attribute):
        return True
    source = ast.get_source_segment(code, value) or ""
    if not isinstance(function, ast.Name) or not source.startswith(f"{function.id}("):  # "Paris (France)"
        return False
    # "O(n)", "sin(x)" are answers; `final_answer(42)`, `search("x")` are not
    return function.id in vars(builtins) or (function.id.islower() and len(function.id) > 3)
