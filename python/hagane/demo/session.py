"""One call of `hagane demo`: checks everything first, runs or resumes the pipeline, publishes the report."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hagane.agents.llm import OpenAICompatible
from hagane.demo.pipeline import PIPELINE, build_engine
from hagane.demo.places import open_store
from hagane.demo.publish import check_writable, is_published, publish
from hagane.demo.script import scripted_model
from hagane.demo.table import InputError, parse_table, read_file
from hagane.demo.timeline import Timeline
from hagane.engines.progress import OUTPUT_KEY
from hagane.errors import HaganeError, SandboxUnavailable
from hagane.rollback import RunRecord, SqliteStore

RUNS_LOOKED_AT = 1000
UNFINISHED = ("running", "failed", "cancelled")
APPROVAL = "approval: a policy on imports"


class NothingToResume(ValueError):
    """The database holds no run that could go on; the message is one line for the user."""


@dataclass(frozen=True)
class Options:
    """What the user asked for; None where the default, or what the resumed run recorded, is to be taken."""

    csv: Path | None = None
    database: Path = Path(".hagane/demo.sqlite")
    report: Path | None = None
    llm_url: str | None = None
    llm_model: str | None = None
    api_key: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How a session ended: the run's status and, where it succeeded, the report and its files."""

    status: str
    report: str
    files: list[Path]


@dataclass
class Record:
    """What is in the database of the run that a session makes or goes on with; true also where the session raises."""

    resumable: bool = False


def packaged_csv() -> Path:
    """Return the path of the penguins."""
    return Path(__file__).parent / "data" / "penguins.csv"


async def begin(options: Options, timeline: Timeline, say: Callable[[str], None], record: Record) -> Outcome:
    """Check the input, the sandbox, the output and the database, in this order, then run.

    Raises InputError, SandboxError, OutputError, StoreError or ValueError (a bad --llm) before anything runs, and
    leaves nothing behind then.
    """
    csv = (options.csv or packaged_csv()).absolute()
    data, digest = read_file(csv)
    rows = len(parse_table(data, csv.name).rows)
    llm = _model(options.llm_url, options.llm_model, options.api_key)
    report = (options.report or Path("hagane-report")).absolute()
    await check_sandbox()
    with ExitStack() as undo:
        _check_report(report, undo)
        store = open_store(options.database, undo)
        inputs = {
            "csv_path": str(csv),
            "csv_sha256": digest,
            "report": str(report),
            "llm_url": options.llm_url,
            "llm_model": options.llm_model,
        }
        say(f"table: {csv.name}, {rows} rows; model: {llm.model}; {APPROVAL}; checkpoints: {options.database}")
        engine, thread = build_engine(csv, llm, store, timeline.step), f"demo-{uuid.uuid4().hex[:12]}"
        undo.callback(_look, store, thread, record)
        outcome = await _follow(engine.run_stream(inputs, thread), report, timeline)
    return _concluded(outcome, record)


async def resume(options: Options, timeline: Timeline, say: Callable[[str], None], record: Record) -> Outcome:
    """Go on with the latest unfinished run; accepted stages are not repeated.

    A run that ended without its report having been written gets its report. Raises NothingToResume, InputError (the
    table changed), and what `begin` raises.
    """
    if not options.database.exists():
        raise NothingToResume(f"nothing to resume: there is no database {options.database}; start with `hagane demo`")
    with ExitStack() as undo:
        store = open_store(options.database, undo)
        found = _find(store, options)
        if found is None:
            say(f"nothing to resume: the latest run in {options.database} ended and its report is written")
            return Outcome("success", "", [])
        run, inputs = found
        csv = (options.csv or Path(inputs["csv_path"])).absolute()
        _, digest = read_file(csv)
        if digest != inputs["csv_sha256"]:
            raise InputError(
                f"{csv} is not the table that run {run.run_id} began with: start a new run with `hagane demo`"
            )
        llm = _model(options.llm_url or inputs["llm_url"], options.llm_model or inputs["llm_model"], options.api_key)
        report = (options.report or Path(inputs["report"])).absolute()
        await check_sandbox()
        _check_report(report, undo)
        say(f"resuming run {run.run_id} ({run.status}) on {csv.name}; {APPROVAL}; checkpoints: {options.database}")
        engine = build_engine(csv, llm, store, timeline.step)
        undo.callback(_look, store, run.thread_id, record)
        outcome = await _follow(engine.resume_stream(run.thread_id), report, timeline)
    return _concluded(outcome, record)


