"""Each bad input: one clear line on stderr, exit status 2, nothing written."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from demo_command import Demo


def content(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


FILES = {
    "missing": (lambda path: None, "cannot read .*table.csv: No such file"),
    "a directory": (lambda path: path.mkdir(), "is a directory"),
    "binary": (content(b"\x7fELF\x02\x01\x01\0\0\0" * 20), "binary file"),
    "UTF-16": (content("a,b\n1,x\n".encode("utf-16")), "binary file"),
    "Latin-1": (content("name,n\nJosé,1\n".encode("latin-1")), "not UTF-8 text"),
    "empty": (content(b""), "is empty"),
    "blank": (content(b"\xef\xbb\xbf \r\n\n"), "is empty"),
    "header only": (content(b"a,b\n"), "a header and no rows"),
    "no numeric column": (content(b"a,b\nx,y\n"), "no numeric column"),
    "no text column": (content(b"a,b\n1,2\n"), "no text column"),
    "only missing values": (content(b"a,b\nNA,x\n"), "no numeric column"),
    "prose": (content(b"Dear reader,\nthis is a letter.\n"), "fields, the header has|no numeric column"),
    "ragged": (content(b"a,b\nx,1\ny,2,3\n"), "line 3: 3 fields, the header has 2"),
    "a fifo": (lambda path: os.mkfifo(path), "table.csv is not a regular file: save it to a file first"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "table.csv is not a regular file: save it to a file"),
    "a socket": (lambda path: bind(path), "table.csv is not a regular file: save it to a file first"),
    "a column name of 100 kB": (
        content(b"s," + b"n" * 100_000 + b"\na,1\n"),
        "table.csv, column 2: its name has 100,000 characters, at most 1,000",
    ),
    "an open quote": (content(b'a,b\nx,1\n"y,2\n'), "line 3: not valid CSV"),
}


def assert_one_clear_line(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 2, done
    assert done.stderr.startswith("hagane demo: ")
    assert done.stderr.count("\n") == 1
    assert re.search(words, done.stderr), done.stderr
    assert "[Errno" not in done.stderr
    assert "--resume" not in done.stderr, "there is nothing to go on with"
    assert done.stdout == "", "nothing may run before everything is known to be in order"


def assert_refused(demo: Demo, words: str, *options: str) -> None:
    """One clear line, and the working directory is as it was."""
    before = demo.tree()
    assert_one_clear_line(demo.run(*options), words)
    assert demo.tree() == before


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_table(demo: Demo, name: str) -> None:
    make, words = FILES[name]
    make(demo.directory / "table.csv")
    assert_refused(demo, words, "--csv", "table.csv")


def test_a_pipe_from_another_command(demo: Demo) -> None:
    done = demo.run_in(["bash", "-c", 'exec "$@" --csv <(cat /dev/null)', "bash"])
    assert_one_clear_line(done, r"/dev/fd/\d+ is not a regular file")
    assert demo.tree() == {}


@pytest.mark.parametrize("report", ["taken/here", "taken", "directory", "directory/report.md", "x" * 253 + ".md"])
def test_a_report_that_cannot_be_written(demo: Demo, report: str) -> None:
    (demo.directory / "taken").write_text("a file")
    (demo.directory / "directory" / "report.md").mkdir(parents=True)
    named = "directory/report.md" if report == "directory" else report
    assert_refused(demo, f"cannot write the report to .*/{named}: .*--report", "--report", report)


def test_a_figure_that_a_directory_stands_in_the_way_of(demo: Demo) -> None:
    (demo.directory / "hagane-report" / "plot.svg").mkdir(parents=True)
    assert_refused(demo, "cannot write the report to .*/hagane-report/plot.svg: Is a directory")


@pytest.mark.parametrize("database", ["taken/demo.sqlite", "directory", "/dev/null", "/proc/x/y.sqlite"])
def test_a_database_that_cannot_be_written_leaves_no_report_directory(demo: Demo, database: str) -> None:
    (demo.directory / "taken").write_text("a file")
    (demo.directory / "directory").mkdir()
    words = f"cannot write the checkpoint database {database}: .*--db"
    assert_refused(demo, words, "--db", database, "--report", "new/and/deep")


def test_a_database_that_sqlite_refuses_leaves_no_directory(demo: Demo) -> None:
    name = "x" * 250  # the file could be made, its journal beside it not
    assert_refused(demo, name, "--db", f"new/{name}", "--report", "other/new")


def as_somebody() -> list[str]:
    """How to run as a user whom permissions stop: root becomes another in a namespace of its own."""
    if os.geteuid():
        return ["env"]
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare (util-linux) to stop being root")
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


def test_a_read_only_database_is_found_before_anything_runs(demo: Demo) -> None:
    assert demo.run("--db", "demo.sqlite").returncode == 0
    (demo.directory / "demo.sqlite").chmod(0o444)
    before = demo.tree()
    for options in ([], ["--resume"]):
        done = demo.run_in(as_somebody(), "--db", "demo.sqlite", *options)
        assert_one_clear_line(done, "cannot write the checkpoint database demo.sqlite: Permission denied.*--db")
    assert demo.tree() == before


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (util-linux)")
def test_a_read_only_working_directory(demo: Demo) -> None:
    script = 'mount -t tmpfs -o ro none . && cd "$PWD" && exec "$@"'
    prefix = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    assert_one_clear_line(demo.run_in(prefix), "cannot write the report to .*/hagane-report: Read-only.*--report")


def test_a_damaged_database_is_left_as_it_is(demo: Demo) -> None:
    database = demo.directory / "demo.sqlite"
    database.write_bytes(b"not a database, but long enough to look at" * 50)
    before = database.read_bytes()
    for options in ([], ["--resume"]):
        assert_one_clear_line(demo.run("--db", "demo.sqlite", *options), "demo.sqlite")
    assert database.read_bytes() == before
    assert not (demo.directory / "hagane-report").exists()


def test_a_port_in_use(demo: Demo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert_refused(demo, f"^hagane demo: --port: .*{port}.*in use", "--port", port)


def test_a_full_disk_behind_standard_output(demo: Demo) -> None:
    done = demo.run_in(["sh", "-c", 'exec "$@" >/dev/full', "sh"])
    assert_one_clear_line(done, "cannot write to standard output: No space left on device")
    assert demo.tree() == {}


def test_an_unknown_sandbox(demo: Demo) -> None:
    assert_one_clear_line(demo.run(HAGANE_SANDBOX="nowhere"), "unknown sandbox provider 'nowhere'")
    assert list(demo.directory.iterdir()) == []


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (util-linux)")
def test_a_kernel_that_refuses_the_sandbox(demo: Demo) -> None:
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    done = demo.run_in(["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"])
    assert_one_clear_line(done, "namespaces failed.*max_user_namespaces.*--security-opt systempaths=unconfined")
    assert list(demo.directory.iterdir()) == []


def test_a_model_server_that_is_not_there_fails_the_stage_and_can_be_resumed(demo: Demo) -> None:
    done = demo.run("--llm", "http://127.0.0.1:1/v1", "--model", "m", no_proxy="*")
    assert done.returncode == 1
    assert "error: cannot reach http://127.0.0.1:1/v1/chat/completions" in done.stdout
    assert done.stderr == (
        "hagane demo: the run ended as failed; once its cause is put right go on with "
        "`hagane demo --resume --llm http://127.0.0.1:1/v1 --model m`\n"
    )
    assert not (demo.directory / "hagane-report").exists()
    again = demo.run("--resume", no_proxy="*")
    assert "resuming run" in again.stdout
    assert "go on with `hagane demo --resume`\n" in again.stderr


@pytest.mark.parametrize("options", [["--llm", "http://127.0.0.1:1/v1"], ["--model", "m"]])
def test_a_model_needs_address_and_name(demo: Demo, options: list[str]) -> None:
    assert_one_clear_line(demo.run(*options), "go together")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--port", "70000"),
        ("--port", "abc"),
        ("--serve", "-1"),
        ("--serve", "nan"),
        ("--serve", "soon"),
        ("--db", ""),
        ("--csv", ""),
        ("--report", ""),
    ],
)
def test_a_bad_option_is_named(demo: Demo, option: str, value: str) -> None:
    assert_refused(demo, f"argument {option}: .*(is not a|is no path).*see `hagane demo --help`", f"{option}={value}")
