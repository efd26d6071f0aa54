"""Events of the core arrive in `logging`: names, levels, fields, order; nothing blocks, nothing is lost in silence."""

from __future__ import annotations

import logging
import subprocess
import sys
import time

import pytest

from hagane import _core

TARGET = "hagane.bindings.log"


@pytest.fixture(autouse=True)
def _levels():
    yield
    for name in ("hagane", TARGET):
        logging.getLogger(name).setLevel(logging.NOTSET)
    _core._flush_logs()


def emit(level: str, count: int = 1) -> None:
    _core._emit_logs(level, count)
    _core._flush_logs()


@pytest.mark.parametrize(
    ("level", "number"),
    [("error", 40), ("warning", 30), ("info", 20), ("debug", 10), ("trace", 5)],
)
def test_an_event_becomes_a_record_with_name_level_and_fields(caplog, level, number):
    caplog.set_level(1, logger="hagane")
    _core._flush_logs()
    before = time.time()
    emit(level)
    records = [record for record in caplog.records if record.name == TARGET]
    assert [(record.levelno, record.getMessage()) for record in records] == [(number, "emitted index=0")]
    assert before - 1 < records[0].created < time.time() + 1
    assert records[0].pathname.endswith("log.rs")


def test_records_keep_their_order(caplog):
    caplog.set_level(logging.INFO, logger="hagane")
    _core._flush_logs()
    emit("info", 300)
    messages = [record.getMessage() for record in caplog.records if record.name == TARGET]
    assert messages == [f"emitted index={index}" for index in range(300)]


@pytest.mark.parametrize("name", ["hagane", TARGET])
def test_levels_follow_the_loggers(caplog, name):
    caplog.handler.setLevel(0)
    logging.getLogger(name).setLevel(logging.DEBUG)
    _core._flush_logs()
    emit("debug")
    logging.getLogger(name).setLevel(logging.ERROR)
    _core._flush_logs()
    emit("warning")
    assert [record.levelname for record in caplog.records if record.name == TARGET] == ["DEBUG"]


def test_a_quiet_sibling_does_not_get_what_a_verbose_one_asked_for(caplog):
    logging.getLogger("hagane.other").setLevel(logging.DEBUG)
    try:
        _core._flush_logs()
        emit("debug")
        assert [record for record in caplog.records if record.name == TARGET] == []
    finally:
        logging.getLogger("hagane.other").setLevel(logging.NOTSET)


def test_logging_disable_is_honoured(caplog):
    caplog.set_level(logging.DEBUG, logger="hagane")
    logging.disable(logging.WARNING)
    try:
        _core._flush_logs()
        emit("warning")
        emit("error")
    finally:
        logging.disable(logging.NOTSET)
    assert [record.levelname for record in caplog.records if record.name == TARGET] == ["ERROR"]


def test_a_flood_under_the_gil_neither_blocks_nor_grows_and_is_counted(caplog):
    caplog.set_level(logging.INFO, logger="hagane")
    _core._flush_logs()
    # The GIL is held throughout, so no batch can be delivered meanwhile: an emitter that waited would never return.
    emit("info", 20_000)
    arrived = [record for record in caplog.records if record.name == TARGET]
    dropped = [record.args[0] for record in caplog.records if record.name == "hagane.log"]
    assert 1024 <= len(arrived) < 20_000
    assert len(arrived) + sum(dropped) == 20_000


def test_an_unknown_level_is_a_value_error():
    with pytest.raises(ValueError, match="no level of tracing"):
        _core._emit_logs("loud", 1)


def run_python(code: str) -> tuple[int, str, str]:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    return result.returncode, result.stdout, result.stderr


def test_records_are_flushed_at_exit_even_if_logging_came_after_hagane(tmp_path):
    log = tmp_path / "program.log"
    code = f"""
from hagane import _core
import logging
logging.basicConfig(level=logging.INFO, filename={str(log)!r}, filemode="w", format="%(name)s %(message)s")
_core._flush_logs()
_core._emit_logs("info", 300)
"""
    assert run_python(code) == (0, "", "")
    assert log.read_text().splitlines() == [f"{TARGET} emitted index={index}" for index in range(300)]


def test_a_warning_is_seen_in_a_program_that_never_imported_logging():
    status, _, error = run_python(
        "from hagane import _core; _core._emit_logs('warning', 1); _core._emit_logs('info', 1)"
    )
    assert (status, error) == (0, "emitted index=0\n")


def test_a_level_set_before_an_entry_into_the_runtime_counts_for_it():
    code = """
import logging, sys
from hagane import _core
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(name)s %(message)s")
_core._sleep_sync(0.001)
"""
    status, output, error = run_python(code)
    assert (status, error) == (0, "")
    assert "hagane.bindings.runtime runtime started pid=" in output


def test_a_forked_child_logs_through_a_queue_of_its_own():
    code = """
import logging, os, signal, sys
from hagane import _core
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(process)d %(message)s")
_core._flush_logs()
_core._emit_logs("info", 1)
_core._flush_logs()
sys.stdout.flush()
pid = os.fork()
if pid == 0:
    signal.alarm(20)
    _core._emit_logs("info", 2)
    sys.exit(0)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
_core._emit_logs("info", 1)
_core._flush_logs()
print(os.getpid(), pid, status)
"""
    status, output, error = run_python(code)
    *lines, last = output.splitlines()
    parent, child, child_status = last.split()
    assert (status, error, child_status) == (0, "", "0")
    expected = [f"{parent} emitted index=0", f"{child} emitted index=0", f"{child} emitted index=1"]
    assert lines == [*expected, f"{parent} emitted index=0"]
