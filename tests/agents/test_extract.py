"""Code out of a model's reply: the corpus, and the rules beyond it."""

from __future__ import annotations

import ast
import json
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hagane.agents import extract_code

CORPUS = Path(__file__).parent.parent / "data" / "extraction.jsonl"
CASES = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines() if line.strip()]


def normal(code: str | None) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return None if code is None else ast.unparse(ast.parse(code))


@pytest.mark.parametrize("case", CASES, ids=[f"{case['id']} {case['name']}" for case in CASES])
def test_the_corpus(case: dict[str, str]) -> None:
    assert normal(extract_code(case["text"])) == normal(case["code"])


ONE = "print(1)"
BEYOND = {
    "thinking that its prompt opened": ("first ```python\nbad(\n``` no\n</think>\n```python\nprint(1)\n```", ONE),
    "thinking that was cut off": ("<think>\n```python\nprint(2)\n```\nhmm", None),
    "a thinking tag inside code": (
        "```python\ns = '<think>x</think>'\nprint(s)\n```",
        "s = '<think>x</think>'\nprint(s)",
    ),
    "a thinking tag in bare code": ("s = '<think>x</think>'\nprint(s)", "s = '<think>x</think>'\nprint(s)"),
    "other names of thinking": ("<reasoning>```python\nno()\n```</reasoning>\n```python\nprint(1)\n```", ONE),
    "a quoted fence": ("> ```python\n> print(1)\n> ```\n", ONE),
    "a fence on the line of a list item": ("- ```python\n  if 1:\n      print(1)\n  ```", "if 1:\n    print(1)"),
    "code on the opening line": ("```python import os\nprint(os.sep)\n```", "import os\nprint(os.sep)"),
    "attributes on the opening line": ("```python linenums=1 {.numberLines}\nprint(1)\n```", ONE),
    "a file name as language": ("```main.py\nprint(1)\n```", ONE),
    "tool_code": ("```tool_code\nprint(1)\n```", ONE),
    "tilde fence holding backticks": ("~~~python\ns = '''\n```\n'''\nprint(s)\n~~~", "s = '''\n```\n'''\nprint(s)"),
    "a longer closing fence": ("```python\nprint(1)\n`````\nbye", ONE),
    "interactive session without a language": (
        "```\n>>> for i in range(2):\n...     print(i)\n0\n1\n```",
        "for i in range(2):\n    print(i)",
    ),
    "notebook prompts": ("```python\nIn [1]: x = 1\nIn [2]: print(x)\n1\n```", "x = 1\nprint(x)"),
    "notebook magics": ("```python\n!pip install x\n%matplotlib inline\nprint(1)\n```", ONE),
    "two unnamed blocks": ("```\nx = f(1)\n```\nthen\n```\nprint(x)\n```", "x = f(1)\nprint(x)"),
    "an unnamed block after an output label": ("It prints:\n```\nf(1)\n```", None),
    "only a shell block": ("```bash\npip install x\n```", None),
    "only a shell block, unclosed": ("```sh\nls\n", None),
    "an unnamed shell line": ("```\nls -la\n```", None),
    "an unnamed number": ("```\n42\n```", None),
    "execute_ipython": ("<execute_ipython>\nprint(1)\n</execute_ipython>", ONE),
    "shell tag": ("<execute_bash>\nls\n</execute_bash>", None),
    "tag with attributes": ('<code language="python">\nprint(1)\n</code>', ONE),
    "tag on one line": ("<code>print(1)</code>", ONE),
    "HTML in a sentence": ("Use the <code>print(1)</code> function.", None),
    "an answer in a tag": ("<code>Paris</code>", None),
    "language line inside a tag": ("<code>\npython\nprint(1)\n</code>", ONE),
    "escaped by HTML": ("<code>\nif 1 &lt; 2:\n    print(1)\n</code>", "if 1 < 2:\n    print(1)"),
    "CDATA": ("<code><![CDATA[\nprint(1)\n]]></code>", ONE),
    "smolagents' stop token": ("Code:\n```py\nprint(1)\n```<end_code>", ONE),
    "stop token with the fence cut off": ("Code:\n```py\nprint(1)\n<end_code>", ONE),
    "chat template's stop token": ("```python\nprint(1)\n<|im_end|>", ONE),
    "CodeLlama": ("[PYTHON]\nprint(1)\n[/PYTHON]", ONE),
    "Llama 3": ("<|python_tag|>print(1)<|eom_id|>", ONE),
    "function call tags": ("<function=execute>\n<parameter=code>\nprint(1)\n</parameter>\n</function>", ONE),
    "named parameter": ('<invoke name="run">\n<parameter name="code">print(1)</parameter>\n</invoke>', ONE),
    "JSON arguments": ('{"name": "python", "arguments": {"code": "x = 1\\nprint(x)"}}', "x = 1\nprint(x)"),
    "JSON arguments as a string": ('{"name": "python", "arguments": "{\\"code\\": \\"print(1)\\"}"}', ONE),
    "JSON in a fence": ('```json\n{"action": "python", "action_input": "print(1)"}\n```', ONE),
    "JSON in a tag": ('<tool_call>\n{"name": "run", "arguments": {"code": "print(1)"}}\n</tool_call>', ONE),
    "JSON after a label": ('Action: {"code": "print(1)"}', ONE),
    "JSON with a raw newline": ('{"code": "x = 1\nprint(x)"}', "x = 1\nprint(x)"),
    "JSON cut off": ('{"thought": "t", "code": "print(1)', ONE),
    "JSON with a fence in it": ('{"code": "```python\\nprint(1)\\n```"}', ONE),
    "JSON tool calls": (
        '{"tool_calls": [{"function": {"name": "python", "arguments": "{\\"code\\": \\"print(1)\\"}"}}]}',
        ONE,
    ),
    "Python's repr of a tool call": ("{'thought': 't', 'code': 'print(1)'}", ONE),
    "JSON for another language": ('{"language": "bash", "code": "ls()"}', None),
    "JSON data": ('{"code": 404, "status": "ok"}', None),
    "JSON status word": ('{"code": "ERR42"}', None),
    "ReAct": ("Thought: t\nAction: python\nAction Input: print(1)\nObservation: 1", ONE),
    "a label and bare code": ("Thought: I print.\nCode:\nprint(1)", ONE),
    "bare session": (">>> print(1)\n1", ONE),
    "closing fence alone": ("print(1)\n```", ONE),
    "closing tag alone": ("print(1)\n</code>", ONE),
    "indented block": ("Run this:\n\n    import os\n    print(os.sep)\n", "import os\nprint(os.sep)"),
    "a code span alone": ("`print(1)`", ONE),
    "zero-width joiner inside a string": ("```python\nprint('a\u200db')\n```", "print('a\u200db')"),
    "byte order mark": ("\ufeff```python\nprint(1)\n```", ONE),
    "no-break spaces": ("```python\nif\u00a01:\n\u00a0\u00a0\u00a0\u00a0print(1)\n```", "if 1:\n    print(1)"),
    "full-width punctuation": ("```python\nprint（'（はい）'，1）\n```", "print('（はい）', 1)"),
    "typographic quotes": ("```python\nprint(“a”)\n```", "print('a')"),
    "carriage returns alone": ("```python\rprint(1)\r```", ONE),
    "invalid escape": ("```python\nprint('\\d')\n```", "print('\\\\d')"),
    "top-level await": ("```python\nawait f()\n```", "await f()"),
    "one of two blocks broken": ("```python\nprint(1\n```\nsorry:\n```python\nprint(1)\n```", ONE),
    "equation as answer": ("x = 42", None),
    "labelled answer": ("Answer: 42", None),
    "place with country": ("Paris (France)", None),
    "complexity": ("O(n)", None),
    "list as answer": ("[1, 2, 3]", None),
    "tuple as answer": ("(1, 2)", None),
    "words that are keywords": ("global warming", None),
    "Japanese answer": ("答えは42です。", None),
    "empty": ("", None),
    "Markdown answer": ("# Result\n\nThe mean is **4**.\n\n- a\n- b\n", None),
    "answer with inline code": ("Call `print(1)` to see.", None),
    "HTML of a code block": ('<pre><code class="language-python">\nprint(1)\n</code></pre>', ONE),
    "two code tags": ("<code>\na = 1\n</code>\n<code>\nprint(a)\n</code>", "a = 1\nprint(a)"),
    "a thinking tag in the second block": (
        "```python\na = 1\n```\n\n```python\ns = '<think>'\nprint(s)\n```",
        "a = 1\ns = '<think>'\nprint(s)",
    ),
    "a fence in Markdown that is shown": (
        "````markdown\n```python\nprint(2)\n```\n````\n```python\nprint(1)\n```",
        ONE,
    ),
    "an opening fence in a string": (
        '```python\ns = """\n```python\nx\n```\n"""\n```',
        's = """\n```python\nx\n```\n"""',
    ),
    "unclosed tildes": ("~~~py\nprint(1)", ONE),
    "closing fence on the last line of code": ("```python\nx = 1\nprint(x)```\nDone.", "x = 1\nprint(x)"),
    "half of a closing fence": ("```python\nprint(1)\n``", ONE),
    "half of a closing execute tag": ("<execute>\nprint(1)\n</exec", ONE),
    "code in lines, as notebooks keep it": ('{"code": ["x = 1", "print(x)"]}', "x = 1\nprint(x)"),
    "a tool call for something else": (
        '<tool_call>{"name": "search", "arguments": {"query": "weather"}}</tool_call>',
        None,
    ),
    "another language": ("```javascript\nconsole.log(1)\n```", None),
    "another language without a name": ("```\nconst x = 1;\nconsole.log(x)\n```", None),
    "code shown as text": ("```text\nprint(1)\n```", None),
    "one tool call": ('final_answer("x")', "final_answer('x')"),
}


