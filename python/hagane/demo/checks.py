"""What the gates judge by: how much of the summary is there, and whether it speaks of every row of the file."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hagane.demo.table import parse_table, read_file

MISSING_GROUP = "(missing)"
STATISTICS = ("count", "mean", "min", "max")


def group_values(data: bytes, group_by: str) -> list[str]:
    """List the distinct values of the column `group_by` in a normalised table, in order of appearance."""
    rows = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""))
    return list(dict.fromkeys(row[group_by] or MISSING_GROUP for row in rows))


def completeness_score(summary: Mapping[str, Any], numeric: Sequence[str], groups: Sequence[str]) -> float:
    """Score from 0 to 100: half for the statistics of each numeric column, half for its mean in each group."""
    overall = _mapping(summary.get("overall"))
    by_group = _mapping(summary.get("groups"))
    columns = sum(_is_described(_mapping(overall.get(name))) for name in numeric)
    means = sum(name in _mapping(_mapping(by_group.get(group)).get("means")) for group in groups for name in numeric)
    return 50.0 * columns / len(numeric) + 50.0 * means / (len(numeric) * len(groups))


def _is_described(statistics: Mapping[str, Any]) -> bool:
    """Whether count, mean, min and max are there; a column without values has a count of 0 and nothing else to tell."""
    return bool(statistics.get("count") == 0) or all(is_number(statistics.get(key)) for key in STATISTICS)


def count_rows(path: Path) -> int:
    """Count the data rows of the file itself, independently of what the load stage passed on."""
    data, _ = read_file(path)
    return len(parse_table(data, path.name).rows)


def consistency_score(summary: Mapping[str, Any], rows_in_file: int) -> float:
    """Score from 0 to 100: 100 where the summary, and its groups together, speak of exactly the rows of the file."""
    groups = [_mapping(group).get("rows") for group in _mapping(summary.get("groups")).values()]
    claimed = [summary.get("rows"), sum(rows for rows in groups if isinstance(rows, int))]
    shares = [min(rows, rows_in_file) / max(rows, rows_in_file) for rows in claimed if isinstance(rows, int)]
    return 100.0 * min(shares) if len(shares) == 2 else 0.0


def is_number(value: object) -> bool:
    """Whether `value` is a finite int or float, and not a bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def fault_of(answer: object) -> str | None:
    """Say what makes `answer` unusable as a summary (a part that is missing is the gate's business), or None."""
    if not isinstance(answer, Mapping) or not isinstance(answer.get("rows"), int):
        return 'it must be a JSON object with the number of data rows under "rows"'
    for name, statistics in _mapping(answer.get("overall")).items():
        if not all(value is None or is_number(value) for value in _mapping(statistics).values()):
            return f"overall[{name!r}] must hold numbers or null"
    for value, group in _mapping(answer.get("groups")).items():
        if not isinstance(_mapping(group).get("rows"), int):
            return f'groups[{value!r}] must have its number of rows under "rows"'
        if not all(mean is None or is_number(mean) for mean in _mapping(_mapping(group).get("means")).values()):
            return f"groups[{value!r}]['means'] must hold numbers or null"
    return None
