"""A demo that is killed goes on from its last accepted stage and ends in the same report."""

from __future__ import annotations

import random
import re
import shlex
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from demo_command import Demo

from hagane.engines.events import read_history
from hagane.rollback import SqliteStore

POINTS = 20
FIRST, LAST = 3, 24  # of the 28 lines before the report: the first after a stage ran, the last before the last stage
TRIES = 10


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    demo = Demo(tmp_path_factory.mktemp("undisturbed"))
    assert demo.run().returncode == 0
    report: dict[str, bytes] = demo.report()
    return report


def kill_after(demo: Demo, lines: int, seconds: float) -> None:
    """SIGKILL the demo `seconds` after it printed that many lines."""
    process = demo.start()
    assert process.stdout is not None
    for _ in range(lines):
        process.stdout.readline()
    time.sleep(seconds)
    process.kill()
    process.communicate(timeout=30)


def events_of_all_runs(demo: Demo) -> list[list[dict[str, Any]]]:
    database = demo.directory / ".hagane" / "demo.sqlite"
    if not database.exists():
        return []
    store = SqliteStore(database)
    try:
        return [read_history(store, run.run_id) for run in store.runs()]
    finally:
        store.close()


def repeated(events: list[dict[str, Any]]) -> list[str]:
    """Stages that began again although they were accepted and nothing rolled them back."""
    accepted: list[str] = []
    again: list[str] = []
    order = ["load", "analyse", "report"]
    for event in events:
        if event["type"] == "checkpoint":
            accepted.append(event["stage"])
        elif event["type"] == "rollback":
            accepted = [stage for stage in accepted if order.index(stage) < order.index(event["to_stage"])]
        elif event["type"] == "stage_started" and event["stage"] in accepted:
            again.append(event["stage"])
    return again


def killed_in_the_middle(directory: Path, lines: int, seconds: float) -> tuple[Demo, list[dict[str, Any]]]:
    """Return a demo whose run was killed with stages still to do, and what the run had recorded."""
    for number in range(TRIES):
        place = directory / f"try-{number}"
        place.mkdir()
        kill_after(demo := Demo(place), lines, seconds / 2**number)
        runs = events_of_all_runs(demo)
        assert len(runs) == 1, "the kill fell before the run was recorded, so that there is nothing to resume"
        if runs[0][-1]["type"] != "run_completed":
            return demo, runs[0]
    pytest.fail(f"the run was over before the kill in each of {TRIES} tries")


