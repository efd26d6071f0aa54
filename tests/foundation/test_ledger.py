"""`make services-down` stops what `make services-up` started, all of it, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools" / "services"
FAMILY = "import os, time; os.fork(); os.fork(); time.sleep(300)"


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import ledger

    monkeypatch.setattr(ledger, "FOLDER", tmp_path / ".hagane")
    monkeypatch.setattr(ledger.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(ledger, "STOP_SECONDS", 1.0)
    return ledger


def started(ledger, code: str, environment: dict[str, str]):
    book = ledger.Ledger()
    folder = book.directory("sleeper")
    process = book.spawn("sleeper", [sys.executable, "-c", code], environment)
    return book, folder, process


def wait_for_members(ledger, process, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(ledger.session_members(process.pid, 0)) < count:
        assert time.monotonic() < deadline, "the processes did not start"
        time.sleep(0.01)


def test_stop_ends_every_process_of_the_session_and_removes_the_folder(ledger):
    book, folder, process = started(ledger, FAMILY, {})
    wait_for_members(ledger, process, 4)
    assert ledger.Ledger().stop("sleeper")
    assert ledger.session_members(process.pid, 0) == []
    book = ledger.Ledger()
    book.remove()
    assert not folder.parent.exists()
    assert list(ledger.FOLDER.iterdir()) == []
    process.wait()


def test_a_process_that_ignores_the_signal_is_killed(ledger):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
    book, _, process = started(ledger, code, {})
    wait_for_members(ledger, process, 1)
    assert book.stop("sleeper")
    process.wait()


def test_a_process_that_only_has_the_same_number_is_left_alone(ledger):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as other:
        later = ledger.start_time(other.pid) + 1
        assert ledger.stop_session(other.pid, later, 15)
        assert other.poll() is None
        other.communicate(b"\n")
    assert other.returncode == 0


def test_the_environment_file_names_what_was_started(ledger):
    book, _, process = started(ledger, FAMILY, {"HAGANE_REDIS_URL": "redis://127.0.0.1:1/0"})
    book.write_environment()
    assert (ledger.FOLDER / "services.env").read_text() == "HAGANE_REDIS_URL=redis://127.0.0.1:1/0\n"
    book.stop("sleeper")
    process.wait()


def test_a_borrowed_service_is_never_stopped(ledger):
    book = ledger.Ledger()
    book.borrow("docker", {"DOCKER_HOST": "unix:///somewhere"})
    assert ledger.Ledger().borrowed("docker")
    assert book.stop("docker")
    assert ledger.Ledger().names() == []


def test_a_dead_process_has_no_start_time(ledger):
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    assert ledger.start_time(process.pid) is None
    assert ledger.start_time(os.getpid()) is not None