@pytest.mark.parametrize("name", BEYOND)
def test_beyond_the_corpus(name: str) -> None:
    text, code = BEYOND[name]
    assert normal(extract_code(text)) == normal(code)


def test_broken_python_comes_back_so_that_the_model_can_be_told() -> None:
    assert extract_code("```python\nprint(1\n```") == "print(1\n"
    assert extract_code("```\nfor i in range(3)\n    print(i)\n```") == "for i in range(3)\n    print(i)\n"
    assert extract_code("```\nfrom a to b\n```") is None


PIECES = st.sampled_from(
    [
        "```",
        "```python\n",
        "~~~",
        "<code>",
        "</code>",
        "<think>",
        "</think>",
        "\n",
        "print(1)",
        "{",
        '{"code": "',
        '"}',
        "'''",
        ">>> ",
        "    ",
        "x",
        "\x00",
        "（",
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join)))
def test_any_reply_gives_code_or_none_and_never_raises(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        code = extract_code(text)
    assert code is None or (isinstance(code, str) and code.strip())


SAFE = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="`~\u2028\u2029"), max_size=40
)


@given(
    SAFE, st.sampled_from(["```", "````", "~~~"]), st.sampled_from(["python", "py", "Python", "python3", "{python}"])
)
def test_a_fenced_program_comes_back_unchanged(words: str, fence: str, language: str) -> None:
    program = f"text = {words!r}\nprint(text)"
    assert extract_code(f"Sure.\n{fence}{language}\n{program}\n{fence}\nDone.") == program


HOSTILE = {
    "nested tags": "<code>\n" * 3000,
    "open fences": "```python\nx(\n" * 2000,
    "thinking": "<think>a</think>" * 3000,
    "spaces after a fence": "```python\n" + " " * 50_000,
    "one long word": "```python\n(" + "w" * 60_000,
    "labels": "code\n" * 5000,
    "deep JSON": '{"code":' * 2000 + "1",
    "brackets": "[" * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_reply_made_to_exhaust_the_host_does_not(name: str) -> None:
    """No speed is asserted; what is quadratic or recursive here would hit the stack or the suite's time limit."""
    code = extract_code(HOSTILE[name])
    assert code is None or isinstance(code, str)
