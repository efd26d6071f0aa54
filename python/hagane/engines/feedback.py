"""What a stage is told when it runs again: structured, bounded, and without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from hagane.validation import Issue

FEEDBACK_KEY = "_feedback"
TEXT_LIMIT = 2_000
ITEMS_LIMIT = 50
DEPTH_LIMIT = 6
# Names of values that are secrets; amounts of tokens and secretaries are none.
_SECRET = re.compile(
    r"passw|secret(?!ar)|token(?!s|_?(count|limit|usage|budget))|api_?key|authori[sz]ation|credential|private_?key",
    re.IGNORECASE,
)
# Secrets within text: what follows such a name, what an Authorization header holds, a password in a URL, and keys of
# services by their beginning.
_SECRET_TEXT = re.compile(
    r"(?P<name>(?:password|passwd|secret|access_?token|auth_?token|token|api[_-]?key)[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]{6,}"
    r"|(?P<scheme>\b(?:Bearer|Basic)\s+)[\w.~+/=-]{8,}"
    r"|(?P<user>://[^\s:/@]+:)[^\s/@]+(?=@)"
    r"|\b(?:sk|pk|ghp|gho|xoxb|xoxp)[-_][\w-]{8,}",
    re.IGNORECASE,
)


def feedback(
    source: str,
    *,
    stage: str,
    attempt: int,
    message: str,
    gate: str | None = None,
    issues: Iterable[Issue] = (),
    output: Any = None,
) -> dict[str, Any]:
    """Make the feedback on one failed attempt.

    Returns:
        `source` (validation, gate, review, error or human), `stage` and `attempt` that failed, `gate` or None,
        `message`, `issues` (each with path, rule, expected, actual) and `previous_output`, cut to a bounded size and
        with values of secret-looking keys replaced.
    """
    return {
        "source": source,
        "stage": stage,
        "attempt": attempt,
        "gate": gate,
        "message": _cut(message),
        "issues": [
            {"path": issue.path, "rule": issue.rule, "expected": _cut(issue.expected), "actual": _cut(issue.actual)}
            for issue in list(issues)[:ITEMS_LIMIT]
        ],
        "previous_output": bounded(output),
    }


def bounded(value: Any, depth: int = 0) -> Any:
    """Make a plain copy of `value` of bounded size that can always be stored."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= 64 else _cut(hex(value))
    if isinstance(value, str):
        return _cut(str(value))
    if depth >= DEPTH_LIMIT:
        return f"<{type(value).__name__}>"
    if isinstance(value, Mapping):
        return {_cut(str(key)): _entry(str(key), entry, depth) for key, entry in list(value.items())[:ITEMS_LIMIT]}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [bounded(entry, depth + 1) for entry in list(value)[:ITEMS_LIMIT]]
    return f"<{type(value).__name__}>"


def _entry(key: str, value: Any, depth: int) -> Any:
    return "<redacted>" if _SECRET.search(key) else bounded(value, depth + 1)


def _redacted(found: re.Match[str]) -> str:
    return (found["name"] or found["scheme"] or found["user"] or "") + "<redacted>"


def _cut(text: str) -> str:
    """At most `TEXT_LIMIT` characters, and none that cannot be stored as UTF-8."""
    clean = _SECRET_TEXT.sub(_redacted, text[:TEXT_LIMIT]).encode("utf-8", "replace").decode("utf-8")
    return clean if len(text) <= TEXT_LIMIT else f"{clean}... ({len(text)} characters)"
