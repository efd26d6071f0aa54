"""`hagane checkpoints` as a user calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from store_helpers import DAY, Opener, begin, commit

from hagane._core import Blob
from hagane.cli import main
from hagane.rollback.difference import differences

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The options that name a store with two checkpoints, the second in another zone of the past."""
    opener: Opener = request.getfixturevalue(f"{request.param}_opener")
    store = opener(max_age_seconds=None)
    epoch = begin(store, at=DAY, inputs={"x": 1}, notes=["a", "b"])
    commit(store, epoch, 2, at=2 * DAY, inputs={"x": 1.0}, notes=["a", "b", "c"], new=float("nan"))
    store.put("c", "t", "k", Blob(1), at=1)
    store.close()
    if request.param == "sqlite":
        return ["--db", str(tmp_path / "runs.db")]
    url, schema = request.getfixturevalue("postgres_place")
    return ["--db", url, "--schema", schema]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*words: Any) -> tuple[int, str, str]:
        status = main(["checkpoints", *map(str, words)])
        return (status, *capsys.readouterr())

    return call


def test_ls_lists_the_newest_first(command: Command, place: list[str]) -> None:
    status, out, _ = command("ls", *place)
    lines = out.splitlines()
    assert (status, lines[0].split()) == (0, ["NUMBER", "WHEN", "(UTC)", "SIZE", "THREAD", "RUN", "LABEL"])
    assert lines[1].split()[:3] == ["2", "1970-01-03", "00:00:00"]
    assert [line.split()[-1] for line in lines[1:]] == ["2", "start"]
    assert len(command("ls", *place, "--limit", 1)[1].splitlines()) == 2
    assert len(command("ls", *place, "--thread", "nobody")[1].splitlines()) == 1


def test_show_prints_a_state(command: Command, place: list[str]) -> None:
    status, out, _ = command("show", 1, *place)
    assert (status, [line.split(" ")[0] for line in out.splitlines()]) == (0, ["inputs", "notes"])
    assert "{'x': 1}" in out
    assert command("show", 1, "--key", "notes", *place)[1] == "['a', 'b']\n"


def test_diff_prints_what_differs(command: Command, place: list[str]) -> None:
    status, out, _ = command("diff", 1, 2, *place)
    assert (status, out.splitlines()) == (1, ["~ inputs.x: 1 -> 1.0", "+ notes[2]: 'c'", "+ new: nan"])
    assert command("diff", 2, 1, *place)[1].splitlines()[-1] == "- new: nan"
    assert command("diff", 2, 2, *place) == (0, "", "")


def test_prune_says_what_went(command: Command, place: list[str]) -> None:
    status, out, _ = command("prune", "--keep", 1, "--days", 36500, *place)
    assert (status, out.split(" parts")[0]) == (0, "removed: 1 checkpoints, 0 runs, 2")
    assert command("show", 1, *place)[0] == 2
    assert "removed: 0 checkpoints" in command("prune", "--thread", "nobody", *place)[1]


def test_du_says_how_much_is_there(command: Command, place: list[str]) -> None:
    status, out, _ = command("du", *place)
    figures = dict(line.rsplit("  ", 1) for line in out.splitlines())
    found = {name.strip(): figure.strip() for name, figure in figures.items()}
    assert (status, found["checkpoints"], found["events"], found["documents"]) == (0, "2", "2", "1")
    assert found["on disk"] != "0 B"


def test_what_is_not_there_is_said_in_one_line(command: Command, tmp_path: Path, place: list[str]) -> None:
    missing = tmp_path / "missing.db"
    status, out, err = command("ls", "--db", missing)
    assert (status, out) == (2, "")
    assert err == f"hagane checkpoints ls: there is no checkpoint store {missing}; name one with --db\n"
    assert not missing.exists()
    assert "no checkpoint" in command("show", 99, *place)[2]
    assert "it has inputs, notes" in command("show", 1, "--key", "x", *place)[2]
    (tmp_path / "notes.txt").write_text("no database " * 100)
    assert "damaged" in command("du", "--db", tmp_path / "notes.txt")[2]


@pytest.mark.parametrize(
    "words",
    [
        ["prune", "--keep", "0"],
        ["prune", "--days", "-1"],
        ["ls", "--limit", "x"],
        ["nothing"],
        ["show", "99999999999999999999"],
        ["show", "9" * 5000],
        ["diff", "1", "-1"],
        ["diff", "99999999999999999999", "1"],
    ],
)
def test_options_that_cannot_be_meant_are_refused(command: Command, words: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        command(*words)
    assert refused.value.code == 2


def test_a_store_without_a_name_is_said_in_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "no checkpoint store is named; name one with --db or HAGANE_CHECKPOINTS\n"
    assert command("ls", "--db", "") == (2, "", f"hagane checkpoints ls: {said}")
    monkeypatch.setenv("HAGANE_CHECKPOINTS", "")
    assert command("du") == (2, "", f"hagane checkpoints du: {said}")
    assert command("ls", "--db", "a\0b")[0] == 2


@pytest.mark.parametrize("at", [-(10**18), 10**18, 2**63 - 1])
def test_a_moment_beyond_the_calendar_does_not_hide_the_rest(
    command: Command, tmp_path: Path, sqlite_opener: Opener, at: int
) -> None:
    store = sqlite_opener(max_age_seconds=None)
    epoch = begin(store, at=DAY, n=1)
    commit(store, epoch, 2, at=at, n=2)
    store.close()
    status, out, _ = command("ls", "--db", tmp_path / "runs.db")
    assert (status, [line.split()[1] for line in out.splitlines()[1:]]) == (0, [f"({at}", "1970-01-02"])


def test_a_class_that_is_not_registered_does_not_hide_the_rest(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_opener: Opener
) -> None:
    from registered_types import Colour

    from hagane.rollback import registry

    store = sqlite_opener()
    begin(store, colour=Colour.RED, number=1)
    store.close()
    monkeypatch.setattr(registry, "_by_name", {})
    status, out, _ = command("show", 1, "--db", tmp_path / "runs.db")
    assert status == 0
    assert "cannot be shown" in out
    assert out.splitlines()[1].endswith(": 1")


def test_differences_go_into_what_they_can() -> None:
    found = differences({"a": (1, [2]), "b": 1, "c": {}}, {"a": (1, [3]), "b": "1", "d": None})
    assert [(one.path, one.kind) for one in found] == [
        ("a[1][0]", "changed"),
        ("b", "changed"),
        ("c", "removed"),
        ("d", "added"),
    ]
