"""`hagane demo` as a command: its options, what it prints, its exit status. Other parts add their own commands."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hagane.demo import streams
from hagane.demo.timeline import Timeline, one_line, wants_colour
from hagane.observability import command as serving
from hagane.observability.monitoring import command as monitoring

if TYPE_CHECKING:
    from hagane.demo.session import Options, Outcome, Record

OK, UNSUCCESSFUL, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def run(arguments: Sequence[str] | None) -> int:
    """Run the command line and return the exit status; see `hagane.cli.main`."""
    streams.make_ready()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parser().parse_args(given)
        return _demo(options, given) if options.command == "demo" else int(options.run(options))
    except BrokenPipeError:
        # Whoever read our output has gone; the run itself is in the database. Keep the exit from complaining too.
        streams.silence_stdout()
        return UNSUCCESSFUL


class _Parser(argparse.ArgumentParser):
    """Refuses in one line, as the rest of the command does."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {one_line(message, None)}; see `{self.prog} --help`\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="hagane", description="A sandbox, gates and rollback, and monitoring for agents.")
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    commands: Any = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="analyse a table with an agent, gates, rollback and a report",
        description="Analyse a table with an agent, gates, rollback and a report. "
        "The agent's code is approved by a policy on imports, not by a person, and runs in the sandbox.",
    )
    _add_files(demo)
    demo.add_argument("--resume", action="store_true", help="go on with the latest unfinished run of the database")
    demo.add_argument(
        "--serve", type=_seconds, default=0.0, metavar="SECONDS", help="keep serving GET /metrics after the run"
    )
    demo.add_argument("--port", type=_port, default=0, help="loopback port of /metrics (default: a free one)")
    demo.add_argument(
        "--llm", metavar="URL", help="OpenAI-compatible server instead of the script; key from OPENAI_API_KEY"
    )
    demo.add_argument("--model", metavar="NAME", help="the model to ask that server for")
    serving.add_commands(commands)
    monitoring.add_commands(commands)
    return parser


def _add_files(demo: argparse.ArgumentParser) -> None:
    demo.add_argument(
        "--csv", type=_path, metavar="FILE", help="a CSV with a numeric and a text column (default: Palmer penguins)"
    )
    demo.add_argument(
        "--db",
        type=_path,
        metavar="FILE",
        default=Path(".hagane/demo.sqlite"),
        help="checkpoint database (default: %(default)s)",
    )
    demo.add_argument(
        "--report", type=_path, metavar="PATH", help="directory, or .md file, of the report (default: hagane-report)"
    )


class _Version(argparse.Action):
    """Asks for the version only when it is wanted."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:  # noqa: A002
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from hagane import __version__

        streams.say(f"hagane {__version__}")
        parser.exit()


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("an empty name is no path: give one, or leave the option out")
    return Path(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 366 * 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to a year")
    return seconds


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return port


def _demo(arguments: argparse.Namespace, given: list[str]) -> int:
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
    record, again = Record(), _resume_command(given, resuming=arguments.resume)
    try:
        with serve_metrics(arguments.port) as server:
            outcome = _run(options, record, resume=arguments.resume)
            if record.resumable:
                streams.complain(f"the run ended as {outcome.status}; once its cause is put right go on with `{again}`")
            _tell_and_serve(outcome, options, server.url, arguments.serve)
    except KeyboardInterrupt:
        if record.resumable:
            streams.complain(f"interrupted; go on with `{again}`")
        return INTERRUPTED
    except (HaganeError, OSError, ValueError) as error:
        if isinstance(error, BrokenPipeError):
            if record.resumable:
                streams.complain(f"the reader of the output has gone; go on with `{again}`")
            raise
        streams.complain(_told(error) + (f"; then go on with `{again}`" if record.resumable else ""))
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
