"""The demonstration's model: a function of the conversation that behaves as models do.

It first misspells a column, reads the error and repairs it; it skimps on what looks like a mere sample, and does the
whole work when a gate's feedback asks for it. It holds no state, so a run that was killed goes on with it unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hagane.agents.llm import Message, ScriptedModel

PROFILE, FEEDBACK = "PROFILE ", "FEEDBACK "

PROGRAM = """\
import csv
import json
import statistics

NUMERIC = {numeric}
GROUP_BY = {group_by}

with open("data.csv", encoding="utf-8", newline="") as handle:
    rows = list(csv.DictReader(handle))


def numbers(column, some):
    return [float(row[column]) for row in some if row[column] != ""]


def mean(values):
    return statistics.fmean(values) if values else None


def describe(values):
    low, high = min(values, default=None), max(values, default=None)
    return {{"count": len(values), "mean": mean(values), "min": low, "max": high}}


answer = {{"rows": len(rows), "overall": {{column: describe(numbers(column, rows)) for column in NUMERIC}}}}
"""
GROUPS = """\
groups = {}
for row in rows:
    groups.setdefault(row[GROUP_BY] or "(missing)", []).append(row)
answer["groups"] = {
    value: {"rows": len(some), "means": {column: mean(numbers(column, some)) for column in NUMERIC}}
    for value, some in groups.items()
}
"""
ENDING = """\
with open("answer.json", "w", encoding="utf-8") as handle:
    json.dump(answer, handle, ensure_ascii=False)
print(f"summarised {len(rows)} rows")
"""


def scripted_model() -> ScriptedModel:
    """Make the model; it needs no network and no key."""
    return ScriptedModel(reply, name="demo-script")


def reply(messages: Sequence[Message]) -> str:
    """Write the next reply from the conversation alone."""
    task = messages[1]["content"]
    profile = _line(task, PROFILE)
    feedback = _line(task, FEEDBACK)
    corrected = len(messages) > 2
    numeric = list(profile["numeric"])
    if not corrected and not feedback:
        numeric[0] = misspelt(numeric[0], profile["columns"])
    thorough = feedback is not None or not profile["sample"]
    said = "A look at the error: the name was misspelt." if corrected else "I read the table and summarise its columns."
    return f"{said}\n\n```python\n{program(numeric, profile['group_by'], groups=thorough)}```\n"


def program(numeric: Sequence[str], group_by: str, *, groups: bool) -> str:
    """Write the program; column names go in as literals, so that no header can become code."""
    start = PROGRAM.format(numeric=ascii(list(numeric)), group_by=ascii(group_by))
    return start + (GROUPS if groups else "") + ENDING


def misspelt(name: str, columns: Sequence[str]) -> str:
    """Drop a letter (or double the name) so that it names no column of the table."""
    known = set(columns)
    candidates = (name[:place] + name[place + 1 :] for place in range(len(name) - 1, 0, -1))
    wrong = next((candidate for candidate in candidates if candidate not in known), name + name)
    while wrong in known:
        wrong += name
    return wrong


def _line(text: str, mark: str) -> Any:
    """Read the JSON value of the line that begins with `mark`; a header cannot fake one, as JSON has no raw newline."""
    for line in text.split("\n"):
        if line.startswith(mark):
            return json.loads(line[len(mark) :])
    return None
