"""What all commands share: where their help and version go, and what happens when they cannot be written."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hagane import __version__


def run(*arguments: str, into: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hagane", *arguments]
    if into is None:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    with open(into, "w") as target:
        return subprocess.run(command, stdout=target, stderr=subprocess.PIPE, text=True, timeout=60, check=False)


def test_the_version_is_told() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"hagane {__version__}\n", "")


@pytest.mark.parametrize("command", [[], ["demo"], ["serve-metrics"], ["dashboards", "export"], ["alerts", "export"]])
def test_help_is_told(command: list[str]) -> None:
    done = run(*command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(" ".join(["usage: hagane", *command]))


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["demo", "--help"], ["alerts", "--help"]])
def test_what_cannot_be_written_is_one_clear_line(arguments: list[str]) -> None:
    done = run(*arguments, into="/dev/full")
    assert done.returncode == 2
    assert done.stderr == (
        "hagane: cannot write to standard output: No space left on device; send it to another place\n"
    )


@pytest.mark.parametrize("arguments", [["--version"], ["demo", "--help"]])
def test_a_reader_that_has_gone_is_no_complaint(arguments: list[str]) -> None:
    shell = f"{sys.executable} -m hagane {' '.join(arguments)} | true"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [[], ["sing"], ["demo", "--sing"]])
def test_what_is_not_understood_is_one_line_and_status_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "--help`" in done.stderr