@pytest.mark.parametrize("point", range(POINTS))
def test_sigkill_loses_nothing_and_repeats_nothing(point: int, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    chance = random.Random(point)
    lines = FIRST + round(point * (LAST - FIRST) / (POINTS - 1))
    demo, before = killed_in_the_middle(tmp_path, lines, seconds=chance.uniform(0.0, 0.08))
    resumed = demo.run("--resume")
    assert (resumed.returncode, resumed.stderr) == (0, ""), resumed.stdout
    assert "resuming run" in resumed.stdout
    after = events_of_all_runs(demo)
    assert len(after) == 1, "a resume goes on with the run that there is"
    assert after[0][: len(before)] == before, "what was recorded stays as it was"
    assert any(event["type"] == "resumed" for event in after[0][len(before) :])
    assert repeated(after[0]) == []
    assert after[0][-1]["type"] == "run_completed"
    assert demo.report() == undisturbed
    assert "nothing to resume" in demo.run("--resume").stdout


@pytest.mark.parametrize("lines", [0, 1, 27, 28])
def test_sigkill_at_either_end_leaves_nothing_that_stands_in_the_way(
    lines: int, demo: Demo, undisturbed: dict[str, bytes]
) -> None:
    kill_after(demo, lines, 0.0)
    again = demo.run("--resume") if events_of_all_runs(demo) else demo.run()
    assert (again.returncode, again.stderr) == (0, ""), again.stdout
    assert demo.report() == undisturbed


def test_the_check_for_repeated_stages_can_fail() -> None:
    started = {"type": "stage_started", "stage": "load"}
    accepted = {"type": "checkpoint", "stage": "load"}
    assert repeated([started, accepted, started]) == ["load"]
    assert repeated([started, accepted, {"type": "rollback", "to_stage": "load"}, started]) == []


def test_a_lost_report_is_written_again_without_running_anything(demo: Demo, undisturbed: dict[str, bytes]) -> None:
    demo.run()
    before = events_of_all_runs(demo)
    (demo.directory / "hagane-report" / "report.md").unlink()
    done = demo.run("--resume")
    assert done.returncode == 0
    assert demo.report() == undisturbed
    assert events_of_all_runs(demo) == before


def test_a_report_that_was_half_replaced_is_written_again(demo: Demo, undisturbed: dict[str, bytes]) -> None:
    demo.run()
    (demo.directory / "hagane-report" / "report.md").write_text("an older report")
    assert demo.run("--resume").returncode == 0
    assert demo.report() == undisturbed


def interrupted(demo: Demo, csv: Path) -> None:
    process = demo.start("--csv", str(csv))
    assert process.stdout is not None
    while "step" not in process.stdout.readline():
        assert process.poll() is None
    process.kill()
    process.communicate(timeout=30)


def test_a_table_that_changed_is_not_resumed(demo: Demo, tmp_path: Path) -> None:
    csv = tmp_path / "t.csv"
    csv.write_text("n,s\n1,a\n2,b\n3,a\n4,b\n")
    interrupted(demo, csv)
    csv.write_text("n,s\n1,a\n2,b\n3,a\n5,b\n")
    done = demo.run("--resume")
    assert done.returncode == 2
    assert "is not the table that run run-" in done.stderr
    assert done.stderr.count("\n") == 1
    csv.write_text("n,s\n1,a\n2,b\n3,a\n4,b\n")
    assert demo.run("--resume").returncode == 0, "the run waits unharmed for its table to come back"


def test_ctrl_c_leaves_a_run_that_goes_on(demo: Demo, undisturbed: dict[str, bytes]) -> None:
    process = demo.start()
    assert process.stdout is not None
    while "step" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "hagane demo: interrupted; go on with `hagane demo --resume`\n")
    assert demo.run("--resume").returncode == 0
    assert demo.report() == undisturbed
    assert repeated(events_of_all_runs(demo)[0]) == []


def test_the_way_to_go_on_has_the_options_that_were_given(demo: Demo, undisturbed: dict[str, bytes]) -> None:
    process = demo.start("--db", "my runs/a.sqlite", "--report", "out")
    assert process.stdout is not None
    while "step" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    told = "hagane demo --resume --db 'my runs/a.sqlite' --report out"
    assert (process.returncode, errors) == (130, f"hagane demo: interrupted; go on with `{told}`\n")
    assert demo.run(*shlex.split(told)[2:]).returncode == 0
    assert (demo.directory / "out" / "report.md").read_bytes() == undisturbed["report.md"]


def test_a_reader_that_goes_away_leaves_a_run_that_goes_on(demo: Demo, undisturbed: dict[str, bytes]) -> None:
    process = demo.start()
    assert process.stdout is not None
    assert process.stderr is not None
    while "step" not in process.stdout.readline():
        assert process.poll() is None
    process.stdout.close()
    with process.stderr:
        errors = process.stderr.read()
    told = "hagane demo: the reader of the output has gone; go on with `hagane demo --resume`\n"
    assert (process.wait(timeout=30), errors) == (1, told)
    assert demo.run("--resume").returncode == 0
    assert demo.report() == undisturbed


def test_nothing_to_resume(demo: Demo) -> None:
    done = demo.run("--resume")
    assert done.returncode == 2
    assert (
        done.stderr
        == "hagane demo: nothing to resume: there is no database .hagane/demo.sqlite; start with `hagane demo`\n"
    )
    assert list(demo.directory.iterdir()) == []


def test_a_run_killed_before_its_last_gates_tells_them_with_the_attempt_they_judge(demo: Demo) -> None:
    process = demo.start()
    assert process.stdout is not None
    while not re.match(r"report +1 +accepted", line := process.stdout.readline()):
        assert line
    process.kill()
    process.communicate(timeout=30)
    done = demo.run("--resume")
    assert done.returncode == 0
    judged = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("report") and " gate " in line]
    assert judged in (["1", "2"], ["2"])
