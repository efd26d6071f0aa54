"""The parser of `hagane`, and the exit status of whatever it is asked to do."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from hagane.commands import BAD_INPUT, UNSUCCESSFUL, checkpoints, streams
from hagane.demo import command as demo
from hagane.observability import command as serving
from hagane.observability.monitoring import command as monitoring

__all__ = ["run"]


def run(arguments: Sequence[str] | None) -> int:
    """Run the command line and return the exit status; see `hagane.cli.main`."""
    streams.make_ready()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parser().parse_args(given)
        options.given = given
        return int(options.run(options))
    except streams.OutputError as error:
        streams.complain("", str(error))
        return BAD_INPUT
    except BrokenPipeError:
        # Whoever read our output has gone; what was done is done. Keep the exit from complaining too.
        streams.silence_stdout()
        return UNSUCCESSFUL


class _Parser(argparse.ArgumentParser):
    """Refuses in one line, as the commands do."""

    def _print_message(self, message: str, file: Any = None) -> None:
        # argparse loses what cannot be written without a word, or ends in a traceback.
        if file is None or file is sys.stdout:
            streams.say(message.rstrip("\n"))
        else:
            super()._print_message(message, file)

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {streams.one_line(message, None)}; see `{self.prog} --help`\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="hagane", description="A sandbox, gates and rollback, and monitoring for agents.")
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    commands: Any = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    # Each sets `run`, which takes the parsed options (and `given`, the words as they came) and returns the status.
    for part in (demo, serving, monitoring, checkpoints):
        part.add_commands(commands)
    return parser


class _Version(argparse.Action):
    """Asks for the version only when it is wanted."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:  # noqa: A002
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from hagane import __version__

        streams.say(f"hagane {__version__}")
        parser.exit()
