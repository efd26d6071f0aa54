"""`hagane demo` as a command: its options, what it prints, its exit status."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hagane.commands import BAD_INPUT, INTERRUPTED, OK, UNSUCCESSFUL, options, streams
from hagane.demo.timeline import Timeline, wants_colour

if TYPE_CHECKING:
    from hagane.demo.session import Options, Outcome, Record

__all__ = ["add_commands"]

complain = partial(streams.complain, "demo")


def add_commands(commands: Any) -> None:
    """Add `demo`; the parsed arguments' `run` does it and returns the exit status."""
    demo = commands.add_parser(
        "demo",
        help="analyse a table with an agent, gates, rollback and a report",
        description="Analyse a table with an agent, gates, rollback and a report. "
        "The agent's code is approved by a policy on imports, not by a person, and runs in the sandbox.",
    )
    _add_files(demo)
    demo.add_argument("--resume", action="store_true", help="go on with the latest unfinished run of the database")
    demo.add_argument(
        "--serve", type=options.seconds, default=0.0, metavar="SECONDS", help="keep serving GET /metrics after the run"
    )
    demo.add_argument("--port", type=options.port, default=0, help="loopback port of /metrics (default: a free one)")
    demo.add_argument(
        "--llm", metavar="URL", help="OpenAI-compatible server instead of the script; key from OPENAI_API_KEY"
    )
    demo.add_argument("--model", metavar="NAME", help="the model to ask that server for")
    demo.set_defaults(run=_demo)


def _add_files(demo: argparse.ArgumentParser) -> None:
    demo.add_argument(
        "--csv",
        type=options.path,
        metavar="FILE",
        help="a CSV with a numeric and a text column (default: Palmer penguins)",
    )
    demo.add_argument(
        "--db",
        type=options.path,
        metavar="FILE",
        default=Path(".hagane/demo.sqlite"),
        help="checkpoint database (default: %(default)s)",
    )
    demo.add_argument(
        "--report",
        type=options.path,
        metavar="PATH",
        help="directory, or .md file, of the report (default: hagane-report)",
    )


def _demo(arguments: argparse.Namespace) -> int:
    from hagane.demo.session import Options, Record
    from hagane.errors import HaganeError
    from hagane.observability import serve_metrics

    options = Options(
        csv=arguments.csv,
        database=arguments.db,
        report=arguments.report,
        llm_url=arguments.llm,
        llm_model=arguments.model,
        api_key=os.environ.get("OPENAI_API_KEY"),
    )
    record, again = Record(), _resume_command(arguments.given, resuming=arguments.resume)
    try:
        with serve_metrics(arguments.port) as server:
            outcome = _run(options, record, resume=arguments.resume)
            if record.resumable:
                complain(f"the run ended as {outcome.status}; once its cause is put right go on with `{again}`")
            _tell_and_serve(outcome, options, server.url, arguments.serve)
    except KeyboardInterrupt:
        if record.resumable:
            complain(f"interrupted; go on with `{again}`")
        return INTERRUPTED
    except (HaganeError, OSError, ValueError) as error:
        if isinstance(error, BrokenPipeError):
            if record.resumable:
                complain(f"the reader of the output has gone; go on with `{again}`")
            raise
        complain(_told(error) + (f"; then go on with `{again}`" if record.resumable else ""))
        return BAD_INPUT
    return OK if outcome.status == "success" else UNSUCCESSFUL


def _resume_command(given: list[str], *, resuming: bool) -> str:
    """Write the command that goes on with this run: what was given, and --resume."""
    place = given.index("demo") + 1
    return shlex.join(["hagane", *given[:place], *([] if resuming else ["--resume"]), *given[place:]])


def _told(error: Exception) -> str:
    """Say what happened without the number that the system has for it."""
    from hagane.errors import MetricsServerError

    if isinstance(error, MetricsServerError):
        return f"--port: {error.strerror}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error)


def _run(options: Options, record: Record, *, resume: bool) -> Outcome:
    import asyncio

    from hagane.demo import session

    timeline = Timeline(streams.say, colour=wants_colour(sys.stdout))
    work: Any = session.resume if resume else session.begin
    outcome: Outcome = asyncio.run(work(options, timeline, streams.say, record))
    return outcome


def _tell(outcome: Outcome, options: Options, url: str, serve: float) -> None:
    if outcome.report:
        streams.say(f"\n{outcome.report}")
    for path in outcome.files:
        streams.say(f"written: {path}")
    streams.say(f"checkpoint database: {options.database.absolute()}")
    streams.say(
        f"metrics: {url} "
        + (f"for {serve:g} more seconds (Ctrl-C ends)" if serve else "during the run; --serve SECONDS keeps it")
    )


def _tell_and_serve(outcome: Outcome, options: Options, url: str, seconds: float) -> None:
    """Say what came of it and keep serving. The run is over, so Ctrl-C only ends the serving."""
    import time

    try:
        _tell(outcome, options, url, seconds)
        time.sleep(seconds)
    except KeyboardInterrupt:
        streams.say("stopped serving")
