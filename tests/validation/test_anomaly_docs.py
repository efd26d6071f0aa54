"""What docs/anomaly.md says is what there is, in both languages."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from hagane.validation import StageValidator, ValidationConfig

ROOT = Path(__file__).parents[2]
PAGES = ["anomaly.md", "anomaly.ja.md"]


def page(name: str) -> str:
    return ROOT.joinpath("docs", name).read_text()


def listed(name: str) -> list[str]:
    """The rules in the first column of the table."""
    rows = re.findall(r"^\| (`[^|]+) \|", page(name), flags=re.MULTILINE)
    return re.findall(r"`(\w+)`", " ".join(row for row in rows if "=" not in row))


def test_every_rule_of_the_core_is_listed_once() -> None:
    sources = ROOT.joinpath("src/validation/anomaly").glob("*.rs")
    code = "".join(path.read_text().split("#[cfg(test)]")[0] for path in sources)
    known = set(re.findall(r'(?:rule: |finding\(\s*path,\s*|\(path, )"(\w+)"', code))
    known |= set(re.findall(r'Some\(\(path, "(\w+)"', code))
    assert len(known) >= 12
    assert sorted(listed("anomaly.md")) == sorted(known)


def test_both_languages_list_the_same_rules_and_figures() -> None:
    assert listed("anomaly.md") == listed("anomaly.ja.md")
    percentages = [re.findall(r"\d+\.\d\d %", page(name)) for name in PAGES]
    assert percentages[0] == percentages[1] != []


@pytest.mark.parametrize("name", PAGES)
def test_settings_that_are_named_exist(name: str) -> None:
    fields = {field.name for field in dataclasses.fields(ValidationConfig)}
    named = set(re.findall(r"`?\b(anomaly_\w+|baseline_version|enable_\w+)\b", page(name)))
    assert named
    assert named <= fields


@pytest.mark.parametrize("name", PAGES)
def test_the_code_runs_as_it_stands(name: str) -> None:
    names: dict[str, object] = {"output": {"score": 3}}
    for block in re.findall(r"```python\n(.*?)```", page(name), flags=re.DOTALL):
        exec(block, names)
    validator = names["validator"]
    assert isinstance(validator, StageValidator)
    assert validator.anomalies is not None
    assert validator.anomalies.outputs("analysis") == 1
