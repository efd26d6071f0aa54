"""What goes back to the model is bounded and about its own code."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hagane.agents.codeact.observation import head_and_tail, trim_traceback

TRACE = """\
Traceback (most recent call last):
  File "<code>", line 3, in <module>
    json.loads("{")
  File "/usr/lib/python3.11/json/__init__.py", line 346, in loads
    return _default_decoder.decode(s)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "<frozen importlib._bootstrap>", line 1, in f
json.decoder.JSONDecodeError: Expecting property name
"""


def test_library_frames_are_left_out() -> None:
    assert trim_traceback(TRACE).splitlines() == [
        "Traceback (most recent call last):",
        '  File "<code>", line 3, in <module>',
        '    json.loads("{")',
        "json.decoder.JSONDecodeError: Expecting property name",
    ]


def test_text_that_is_no_traceback_stays() -> None:
    assert trim_traceback("    indented\nwarning: x") == "    indented\nwarning: x"


@given(st.text(), st.integers(3, 50))
def test_long_output_keeps_head_and_tail(text: str, limit: int) -> None:
    shown = head_and_tail(text, limit)
    if len(text) <= limit:
        assert shown == text
    else:
        assert shown.startswith(text[: limit * 2 // 3])
        assert shown.endswith(text[-(limit - limit * 2 // 3) :])
        assert str(len(text) - limit) in shown
