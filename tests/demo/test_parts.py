"""The parts of the demonstration that decide: gates' scores, the approval policy, publishing, the drawing's numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hagane.commands.streams import one_line
from hagane.demo import checks, drawing
from hagane.demo.policy import approve
from hagane.demo.publish import OutputError, is_published, publish, rename_all
from hagane.demo.stages import ReportStage
from hagane.demo.timeline import Timeline
from hagane.errors import PipelineError

STATISTICS = {"count": 2, "mean": 1.0, "min": 1, "max": 1}


def test_completeness_counts_what_is_there() -> None:
    summary: dict[str, object] = {"overall": {"a": STATISTICS, "b": STATISTICS}}
    assert checks.completeness_score(summary, ["a", "b"], ["x"]) == 50.0
    summary["groups"] = {"x": {"rows": 2, "means": {"a": 1.0, "b": None}}}
    assert checks.completeness_score(summary, ["a", "b"], ["x"]) == 100.0
    assert checks.completeness_score(summary, ["a", "b"], ["x", "y"]) == 75.0
    assert checks.completeness_score({}, ["a"], ["x"]) == 0.0
    assert checks.completeness_score({"overall": {"a": {"count": 3, "mean": float("nan")}}}, ["a"], ["x"]) == 0.0


@pytest.mark.parametrize(
    ("summary", "score"),
    [
        ({"rows": 4, "groups": {"a": {"rows": 1}, "b": {"rows": 3}}}, 100.0),
        ({"rows": 2, "groups": {"a": {"rows": 1}, "b": {"rows": 3}}}, 50.0),
        ({"rows": 4, "groups": {"a": {"rows": 8}}}, 50.0),
        ({"rows": 4}, 0.0),
        ({}, 0.0),
    ],
)
def test_consistency_is_the_share_of_the_files_rows(summary: dict[str, object], score: float) -> None:
    assert checks.consistency_score(summary, 4) == score


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {"rows": "4"},
        {"rows": 4, "overall": {"a": {"mean": "x"}}},
        {"rows": 4, "groups": {"a": {}}},
        {"rows": 4, "groups": {"a": {"rows": 1, "means": {"n": "x"}}}},
    ],
)
def test_an_answer_of_another_shape_is_told_to_the_model(answer: object) -> None:
    assert checks.fault_of(answer)


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import csv, json\nfrom statistics import mean", True),
        ("import os", False),
        ("import json, socket", False),
        ("from subprocess import run", False),
        ("from . import x", False),
        ("def f():\n    import ctypes", False),
        ("__import__('os')", False),
        ("exec('import os')", False),
    ],
)
def test_the_policy_reads_imports(code: str, allowed: bool) -> None:
    assert approve(code, 1) is allowed


def test_publishing_replaces_all_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()  # a directory stands where a file is to go
    (tmp_path / "a").write_text("old")
    with pytest.raises(OutputError, match=r"cannot write the report to .*/b: Is a directory"):
        publish({"b": b"new", "a": b"new"}, tmp_path, "run-1")
    assert (tmp_path / "a").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_file_that_cannot_be_renamed_puts_back_those_before_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    for name in ("a", "b"):
        (tmp_path / f".{name}").write_text("new")
    beside = {tmp_path / name: tmp_path / f".{name}" for name in ("a", "b", "c")}
    with pytest.raises(OutputError, match=r"cannot write the report to .*/c: No such file"):
        rename_all(beside)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def test_publishing_over_a_report_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    publish({"a": b"new", "b": b"new"}, tmp_path, "run-1")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"new", "b": b"new"}


def test_what_a_killed_run_left_is_gone_when_it_publishes(tmp_path: Path) -> None:
    for name in (".run-1-0", ".run-1-0-former"):
        (tmp_path / name).write_text("hal")
    assert publish({"a": b"whole"}, tmp_path, "run-1") == [tmp_path / "a"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert is_published({"a": b"whole"}, tmp_path)
    assert not is_published({"a": b"other"}, tmp_path)
    assert not is_published({"a": b"whole", "b": b""}, tmp_path)


@given(st.floats(-1e290, 1e290), st.floats(-1e290, 1e290))
def test_the_axis_covers_the_bars_with_few_marks(one: float, other: float) -> None:
    low, high = min(0.0, one, other), max(0.0, one, other)
    if high - low <= 1e-300:
        return
    marks = drawing.ticks(low, high)
    assert 2 <= len(marks) <= 8
    slack = (high - low) * 1e-9
    assert marks[0] <= low + slack
    assert marks[-1] >= high - slack


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0, "0"),
        (100.0, "100"),
        (2007.5, "2007.5"),
        (12345.678, "12,345.68"),
        (0.00012345, "0.000123"),
        (1e9, "1e+09"),
    ],
)
def test_numbers_read_well(value: float | None, shown: str) -> None:
    assert drawing.number(value) == shown


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_printed(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= 300
    assert one_line(text, None).isprintable()


def test_an_error_may_be_as_long_as_it_needs_to_be() -> None:
    assert one_line("word " * 1000, None) == "word " * 999 + "word"


def test_colours_are_for_terminals_only() -> None:
    plain: list[str] = []
    coloured: list[str] = []
    event = {
        "type": "gate",
        "stage": "s",
        "attempt": 1,
        "gate": "g",
        "verdict": "failed",
        "reason": "no",
        "score": None,
    }
    Timeline(plain.append).show(event)
    Timeline(coloured.append, colour=True).show(event)
    assert "\x1b" not in plain[0]
    assert "\x1b[31m" in coloured[0]


async def test_a_drawing_program_that_fails_says_so() -> None:
    table = {"file": "t.csv", "numeric": ["n"], "group_by": "g"}
    with pytest.raises(PipelineError, match="the report's program failed: KeyError"):
        await ReportStage().run({"load_result": table, "analyse_result": {"summary": {}}})
