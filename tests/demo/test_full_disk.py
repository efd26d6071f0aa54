"""A disk that fills up: one clear line, what was recorded before stays, and with space again the run goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from demo_command import Demo

# A file system of its own, which grows between the two runs; both say what came of them in files.
SCRIPT = """
set -e
mount -t tmpfs -o size="$1" none disk
shift
status=0; "$@" --db disk/demo.sqlite >first.out 2>first.err || status=$?
echo $status >first.status; ls -A disk >first.left
mount -o remount,size=50m disk
status=0; "$@" --db disk/demo.sqlite $AGAIN >second.out 2>second.err || status=$?
echo $status >second.status
"""
FULL = "checkpoint store disk/demo.sqlite: database or disk is full; free space on the disk and try again"


def run_on_disk(demo: Demo, size: str, *, again: str) -> dict[str, str]:
    directory: Path = demo.directory
    (directory / "disk").mkdir()
    namespaces = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    done = demo.run_in([*namespaces, "env", f"AGAIN={again}", "sh", "-c", SCRIPT, "sh", size])
    assert (done.returncode, done.stderr) == (0, "")
    return {path.name: path.read_text() for path in directory.iterdir() if path.is_file()}


@pytest.mark.parametrize("size", ["160k", "220k", "300k"])
def test_a_disk_that_fills_up_during_the_run_loses_nothing(demo: Demo, size: str) -> None:
    told = run_on_disk(demo, size, again="--resume")
    assert told["first.status"] == "2\n"
    assert told["first.err"].startswith(f"hagane demo: {FULL}")
    assert told["first.err"].endswith("; then go on with `hagane demo --resume --db disk/demo.sqlite`\n")
    assert told["first.err"].count("\n") == 1
    assert (told["second.status"], told["second.err"]) == ("0\n", "")
    assert list(demo.report()) == ["plot.svg", "report.md"]


@pytest.mark.parametrize("size", ["4k", "40k", "80k", "96k", "112k", "128k"])
def test_a_disk_too_full_for_the_first_record_is_left_as_it_was(demo: Demo, size: str) -> None:
    told = run_on_disk(demo, size, again="")
    assert told["first.status"] == "2\n"
    assert told["first.err"].startswith(f"hagane demo: {FULL}")
    assert told["first.err"].count("\n") == 1
    assert "--resume" not in told["first.err"]
    assert told["first.left"] == ""
    assert (told["second.status"], told["second.err"]) == ("0\n", "")