async def check_sandbox() -> None:
    """Run an empty program. Raises SandboxError, naming the step and the remedy, where that is not possible."""
    from hagane.sandbox import get_sandbox

    try:
        provider = get_sandbox()
    except ValueError as error:  # an unknown name in the environment
        raise SandboxUnavailable(str(error)) from error
    async with provider as sandbox:
        result = await sandbox.execute("pass", timeout=60.0)
    if not result.success:
        raise SandboxUnavailable(f"the sandbox cannot run an empty program: {result.error or result.stderr}")


def report_place(report: Path) -> tuple[Path, str]:
    """Split `--report` into directory and file name: a path that ends in .md names the file."""
    return (report.parent, report.name) if report.suffix.lower() == ".md" else (report, "report.md")


def _check_report(report: Path, undo: ExitStack) -> None:
    directory, name = report_place(report)
    check_writable(directory, ("plot.svg", name), undo)


def _look(store: SqliteStore, thread: str, record: Record) -> None:
    """Note whether the thread's run is in the database and could go on, or could still get its report."""
    with suppress(HaganeError):  # no run was recorded, or the store has failed: nothing to promise
        record.resumable = store.head(thread).run.status in (*UNFINISHED, "success")


def _concluded(outcome: Outcome, record: Record) -> Outcome:
    """Pass the outcome on; where the report is in its place nothing is left to go on with."""
    record.resumable = record.resumable and outcome.status != "success"
    return outcome


async def _follow(events: AsyncGenerator[dict[str, Any], None], report: Path, timeline: Timeline) -> Outcome:
    timeline.header()
    result: dict[str, Any] = {}
    async with aclosing(events) as stream:
        async for event in stream:
            timeline.show(event)
            result = {"status": "escalated"} if event["type"] == "escalated" else event.get("result") or result
    if result.get("status") != "success":
        return Outcome(str(result.get("status", "failed")), "", [])
    return _publish(result, report)


def _publish(result: dict[str, Any], report: Path) -> Outcome:
    directory, files = _placed(result["results"]["report"]["files"], report)
    text = result["results"]["report"]["files"]["report.md"].decode("utf-8")
    return Outcome("success", text, publish(files, directory, result["run_id"]))


def _placed(made: dict[str, bytes], report: Path) -> tuple[Path, dict[str, bytes]]:
    """Return the report's directory and its files by name, the figure first: the report speaks of it."""
    directory, name = report_place(report)
    return directory, {"plot.svg": made["plot.svg"], name: made["report.md"]}


def _find(store: SqliteStore, options: Options) -> tuple[RunRecord, dict[str, Any]] | None:
    """Return the newest run if its report is still to be written, else the newest unfinished one, and its inputs.

    None where the newest run is complete and no other is unfinished.
    """
    runs = [run for run in store.runs(RUNS_LOOKED_AT) if run.pipeline == PIPELINE]
    if runs and runs[0].status == "success":
        state = _state(store, runs[0])
        inputs, output = state["inputs"].value(), state[f"{OUTPUT_KEY}report"].value()
        directory, files = _placed(output["files"], options.report or Path(inputs["report"]))
        if not is_published(files, directory):
            return runs[0], inputs
    for run in runs:
        # Only the newest run of a thread can be continued.
        if run.status in UNFINISHED and store.head(run.thread_id).run.run_id == run.run_id:
            return run, _state(store, run)["inputs"].value()
    if runs and runs[0].status == "success":
        return None
    told = f"its latest run ended as {runs[0].status}" if runs else "it holds no run"
    raise NothingToResume(f"nothing to resume in {options.database}: {told}; start with `hagane demo`")


def _state(store: SqliteStore, run: RunRecord) -> dict[str, Any]:
    checkpoint = store.head(run.thread_id).checkpoint
    if checkpoint is None:
        raise NothingToResume(f"run {run.run_id} stopped before its first checkpoint: start anew with `hagane demo`")
    return dict(store.load(checkpoint))


def _model(url: str | None, model: str | None, api_key: str | None) -> Any:
    if url is None and model is None:
        return scripted_model()
    if not url or not model:
        raise ValueError("--llm URL and --model NAME go together")
    return OpenAICompatible(url, model, api_key)
