"""Each bad input: one clear line on stderr, exit status 2, nothing written."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from demo_command import COMMAND, Demo


def content(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


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
    "an open quote": (content(b'a,b\nx,1\n"y,2\n'), "line 3: not valid CSV"),
}


def assert_one_clear_line(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 2, done
    assert done.stderr.startswith("hagane demo: ")
    assert done.stderr.count("\n") == 1
    assert len(done.stderr) < 400
    import re

    assert re.search(words, done.stderr), done.stderr
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_table(demo: Demo, name: str) -> None:
    make, words = FILES[name]
    make(demo.directory / "table.csv")
    assert_one_clear_line(demo.run("--csv", "table.csv"), words)
    assert not (demo.directory / "hagane-report").exists()
    assert not (demo.directory / ".hagane").exists()


def test_an_output_that_cannot_be_written(demo: Demo) -> None:
    (demo.directory / "taken").write_text("a file")
    done = demo.run("--report", "taken/here")
    assert_one_clear_line(done, "cannot write the report to .*taken/here")
    assert "stage" not in done.stdout, "nothing may run before the output is known to be writable"


def test_a_database_in_an_impossible_place(demo: Demo) -> None:
    (demo.directory / "taken").write_text("a file")
    assert_one_clear_line(demo.run("--db", "taken/demo.sqlite"), "taken")


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
        assert_one_clear_line(demo.run("--port", port), port)
    assert list(demo.directory.iterdir()) == []


def test_an_unknown_sandbox(demo: Demo) -> None:
    assert_one_clear_line(demo.run(HAGANE_SANDBOX="nowhere"), "unknown sandbox provider 'nowhere'")
    assert list(demo.directory.iterdir()) == []


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (util-linux)")
def test_a_kernel_that_refuses_the_sandbox(demo: Demo) -> None:
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", *COMMAND]
    done = subprocess.run(
        command,
        cwd=demo.directory,
        env=demo.environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert_one_clear_line(done, "namespaces failed.*max_user_namespaces")
    assert list(demo.directory.iterdir()) == []


def test_a_model_server_that_is_not_there_fails_the_stage_and_can_be_resumed(demo: Demo) -> None:
    done = demo.run("--llm", "http://127.0.0.1:1/v1", "--model", "m", no_proxy="*")
    assert done.returncode == 1
    assert "error: cannot reach http://127.0.0.1:1/v1/chat/completions" in done.stdout
    assert "Traceback" not in done.stderr
    assert list((demo.directory / "hagane-report").iterdir()) == []


@pytest.mark.parametrize("options", [["--llm", "http://127.0.0.1:1/v1"], ["--model", "m"]])
def test_a_model_needs_address_and_name(demo: Demo, options: list[str]) -> None:
    assert_one_clear_line(demo.run(*options), "go together")


@pytest.mark.parametrize("options", [["--port", "70000"], ["--serve", "-1"], ["--serve", "nan"], ["--serve", "soon"]])
def test_a_bad_option_is_a_usage_error(demo: Demo, options: list[str]) -> None:
    done = demo.run(*options)
    assert done.returncode == 2
    assert "usage: hagane demo" in done.stderr
