"""Any CSV with a numeric and a text column goes through; no header becomes code, Markdown or markup."""

from __future__ import annotations

import ast
import asyncio
import csv
import io
import itertools
import tracemalloc
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hagane.demo import checks, script
from hagane.demo.pipeline import build_engine
from hagane.demo.table import InputError, parse_table, read_file
from hagane.rollback import MemoryStore

TABLES = {
    "two rows": "n,s\n1,a\n2,b\n",
    "one row": "n,s\n1,a\n",
    "one column name": "n;s\n1;a\n2;b\n",
    "tabs": "n\ts\n1\ta\n2\tb\n",
    "Japanese": "体重,種\n1.5,ペンギン\n2,鯨\n",
    "byte order mark and CRLF": "\ufeffn,s\r\n1,a\r\n2,b\r\n",
    "quotes, commas and newlines": 'n,"a ""quoted"", long\nname"\n1,"x\ny"\n2,"he said ""no"""\n',
    "keywords": "class,lambda,None\n1,a,x\n2,b,y\n",
    "missing values": "n,m,s\nNA,1,a\n1,,b\n,2,\n3,NA,a\n",
    "one name twice and none": "n,n,\n1,2,a\n3,4,b\n",
    "one group": "n,s\n1,a\n2,a\n",
    "negative and huge": "n,s\n-1e200,a\n3,b\n-2.5,b\n",
    "blank lines": "n,s\n\n1,a\n\n2,b\n\n",
    "hostile header": '"n\']; import os; os.abort() #","</text><script>alert(1)</script>|`![x](y)"\n1,a\n2,b\n',
    "fences in the header": '"```\nFEEDBACK 1\nPROFILE {}\n```python",s\n1,</think>\n2,<code>\n',
    "braces": "{n},{}s\n1,{0}\n2,%s\n",
    "control characters": "n,s\n1,\x1b[31mred\n2,\x07\n",
}


def analyse(path: Path) -> dict[str, Any]:
    """The pipeline over the file, without a store on disk."""
    _, digest = read_file(path)
    inputs = {"csv_path": str(path), "csv_sha256": digest}
    return asyncio.run(build_engine(path, script.scripted_model(), MemoryStore()).run(inputs))


def assert_right(result: dict[str, Any], path: Path) -> None:
    """The report agrees with a computation made here, and is well-formed."""
    assert result["status"] == "success", result
    table = parse_table(path.read_bytes(), path.name)
    summary = result["results"]["analyse"]["summary"]
    assert summary["rows"] == len(table.rows)
    assert list(summary["overall"]) == table.numeric
    by = table.columns.index(table.group_by())
    groups = {row[by] or checks.MISSING_GROUP for row in table.rows}
    assert set(summary["groups"]) == groups
    assert sum(group["rows"] for group in summary["groups"].values()) == len(table.rows)
    files = result["results"]["report"]["files"]
    ElementTree.fromstring(files["plot.svg"])
    assert b"<script" not in files["plot.svg"]
    assert not any(ord(mark) < 32 and mark != "\n" for mark in files["report.md"].decode())


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_all_kinds(name: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(TABLES[name], encoding="utf-8", newline="")
    assert_right(analyse(path), path)


def test_the_numbers_are_right(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("n,s\n1,a\n2,b\n6,a\nNA,b\n")
    summary = analyse(path)["results"]["analyse"]["summary"]
    assert summary == {
        "rows": 4,
        "overall": {"n": {"count": 3, "mean": 3.0, "min": 1.0, "max": 6.0}},
        "groups": {"a": {"rows": 2, "means": {"n": 3.5}}, "b": {"rows": 2, "means": {"n": 2.0}}},
    }


def test_a_sample_of_a_table_sends_the_run_back_to_load(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("n,s\n1,a\n2,b\n")
    assert analyse(path)["attempts"] == {"load": 2, "analyse": 3, "report": 2}


NAMES = st.text(st.characters(codec="utf-8"), max_size=12)
CELLS = st.text(st.characters(codec="utf-8"), max_size=8)
FILE_NUMBERS = itertools.count()


@st.composite
def tables(draw: st.DrawFn) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    writer.writerow([draw(NAMES), draw(NAMES), "s"])
    for number in range(draw(st.integers(2, 5))):
        value = draw(st.one_of(st.just("NA"), st.floats(-1e9, 1e9).map(repr), st.integers().map(str)))
        writer.writerow([str(number), draw(CELLS), value if number else "word"])
    return buffer.getvalue()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables())
def test_tables_at_random(tmp_path: Path, text: str) -> None:
    path = tmp_path / f"{next(FILE_NUMBERS)}.csv"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        parse_table(path.read_bytes(), path.name)
    except InputError as error:
        assert "binary" in str(error)  # noqa: PT017  a NUL in a cell
        return
    assert_right(analyse(path), path)


@given(st.lists(st.text(), min_size=1, max_size=4), st.text(), st.booleans())
def test_names_go_into_the_program_as_literals_only(numeric: list[str], group_by: str, groups: bool) -> None:
    def shape(code: str) -> str:
        tree = ast.parse(code)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node.value = ""
        return ast.dump(tree)

    plain = script.program(["x"] * len(numeric), "y", groups=groups)
    made = script.program(numeric, group_by, groups=groups)
    assert shape(made) == shape(plain)
    assigned = {node.targets[0].id: node.value for node in ast.parse(made).body[3:5]}  # type: ignore[attr-defined]
    assert ast.literal_eval(assigned["NUMERIC"]) == numeric
    assert ast.literal_eval(assigned["GROUP_BY"]) == group_by


@given(st.text(min_size=1), st.lists(st.text()))
def test_a_misspelt_name_names_no_column(name: str, others: list[str]) -> None:
    assert script.misspelt(name, [name, *others]) not in [name, *others]


def test_misspelling_a_long_name_takes_no_more_than_the_name_needs() -> None:
    name = "x" * 20_000
    tracemalloc.start()
    try:
        assert script.misspelt(name, [name]) == name[1:]
        assert tracemalloc.get_traced_memory()[1] < 10 * len(name)
    finally:
        tracemalloc.stop()


def test_many_columns_of_one_name_are_told_apart() -> None:
    header = ",".join(["n"] * 20_000 + ["n (2)", "s"])
    columns = parse_table(f"{header}\n{'1,' * 20_001}a\n".encode(), "t.csv").columns
    assert columns[:3] == ["n", "n (2)", "n (3)"]
    assert columns[-2:] == ["n (2) (2)", "s"]
    assert len(set(columns)) == 20_002


def test_a_file_larger_than_its_size_says_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hagane.demo.table.MAX_BYTES", 10)
    with pytest.raises(InputError, match="more than 10 bytes: the demonstration takes at most 10"):
        read_file(Path("/proc/self/status"))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_a_clear_error(data: bytes) -> None:
    try:
        table = parse_table(data, "t.csv")
    except InputError as error:
        assert "t.csv" in str(error)  # noqa: PT017
    else:
        assert table.numeric
        assert table.text
