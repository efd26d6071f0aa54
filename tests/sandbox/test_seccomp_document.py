"""docs/seccomp.md names the calls that the filter allows: all of them, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "src" / "sandbox" / "local" / "seccomp.rs"
TABLES = ROOT / "src" / "sandbox" / "local" / "seccomp" / "policy.rs"


def documented(heading: str, column: int) -> set[str]:
    """The names in backquotes in one column of the table below a heading."""
    section = (ROOT / "docs" / "seccomp.md").read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| ")]
    return {name for row in rows[1:] for name in re.findall(r"`(\w+)`", row[column])}


def test_every_call_of_the_list_is_in_the_table_and_the_other_way_round() -> None:
    tables = set(re.findall(r"SYS_(\w+)", TABLES.read_text(encoding="utf-8")))
    assert documented("Allowed with any arguments", 2) == tables


def test_every_rule_on_arguments_is_in_its_table_and_the_other_way_round() -> None:
    rules = set(re.findall(r"rules\.insert\(libc::SYS_(\w+)", RULES.read_text(encoding="utf-8")))
    assert documented("Allowed with some arguments", 1) == rules


@pytest.mark.parametrize("heading", ["Allowed with any arguments", "Allowed with some arguments"])
def test_what_is_called_absent_is_absent(heading: str) -> None:
    column = 2 if "any" in heading else 1
    assert not documented("What is absent, by group", 2) & documented(heading, column)
