"""The command `hagane`. Slow imports come inside `main`, so that Ctrl-C during them is silent too."""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's, without the time that importing typing takes
if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    0 success; 1 the run ended without success; 2 something about the input, the output or this machine must be put
    right first (one line on stderr says what); 130 interrupted. Raises SystemExit as argparse does (--help, bad usage).
    """
    try:
        from hagane.commands.parser import run

        return run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
