"""The command `hagane`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hagane import __version__
from hagane.observability import command as serving

if TYPE_CHECKING:
    from hagane.demo.session import Options, Outcome

OK, UNSUCCESSFUL, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    0 success; 1 the run ended without success; 2 something about the input, the output or this machine must be put
    right first (one line on stderr says what); 130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # an arrow must not end the demo on a terminal without one
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        print("hagane demo: interrupted; go on with `hagane demo --resume`", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; the run itself is in the database. Keep the exit from complaining too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNSUCCESSFUL


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hagane", description="A sandbox, gates and rollback, and monitoring for agents."
    )
    parser.add_argument("--version", action="version", version=f"hagane {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="analyse a table with an agent, gates, rollback and a report")
    demo.add_argument("--csv", type=Path, help="a CSV file with a numeric and a text column (default: Palmer penguins)")
    demo.add_argument(
        "--db", type=Path, default=Path(".hagane/demo.sqlite"), help="checkpoint database (default: %(default)s)"
    )
    demo.add_argument("--report", type=Path, help="directory, or .md file, of the report (default: hagane-report)")
    demo.add_argument("--resume", action="store_true", help="go on with the latest unfinished run of the database")
    demo.add_argument(
        "--serve", type=_seconds, default=0.0, metavar="SECONDS", help="keep serving GET /metrics after the run"
    )
    demo.add_argument("--port", type=_port, default=0, help="loopback port of /metrics (default: a free one)")
    demo.add_argument(
        "--llm", metavar="URL", help="OpenAI-compatible server instead of the script; key from OPENAI_API_KEY"
    )
    demo.add_argument("--model", metavar="NAME", help="the model to ask that server for")
    demo.set_defaults(run=_demo)
    serving.add_commands(commands)
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 366 * 86400:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from 0 to a year")
    return seconds


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")
    return port


def _demo(arguments: argparse.Namespace) -> int:
    from hagane.demo.session import Options
    from hagane.demo.timeline import one_line
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
    try:
        with serve_metrics(arguments.port) as server:
            outcome = _run(options, resume=arguments.resume)
            _tell_and_serve(outcome, options, server.url, arguments.serve)
    except (HaganeError, OSError, ValueError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        print(f"hagane demo: {one_line(error)}", file=sys.stderr)
        return BAD_INPUT
    return OK if outcome.status == "success" else UNSUCCESSFUL


def _run(options: Options, *, resume: bool) -> Outcome:
    import asyncio

    from hagane.demo import session
    from hagane.demo.timeline import Timeline, wants_colour

    def say(line: str) -> None:
        print(line, flush=True)

    timeline = Timeline(say, colour=wants_colour(sys.stdout))
    work: Any = session.resume if resume else session.begin
    outcome: Outcome = asyncio.run(work(options, timeline, say))
    return outcome


def _tell(outcome: Outcome, options: Options, url: str, serve: float) -> None:
    if outcome.report:
        print(f"\n{outcome.report}")
    for path in outcome.files:
        print(f"written: {path}")
    print(f"checkpoint database: {options.database.absolute()}")
    print(
        f"metrics: {url} "
        + (f"for {serve:g} more seconds (Ctrl-C ends)" if serve else "during the run; --serve SECONDS keeps it")
    )
    sys.stdout.flush()


def _tell_and_serve(outcome: Outcome, options: Options, url: str, seconds: float) -> None:
    """Say what came of it and keep serving. The run is over, so Ctrl-C only ends the serving."""
    import time

    try:
        _tell(outcome, options, url, seconds)
        time.sleep(seconds)
    except KeyboardInterrupt:
        print("stopped serving")
