"""`hagane serve-metrics`: a process that only serves, beside the workers whose directory it reads."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from types import FrameType
from typing import Any

from hagane.commands import BAD_INPUT, OK, options, streams

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `serve-metrics`; the parsed arguments' `run` does it and returns the exit status."""
    serve = commands.add_parser("serve-metrics", help="serve GET /metrics for the processes of a directory")
    serve.add_argument(
        "--port", type=options.port, default=9464, help="port to listen on, 0 for a free one (default: 9464)"
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument(
        "--dir",
        type=Path,
        metavar="MULTIPROC_DIR",
        help="directory that the processes share (default: HAGANE_MULTIPROC_DIR; one of them is needed)",
    )
    serve.add_argument(
        "--for", dest="seconds", type=options.seconds, metavar="SECONDS", help="stop after so many seconds"
    )
    serve.add_argument("--bearer-token-file", type=Path, metavar="FILE", help="file with the token scrapes must carry")
    serve.add_argument("--certificate", type=Path, metavar="PEM", help="certificate chain, for HTTPS")
    serve.add_argument("--key", type=Path, metavar="PEM", help="the certificate's key")
    serve.set_defaults(run=_serve)


def _serve(arguments: argparse.Namespace) -> int:
    from hagane.errors import HaganeError
    from hagane.observability.serving import serve_metrics

    stop = _Stop()
    try:
        token_file = arguments.bearer_token_file
        with serve_metrics(
            arguments.port,
            arguments.host,
            collector=_collector(arguments.dir),
            bearer_token=None if token_file is None else token_file.read_text().strip(),
            certificate=arguments.certificate,
            key=arguments.key,
        ) as server:
            print(f"metrics: {server.url}", flush=True)
            stop.wait(arguments.seconds)
    except (HaganeError, OSError, ValueError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        streams.complain("serve-metrics", str(error))
        return BAD_INPUT
    finally:
        stop.forget()
    return OK


def _collector(directory: Path | None) -> Any:
    """Return the collector over a directory's processes; None, which means that of the environment, without one."""
    from hagane.observability.multiprocess import served_directory

    served_directory(directory)
    if directory is None:
        return None
    from hagane import _core
    from hagane.observability.metrics import MetricsCollector

    return MetricsCollector._on(_core.MetricsRegistry(directory=directory), "")


class _Stop:
    """Waits for Ctrl-C or SIGTERM, which both end the serving as it should end."""

    def __init__(self) -> None:
        import threading

        self._stopped = threading.Event()
        self._before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopped.set()

    def wait(self, seconds: float | None) -> None:
        self._stopped.wait(seconds)

    def forget(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
