"""The metrics and labels that an expression names, read from Prometheus' own normal form of it.

Not a parser of PromQL: it relies on format_query having refused whatever is none, and on its spelling.
"""

from __future__ import annotations

import re

WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "bool", "offset"}
WORDS |= {"inf", "nan", "Inf", "NaN"}
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"


def matchers(expression: str) -> list[tuple[str, str, str]]:
    """(metric, label, value) of each matcher; the alternatives of a regular expression are values of their own."""
    found = []
    for metric, inside in re.findall(rf"({NAME})\s*{{([^}}]*)}}", expression):
        for label, operator, value in re.findall(rf'({NAME})\s*(=~|!~|!=|=)\s*["\']([^"\']*)["\']', inside):
            values = value.split("|") if "~" in operator else [value]
            found += [(metric, label, one) for one in values]
    return found


def names(expression: str) -> tuple[set[str], set[str]]:
    """(metrics, labels), the latter from matchers and from by(), on() and their like."""
    labels: set[str] = set()

    def matchers(match: re.Match[str]) -> str:
        labels.update(re.findall(rf"({NAME})\s*(?:=~|!~|!=|=)", match[1]))
        return " "

    def grouping(match: re.Match[str]) -> str:
        labels.update(re.findall(NAME, match[1]))
        return " "

    text = re.sub(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'', '""', expression)
    text = re.sub(r"\{([^}]*)\}", matchers, text)
    text = re.sub(r"\[[^\]]*\]", " ", text)
    text = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)", grouping, text)
    found = {match[1] for match in re.finditer(rf"(?<![\w.])({NAME})\b(?!\s*\()", text)}
    return found - WORDS, labels
