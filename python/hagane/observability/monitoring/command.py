"""`hagane dashboards export` and `hagane alerts export`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from hagane.commands import BAD_INPUT, OK, streams
from hagane.observability.monitoring.export import LANGUAGES, export_alerts, export_dashboards

__all__ = ["add_commands"]


def add_commands(commands: Any) -> None:
    """Add both commands to the subparsers of the command line; each sets `run`, which returns the exit status."""
    dashboards = _export(commands, "dashboards", "Grafana dashboards")
    dashboards.set_defaults(run=_dashboards)
    alerts = _export(commands, "alerts", "Prometheus' recording rules, alerts and their tests")
    alerts.add_argument("--lang", choices=LANGUAGES, default="en", help="language of summaries (default: %(default)s)")
    alerts.add_argument("--job", default="hagane", help="name of the scrape job (default: %(default)s)")
    alerts.set_defaults(run=_alerts)


def _export(commands: Any, name: str, what: str) -> argparse.ArgumentParser:
    actions = commands.add_parser(name, help=f"write {what} to a directory").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    parser: argparse.ArgumentParser = actions.add_parser("export", help=f"write {what} to DIR")
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--force", action="store_true", help="overwrite files that have other contents")
    return parser


def _dashboards(arguments: argparse.Namespace) -> int:
    return _told("dashboards", lambda: export_dashboards(arguments.directory, force=arguments.force))


def _alerts(arguments: argparse.Namespace) -> int:
    def export() -> list[Path]:
        return export_alerts(arguments.directory, language=arguments.lang, job=arguments.job, force=arguments.force)

    return _told("alerts", export)


def _told(command: str, export: Any) -> int:
    try:
        written = export()
    except (OSError, ValueError) as error:
        streams.complain(f"{command} export", str(error))
        return BAD_INPUT
    for path in written:
        print(f"written: {path}")
    return OK
